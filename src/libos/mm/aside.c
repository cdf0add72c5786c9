/*
 * What mm/aside.h says. Moving keeps the pages (hostcall mem_move), so it costs some microseconds for each mapping, whatever its
 * size. Of small ones, which are most, the bytes change places.
 */
#include "mm/aside.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "core/uaccess.h"

#define SMALL_MAX (16 * PAGE_SIZE)
#define EXCHANGE_MAX (128 * PAGE_SIZE) /* of more, moving costs less */
#define TABLE_SIZE (512 * PAGE_SIZE) /* of a page table: between addresses that are alike below it, the host moves whole ones */
#define NOT_MOVED (VMA_SHARED | VMA_HOLE | VMA_PLACE)

static uint64_t g_pages[2][PAGE_SIZE / sizeof(uint64_t)]; /* mm->lock */

bool vma_is_personal(const struct vma *v)
{
	return !(v->flags & NOT_MOVED) && !v->code && (!v->file || (v->flags & VMA_DIRTY));
}

bool vma_is_of_file(const struct vma *v)
{
	return !(v->flags & (NOT_MOVED | VMA_DIRTY)) && v->file;
}

bool vma_has_memory(const struct vma *v)
{
	return (v->flags & VMA_BACKED) && !vma_is_of_file(v);
}

bool vma_is_small(const struct vma *v)
{
	return v->end - v->start <= SMALL_MAX;
}

/* Executable memory is moved as data: it becomes code again, after a scan, where it is to run. */
static uint32_t access_aside(uint32_t prot)
{
	return prot & PROT_EXEC ? PROT_READ | PROT_WRITE : prot;
}

void vma_change_owner(struct vma *v, struct program *to)
{
	v->program->total -= v->end - v->start;
	v->program = to;
	to->total += v->end - v->start;
}

struct vma *place_make(struct mm *mm, struct program *p, uint64_t home, uint64_t size)
{
	uint64_t align = size < TABLE_SIZE ? PAGE_SIZE : TABLE_SIZE, offset = home % align;
	uint64_t at = choose_address(mm, size + offset, align);
	struct vma *v;

	if (!at)
		return NULL;
	v = vma_take(mm);
	v->start = at + offset;
	v->end = v->start + size;
	v->flags = VMA_BACKED | VMA_PLACE;
	v->program = p;
	vma_insert(mm, v);
	return v;
}

void place_drop(struct mm *mm, struct vma *v)
{
	vma_remove(mm, v);
	vma_free(mm, v);
}

/* Pages that were never written stay so. What cannot be read (behind a file's end) is left out. */
static void copy_pages(uint64_t to, uint64_t from, uint64_t end)
{
	uint64_t *page = g_pages[0];

	for (; from < end; from += PAGE_SIZE, to += PAGE_SIZE) {
		uint64_t any = 0;

		if (copy_from_user(page, (void *)from, PAGE_SIZE))
			continue;
		for (unsigned i = 0; i < ARRAY_SIZE(g_pages[0]); i++)
			any |= page[i];
		if (any)
			memcpy((void *)to, page, PAGE_SIZE);
	}
}

int place_commit(uint64_t at, uint64_t size)
{
	return (int)hostcall(HC_mem_commit, at, size, PROT_READ | PROT_WRITE, 0);
}

int memory_copy(uint64_t to, uint64_t from, uint64_t size, uint32_t prot)
{
	bool hidden = !(prot & (PROT_READ | PROT_EXEC));
	long ret = hidden ? hostcall(HC_mem_protect, from, size, prot | PROT_READ) : 0;

	if (ret < 0)
		return (int)ret;
	copy_pages(to, from, from + size);
	return hidden ? (int)hostcall(HC_mem_protect, from, size, prot) : 0;
}

/* Nothing is left at `from`. The host may know what is one mapping here as several, which it does not move at once. */
static void memory_move(uint64_t to, uint64_t from, uint64_t size, uint32_t prot)
{
	if (prot & PROT_EXEC)
		hostcall(HC_mem_protect, from, size, PROT_READ | PROT_WRITE);
	if (hostcall(HC_mem_move, from, size, to, size) >= 0)
		return;
	if (place_commit(to, size) || memory_copy(to, from, size, prot) || backing_release(from, from + size))
		panic("memory of a forked process could not be moved");
}

void aside_free(struct mm *mm, struct aside *a)
{
	vma_free(mm, a->home);
	list_remove(&a->link);
	kfree(a);
}

