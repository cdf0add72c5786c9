/*
 * The copy of a program that fork makes (mm/family.h): private memory is copied to where it is aside, the rest becomes the family's.
 */
#include "core/kheap.h"
#include "core/log.h"
#include "fs/file.h"
#include "mm/aside.h"
#include "mm/family.h"

static uint64_t g_stamps; /* given out so far; mm->lock */

/* Where a copy of v goes: the next part of `block`, if it is small. Takes one spare. */
static int place_copy(struct mm *mm, struct program *p, const struct vma *v, struct vma **block, struct vma **place)
{
	uint64_t size = v->end - v->start;
	int ret;

	if (vma_is_small(v)) {
		*place = *block;
		*block = (*block)->end - (*block)->start > size ? vma_split(mm, *block, (*block)->start + size) : NULL;
		return 0;
	}
	*place = place_make(mm, p, v->start, size);
	if (!*place)
		return -ENOMEM;
	ret = place_commit((*place)->start, size);
	if (ret) {
		place_drop(mm, *place);
		*place = NULL;
	}
	return ret;
}

/* p gets a copy of v, or what makes one; takes up to two spares. */
static int copy_aside(struct mm *mm, struct program *p, struct vma *v, struct vma **block)
{
	struct aside *a = kzalloc(sizeof(*a));
	int ret;

	if (!a)
		return -ENOMEM;
	if (!v->stamp && v->prot == PROT_READ)
		v->stamp = ++g_stamps;
	a->home = vma_take(mm);
	*a->home = *v;
	a->home->program = p;
	a->home->left = a->home->right = NULL;
	a->home->code = NULL;
	a->home->flags &= ~VMA_LOCKED;
	list_init(&a->home->link);
	if (v->file)
		file_get(v->file);
	list_append(&p->aside, &a->link);
	if (!vma_has_memory(v))
		return 0;
	ret = place_copy(mm, p, v, block, &a->place);
	return ret ? ret : memory_copy(a->place->start, v->start, v->end - v->start, v->prot);
}

/* Code of files that was written to, and has stubs, exists once. */
static bool can_fork(struct mm *mm, const struct program *p)
{
	list_for_each(pos, &mm->list) {
		const struct vma *v = list_entry(pos, struct vma, link);

		if (v->program == p && v->code && (v->flags & VMA_DIRTY)) {
			log_text("fork: code at %lx was written to: a process that has such memory cannot be copied (ENOMEM)", v->start);
			return false;
		}
	}
	return true;
}

/* At fixed addresses there may be strangers, so nothing stays. */
static bool is_copied(const struct vma *v)
{
	return vma_is_personal(v) || (vma_is_of_file(v) && v->end <= SLOT_LOW_END);
}

static bool is_of_forked(const struct vma *v, const struct program *p)
{
	return v->program == p && !(v->flags & VMA_PLACE);
}

/* Memory for the small copies together; *block is NULL if there are none. */
static int make_block(struct mm *mm, const struct program *from, struct program *p, struct vma **block)
{
	uint64_t size = 0;

	list_for_each(pos, &mm->list) {
		const struct vma *v = list_entry(pos, struct vma, link);

		if (is_of_forked(v, from) && is_copied(v) && vma_has_memory(v) && vma_is_small(v))
			size += v->end - v->start;
	}
	*block = NULL;
	if (!size)
		return 0;
	if (vma_reserve(mm, 1) || !(*block = place_make(mm, p, 0, size)))
		return -ENOMEM;
	return place_commit((*block)->start, size);
}

static int copy_all(struct mm *mm, struct program *from, struct program *p)
{
	struct vma *block;
	int ret = make_block(mm, from, p, &block);

	list_for_each_safe(pos, next, &mm->list) {
		struct vma *v = list_entry(pos, struct vma, link);

		if (ret)
			break;
		if (!is_of_forked(v, from))
			continue;
		if (is_copied(v)) {
			ret = vma_reserve(mm, 2);
			ret = ret ? ret : copy_aside(mm, p, v, &block);
		} else {
			vma_change_owner(v, &from->family->common);
		}
	}
	return ret;
}

struct program *family_fork(struct program *from, int *error)
{
	struct mm *mm = from->mm;
	struct program *p = program_create(mm);
	int ret = p ? 0 : -ENOMEM;

	mutex_lock(&mm->lock);
	if (!ret && !can_fork(mm, from))
		ret = -ENOMEM;
	if (!ret) {
		p->brk_start = from->brk_start;
		p->brk_now = from->brk_now;
		p->args = from->args;
		p->stack_floor = from->stack_floor;
		family_add(from->family, p);
		ret = copy_all(mm, from, p);
	}
	mutex_unlock(&mm->lock);
	*error = ret;
	if (!ret)
		return p;
	program_put(p);
	return NULL;
}

