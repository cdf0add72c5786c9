/*
 * mprotect (mm/mm.h). The host is asked first, with as few calls as possible, then the map changes. Memory that was only
 * reserved (PROT_NONE so far) is committed here, which is where malloc arenas and thread stacks get their memory and
 * where the cVM's limit may say -ENOMEM.
 */
#include "mm/vma.h"

static int check_mapping(const struct vma *v, uint32_t prot)
{
	if (is_wx(prot) && (v->flags & VMA_SHARED))
		return refuse_shared("mprotect");
	if ((prot & PROT_EXEC) && v->file && (v->flags & (VMA_SHARED | VMA_NO_WRITE)) == VMA_SHARED)
		return -EACCES; /* as in mm/map.c */
	/* Its family has it, too, and has it so. */
	if (v->program != program_current() && !(v->flags & VMA_SHARED) && prot != v->prot)
		return -ENOMEM;
	return (prot & PROT_WRITE) && (v->flags & VMA_NO_WRITE) ? -EACCES : 0;
}

/* The whole range must be mapped, and every mapping must allow it. */
static int check_range(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot)
{
	uint64_t at = start;

	for (struct vma *v = vma_find(mm, start); at < end; v = vma_next(mm, v)) {
		int ret;

		if (!v || v->start > at || !vma_is_own(v))
			return -ENOMEM;
		ret = check_mapping(v, prot);
		if (ret)
			return ret;
		at = v->end;
	}
	return 0;
}

static bool only_access(const struct vma *v, uint32_t prot)
{
	return (v->flags & VMA_BACKED) && !(prot & PROT_EXEC);
}

/* The host's side for the mappings from *first on: one call, *done moves behind what it covered. */
static int protect_host(struct mm *mm, struct vma *first, uint64_t start, uint64_t end, uint32_t prot, uint64_t *done)
{
	struct vma *v = first;
	uint64_t stop = MIN(v->end, end);

	*done = stop;
	if (!(v->flags & VMA_BACKED))
		return prot ? backing_map(v, start, stop, prot) : 0;
	if (prot & PROT_EXEC)
		return backing_protect(v, start, stop, prot);
	while (stop < end && (v = vma_next(mm, v)) && only_access(v, prot))
		stop = MIN(v->end, end);
	*done = stop;
	return backing_protect(first, start, stop, prot);
}

/* The map's side for [start, end), all of which the host has done. */
static void protect_map(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot)
{
	struct vma *v = vma_find(mm, start);

	if (v->start < start)
		v = vma_split(mm, v, start);
	while (v && v->start < end) {
		if (v->end > end)
			vma_split(mm, v, end);
		v->prot = prot;
		v->stamp = 0;
		if (prot)
			v->flags |= VMA_BACKED;
		if (v->file && !(v->flags & VMA_SHARED) && (prot & PROT_WRITE))
			v->flags |= VMA_DIRTY;
		v = vma_next(mm, vma_merge(mm, v));
	}
	if (v)
		vma_merge(mm, v);
}

static int protect_locked(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot)
{
	int ret = check_range(mm, start, end, prot);

	while (!ret && start < end) {
		struct vma *v = vma_find(mm, start);
		uint64_t done = end;

		ret = vma_reserve(mm, 2);
		if (!ret && mm->count + 2 > VMA_COUNT_MAX)
			ret = -ENOMEM;
		/* A new code mapping of a part must not give its stubs to the whole: cut first. */
		if (!ret && (prot & PROT_EXEC) && v->file) {
			if (v->start < start)
				v = vma_split(mm, v, start);
			if (v->end > end)
				vma_split(mm, v, end);
			ret = vma_reserve(mm, 2);
		}
		if (!ret)
			ret = protect_host(mm, v, start, end, prot, &done);
		if (!ret)
			protect_map(mm, start, done, prot);
		start = done;
	}
	return ret;
}

/* With the room below it: what grows is alike. */
static uint64_t stack_start(struct mm *mm, struct vma *v)
{
	const struct vma *prev = vma_prev(mm, v);

	return prev && prev->end == v->start && vma_is_room(prev) ? prev->start : v->start;
}

int mm_protect(uint64_t addr, uint64_t size, int prot)
{
	struct mm *mm = mm_current();
	uint64_t end;
	int grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP), ret;

	if (addr % PAGE_SIZE || grows == (PROT_GROWSDOWN | PROT_GROWSUP) ||
	    (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP)))
		return -EINVAL;
	if (size == 0)
		return 0;
	if (size > SLOT_SIZE || addr + size < addr)
		return -ENOMEM;
	end = addr + ALIGN_UP(size, PAGE_SIZE);
	mutex_lock(&mm->lock);
	ret = 0;
	if (grows) {
		struct vma *v = vma_find(mm, addr);

		if (!v || v->start >= end || !vma_is_own(v))
			ret = -ENOMEM;
		else if (grows == PROT_GROWSUP || !(v->flags & VMA_GROWSDOWN))
			ret = -EINVAL;
		else
			addr = stack_start(mm, v);
	}
	if (!ret)
		ret = protect_locked(mm, addr, end, (uint32_t)prot & (PROT_READ | PROT_WRITE | PROT_EXEC));
	mutex_unlock(&mm->lock);
	return ret;
}
