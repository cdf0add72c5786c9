/*
 * The map as others see it: /proc/PID/maps, crash reports. mm_find may be called by upcall code that interrupted this
 * thread anywhere, so it only tries the lock.
 */
#include "core/uaccess.h"
#include "fs/inode.h"
#include "mm/aside.h"
#include "mm/family.h"

static void describe(const struct vma *v, struct mm_range *r, char *name, size_t name_size)
{
	struct statx st = {0};

	*r = (struct mm_range){.start = v->start, .end = v->end, .prot = (int)v->prot, .shared = v->flags & VMA_SHARED,
			       .offset = v->offset, .name = name};
	name[0] = '\0';
	if (v->file) {
		file_path(v->file, name, name_size);
		if (!file_stat(v->file, &st)) {
			r->device = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
			r->inode = st.stx_ino;
		}
	} else if (v->flags & (VMA_STACK | VMA_HEAP)) {
		format(name, name_size, "%s", v->flags & VMA_STACK ? "[stack]" : "[heap]");
	} else if (v->flags & VMA_SHARED) { /* as Linux has it */
		format(name, name_size, "/dev/zero (deleted)");
	}
}

void mm_for_each(const struct program *p, void (*visit)(const struct mm_range *range, void *data), void *data)
{
	struct mm *mm = p->mm;
	struct mm_range r;
	char name[512];

	mutex_lock(&mm->lock);
	list_for_each(pos, &mm->list) {
		struct vma *v = list_entry(pos, struct vma, link);

		if (!vma_is_of(v, p) || vma_is_room(v))
			continue;
		describe(v, &r, name, sizeof(name));
		visit(&r, data);
	}
	list_for_each(pos, &p->aside) {
		const struct vma *v = list_entry(pos, struct aside, link)->home;

		if (vma_is_room(v))
			continue;
		describe(v, &r, name, sizeof(name));
		visit(&r, data);
	}
	mutex_unlock(&mm->lock);
}

bool mm_find(uint64_t addr, struct mm_range *out, char *name, size_t name_size)
{
	struct mm *mm = mm_current();
	struct vma *v;
	bool found = false;

	if (!mm || !mutex_trylock(&mm->lock))
		return false;
	v = vma_find(mm, addr);
	if (v && v->start <= addr) {
		describe(v, out, name, name_size);
		found = true;
	}
	mutex_unlock(&mm->lock);
	return found;
}

bool mm_place_of(uint64_t addr, struct mm_place *out)
{
	struct mm *mm = mm_current();
	struct vma *v;
	bool found;

	mutex_lock(&mm->lock);
	v = vma_find(mm, addr);
	found = v && v->start <= addr && vma_is_own(v);
	if (found && (v->flags & VMA_SHARED) && v->file)
		*out = (struct mm_place){ v->file->dentry ? (void *)v->file->dentry->inode : v->file->data,
					  (uint64_t)v->offset + addr - v->start };
	else if (found)
		*out = (struct mm_place){ v->program, addr };
	mutex_unlock(&mm->lock);
	return found;
}

bool mm_keep_unshared(const struct file_ops *ops, const void *data)
{
	struct mm *mm = mm_current();

	mutex_lock(&mm->lock);
	list_for_each(pos, &mm->list) {
		const struct vma *v = list_entry(pos, struct vma, link);

		if ((v->flags & (VMA_SHARED | VMA_NO_WRITE)) == VMA_SHARED && v->file && v->file->ops == ops && v->file->data == data) {
			mutex_unlock(&mm->lock);
			return false;
		}
	}
	return true;
}

void mm_let_map(void)
{
	mutex_unlock(&mm_current()->lock);
}

static bool contains(const struct vma *v, uint64_t addr, size_t size)
{
	return v->start <= addr && addr < v->end && size <= v->end - addr;
}

bool mm_read(const struct program *p, void *to, uint64_t addr, size_t size)
{
	struct mm *mm = p->mm;
	uint64_t at = 0;
	struct vma *v;

	mutex_lock(&mm->lock);
	v = vma_find(mm, addr);
	if (v && contains(v, addr, size) && vma_is_of(v, p))
		at = addr;
	list_for_each(pos, &p->aside) {
		const struct aside *a = list_entry(pos, struct aside, link);

		if (a->place && contains(a->home, addr, size))
			at = a->place->start + addr - a->home->start;
	}
	if (at && copy_from_user(to, (void *)at, size))
		at = 0;
	mutex_unlock(&mm->lock);
	return at != 0;
}
