/*
 * brk (mm/mm.h): the program break starts at a random place above SLOT_PROGRAM_BASE, far below the mappings that come
 * down from the other end, and moves exactly as asked, so that the cVM's memory limit counts what the program uses.
 */
#include "core/hostcall.h"
#include "mm/family.h"

#define BRK_RANDOM 0x40000000ull /* 1 GiB */
#define BRK_WINDOW 0x80000000ull /* 2 GiB: each program's break starts in one of its own while there are any */
#define BRK_WINDOWS 16u

void mm_brk_init(void)
{
	struct mm *mm = mm_current();
	struct program *p = program_current();
	unsigned window = 0;
	uint64_t r = 0;

	hostcall(HC_random, &r, sizeof(r));
	mutex_lock(&mm->lock);
	while (window < BRK_WINDOWS - 1 && (mm->brk_windows >> window & 1))
		window++;
	p->brk_window = 1u << window & ~mm->brk_windows;
	mm->brk_windows |= p->brk_window;
	p->brk_start = ALIGN_DOWN(mm->base + SLOT_PROGRAM_BASE + window * BRK_WINDOW + r % BRK_RANDOM, PAGE_SIZE);
	p->brk_now = p->brk_start;
	mutex_unlock(&mm->lock);
}

static int brk_grow(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v;
	int ret;

	/* One page stays free between the break and what follows. */
	if (!range_valid(mm, start, end - start) || !vma_range_free(mm, start, end + PAGE_SIZE) || end > mm->mmap_top ||
	    over_limit(end - start))
		return -ENOMEM;
	ret = vma_reserve(mm, 1);
	if (ret)
		return ret;
	v = vma_take(mm);
	v->start = start;
	v->end = end;
	v->prot = PROT_READ | PROT_WRITE;
	v->flags = VMA_BACKED | VMA_HEAP;
	ret = backing_map(v, start, end, v->prot);
	if (ret) {
		vma_free(mm, v);
		return ret;
	}
	vma_insert(mm, v);
	vma_merge(mm, v);
	return 0;
}

long mm_brk(uint64_t addr)
{
	struct mm *mm = mm_current();
	struct program *p = program_current();
	uint64_t now, wanted;
	long ret;

	mutex_lock(&mm->lock);
	if (addr >= p->brk_start && addr <= mm->mmap_top) {
		now = ALIGN_UP(p->brk_now, PAGE_SIZE);
		wanted = ALIGN_UP(addr, PAGE_SIZE);
		if (wanted > now)
			family_use(mm, now, wanted + PAGE_SIZE);
		if (wanted == now || (wanted < now && !unmap_locked(mm, wanted, now)) ||
		    (wanted > now && !brk_grow(mm, now, wanted)))
			p->brk_now = addr;
		family_keep_own(mm, MIN(now, wanted), MAX(now, wanted) + PAGE_SIZE);
	}
	ret = (long)p->brk_now;
	mutex_unlock(&mm->lock);
	return ret;
}
