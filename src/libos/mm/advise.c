/*
 * madvise, msync, mincore (mm/mm.h). Advice that changes what the program can see (MADV_DONTNEED, MADV_FREE) reaches the
 * host; advice about speed is accepted and forgotten; advice nobody knows is -EINVAL, as on Linux.
 */
#include "core/hostcall.h"
#include "mm/vma.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

enum advice { ADVICE_UNKNOWN, ADVICE_IGNORED, ADVICE_HOST };

static enum advice advice_kind(int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
		return ADVICE_HOST;
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_COLD:
	case MADV_PAGEOUT:
		return ADVICE_IGNORED;
	default:
		return ADVICE_UNKNOWN;
	}
}

static int advise_one(struct vma *v, uint64_t start, uint64_t end, int advice)
{
	if (advice == MADV_FREE && (v->file || (v->flags & VMA_SHARED)))
		return -EINVAL;
	if (!(v->flags & VMA_BACKED))
		return 0;
	v->stamp = 0;
	/* Pages that were sealed as code would come back. */
	if (is_wx(v->prot) || ((v->prot & PROT_EXEC) && !v->file))
		return backing_map(v, start, end, v->prot);
	/* Code of files comes back unchanged when touched again: nothing to drop. */
	if (v->prot & PROT_EXEC)
		return 0;
	return (int)hostcall(HC_mem_advise, start, end - start, advice == MADV_FREE ? MADV_FREE : MADV_DONTNEED);
}

/* Locked memory keeps its pages. */
static bool takes_pages(int advice)
{
	return advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_COLD || advice == MADV_PAGEOUT;
}

/* The host has the memory, which is zero until it is touched: only what could not be touched is told. mm->lock held. */
static int populate(struct mm *mm, uint64_t addr, uint64_t end, uint32_t access)
{
	uint64_t at = addr;

	for (struct vma *v = vma_find(mm, addr); at < end; v = vma_next(mm, v)) {
		if (!v || v->start > at || !vma_is_own(v))
			return -ENOMEM;
		if (!(v->prot & access) || v->file) /* files: whether there is a page, only the host knows */
			return -EINVAL;
		at = v->end;
	}
	return 0;
}

int mm_advise(uint64_t addr, uint64_t size, int advice)
{
	bool populates = advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE;
	struct mm *mm = mm_current();
	enum advice kind = advice_kind(advice);
	uint64_t end = addr + ALIGN_UP(size, PAGE_SIZE), at = addr;
	int ret = 0;

	if ((kind == ADVICE_UNKNOWN && !populates) || addr % PAGE_SIZE || end < addr || (size && end == addr))
		return -EINVAL;
	if (size == 0)
		return 0;
	mutex_lock(&mm->lock);
	if (populates)
		ret = populate(mm, addr, end, advice == MADV_POPULATE_READ ? PROT_READ : PROT_WRITE);
	for (struct vma *v = vma_find(mm, addr); !populates && (ret == 0 || ret == -ENOMEM) && at < end; v = vma_next(mm, v)) {
		if (!v || v->start >= end) {
			ret = -ENOMEM;
			break;
		}
		if (v->start > at || !vma_is_own(v))
			ret = -ENOMEM; /* a hole: Linux goes on and says so at the end */
		if (vma_is_own(v) && (v->flags & VMA_LOCKED) && takes_pages(advice))
			ret = -EINVAL;
		else if (kind == ADVICE_HOST && vma_is_own(v)) {
			int error = advise_one(v, MAX(v->start, addr), MIN(v->end, end), advice);

			ret = error ? error : ret;
		}
		at = v->end;
	}
	mutex_unlock(&mm->lock);
	return ret;
}

int mm_sync(uint64_t addr, uint64_t size, int flags)
{
	struct mm *mm = mm_current();
	uint64_t end = addr + ALIGN_UP(size, PAGE_SIZE), at = addr;
	int ret = 0;

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || addr % PAGE_SIZE ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	if (end < addr)
		return -ENOMEM;
	mutex_lock(&mm->lock);
	for (struct vma *v = vma_find(mm, addr); at < end; v = vma_next(mm, v)) {
		long error = 0;

		if (!v || v->start > at || !vma_is_own(v))
			ret = -ENOMEM;
		if (!v || v->start >= end)
			break;
		at = MIN(v->end, end);
		if (vma_is_own(v) && (flags & MS_INVALIDATE) && (v->flags & VMA_LOCKED))
			error = -EBUSY;
		else if (vma_is_own(v) && v->file && (v->flags & VMA_SHARED) && (v->flags & VMA_BACKED) && (flags & MS_SYNC))
			error = hostcall(HC_mem_sync, MAX(v->start, addr), at - MAX(v->start, addr), flags);
		if (error < 0)
			ret = (int)error;
	}
	mutex_unlock(&mm->lock);
	return ret;
}

int mm_incore(uint64_t addr, uint64_t pages, uint8_t *vector)
{
	struct mm *mm = mm_current();
	struct vma *v;
	int ret = 0;

	mutex_lock(&mm->lock);
	v = vma_find(mm, addr);
	for (uint64_t i = 0; i < pages; i++, addr += PAGE_SIZE) {
		while (v && v->end <= addr)
			v = vma_next(mm, v);
		if (!v || v->start > addr || !vma_is_own(v)) {
			ret = -ENOMEM;
			break;
		}
		vector[i] = (v->flags & VMA_BACKED) != 0;
	}
	mutex_unlock(&mm->lock);
	return ret;
}