int aside_make(struct mm *mm, struct vma *v, struct list *made)
{
	struct aside *a = kzalloc(sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->home = v;
	list_append(made, &a->link);
	if (!vma_has_memory(v))
		return 0;
	return vma_reserve(mm, 1) || !(a->place = place_make(mm, v->program, v->start, v->end - v->start)) ? -ENOMEM : 0;
}

void asides_drop(struct mm *mm, struct list *made)
{
	while (!list_empty(made)) {
		struct aside *a = list_entry(made->next, struct aside, link);

		if (a->place)
			place_drop(mm, a->place);
		list_remove(&a->link);
		kfree(a);
	}
}

/* memory_back undoes it. */
static void memory_away(const struct aside *a)
{
	struct vma *v = a->home;

	if (a->place) {
		memory_move(a->place->start, v->start, v->end - v->start, v->prot);
	} else if (vma_is_of_file(v) && (v->flags & VMA_BACKED)) {
		backing_release(v->start, v->end);
		code_map_put(v->code);
		v->code = NULL;
	}
}

void asides_put(struct mm *mm, struct list *made)
{
	while (!list_empty(made)) {
		struct aside *a = list_entry(made->next, struct aside, link);

		memory_away(a);
		vma_remove(mm, a->home);
		list_remove(&a->link);
		list_append(&a->home->program->aside, &a->link);
	}
}

void memory_back(const struct aside *a)
{
	struct vma *v = a->home;
	uint64_t size = v->end - v->start;

	if (a->place) {
		memory_move(v->start, a->place->start, size, access_aside(v->prot));
		if (access_aside(v->prot) != (PROT_READ | PROT_WRITE))
			hostcall(HC_mem_protect, v->start, size, access_aside(v->prot));
		if ((v->prot & PROT_EXEC) && !is_wx(v->prot) && /* else faults make it code */
		    backing_seal(v->start, v->end))
			log_text("code at %lx was refused", v->start);
	} else if (vma_is_of_file(v) && (v->flags & VMA_BACKED) && backing_map(v, v->start, v->end, v->prot)) {
		log_text("what was mapped of a file at %lx is lost (raise the cVM's memory)", v->start);
	}
}

/* --- twins --- */

/* Both pages, as far as they can be read. */
static bool read_pages(uint64_t a, uint64_t b)
{
	return !copy_from_user(g_pages[0], (void *)a, PAGE_SIZE) && !copy_from_user(g_pages[1], (void *)b, PAGE_SIZE);
}

static bool same_bytes(uint64_t a, uint64_t b, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += PAGE_SIZE)
		if (!read_pages(a + at, b + at) || memcmp(g_pages[0], g_pages[1], PAGE_SIZE))
			return false;
	return true;
}

/* Page by page: what a file ends before cannot be read, and others may cut the file at any time. */
static void exchange_pages(uint64_t a, uint64_t b, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += PAGE_SIZE)
		(void)!user_exchange(a + at, b + at, PAGE_SIZE);
}

/* Can what is there at a's home, v, simply take a's place? It can if its bytes may be written, are the same, or the same file's. */
static bool is_exchangeable(const struct aside *a, const struct vma *v)
{
	if (v->start != a->home->start || v->end != a->home->end || v->prot != a->home->prot)
		return false;
	if (!(v->flags & VMA_BACKED))
		return vma_is_personal(v) && v->flags == a->home->flags && v->file == a->home->file && v->offset == a->home->offset;
	if (vma_is_of_file(v))
		return v->file == a->home->file && v->offset == a->home->offset && v->flags == a->home->flags;
	if (!a->place || !vma_is_personal(v) || v->file != a->home->file || (v->file && v->offset != a->home->offset))
		return false; /* bytes of one may have no place where a file of the other ends */
	if (v->prot == PROT_READ)
		return v->stamp ? v->stamp == a->home->stamp :
				  vma_is_small(v) && same_bytes(v->start, a->place->start, v->end - v->start);
	return v->prot == (PROT_READ | PROT_WRITE) && v->end - v->start <= EXCHANGE_MAX;
}

void twins_find(struct mm *mm, const struct program *there, struct program *p)
{
	list_for_each(pos, &p->aside) {
		struct aside *a = list_entry(pos, struct aside, link);
		struct vma *v = vma_find(mm, a->home->start);

		a->twin = v && v->program == there && is_exchangeable(a, v) ? v : NULL;
		if (a->twin)
			v->has_twin = true;
	}
}

void twins_forget(struct program *p)
{
	list_for_each(pos, &p->aside) {
		struct aside *a = list_entry(pos, struct aside, link);

		if (a->twin)
			a->twin->has_twin = false;
		a->twin = NULL;
	}
}

/* What p has aside and what f->there has in its stead: each becomes the other. */
void twins_exchange(struct mm *mm, struct program *p)
{
	list_for_each_safe(pos, next, &p->aside) {
		struct aside *a = list_entry(pos, struct aside, link);
		struct vma *v = a->twin, *home = a->home;

		if (!v)
			continue;
		v->has_twin = false;
		a->twin = NULL;
		if (vma_is_of_file(v)) {
			home->code = v->code;
			v->code = NULL;
		} else if (!a->place || !(v->prot & PROT_WRITE)) {
			; /* nothing is there, or the same bytes */
		} else if (!v->file) {
			(void)!user_exchange(v->start, a->place->start, v->end - v->start);
		} else {
			exchange_pages(v->start, a->place->start, v->end - v->start);
		}
		vma_replace(mm, v, home);
		a->home = v;
		if (a->place)
			vma_change_owner(a->place, v->program);
		list_remove(&a->link);
		list_append(&v->program->aside, &a->link);
	}
}

