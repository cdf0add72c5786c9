/*
 * mremap (mm/mm.h): shrink, grow in place, or move. Moving keeps the pages (hostcall mem_move); private anonymous memory
 * that the host cannot move in one piece is copied. Code is never moved. realloc of large blocks lives on this.
 */
#include "core/hostcall.h"
#include "fs/file.h"
#include "mm/family.h"

#include <linux/mman.h>

/* A new mapping of the same kind as v's part at old_addr. */
static struct vma *vma_like(struct mm *mm, const struct vma *v, uint64_t old_addr, uint64_t addr, uint64_t size)
{
	struct vma *n = vma_take(mm);

	n->start = addr;
	n->end = addr + size;
	n->prot = v->prot;
	n->flags = v->flags & ~(VMA_STACK | VMA_HEAP | VMA_GROWSDOWN);
	n->file = v->file;
	if (n->file) {
		file_get(n->file);
		n->offset = v->offset + (off_t)(old_addr - v->start);
	}
	return n;
}

/* Extend v, which ends where the old range ends, by `more` bytes. */
static int grow_in_place(struct mm *mm, struct vma *v, uint64_t more)
{
	uint64_t end = v->end + more;
	int ret;

	if (!range_valid(mm, v->start, end - v->start) || !vma_range_free(mm, v->end, end))
		return -ENOMEM;
	if (v->flags & VMA_BACKED) {
		ret = backing_map(v, v->end, end, v->prot);
		if (ret)
			return ret;
	}
	v->stamp = 0;
	vma_resize(mm, v, v->start, end);
	vma_merge(mm, v);
	return 0;
}

/* The pages of v's [old, old + old_size) to new; the host has nothing there yet that matters. */
static int move_pages(struct vma *v, uint64_t old, uint64_t old_size, uint64_t new, uint64_t new_size)
{
	uint64_t keep = MIN(old_size, new_size);
	long ret;

	if (!(v->flags & VMA_BACKED))
		return 0;
	ret = hostcall(HC_mem_move, old, old_size, new, new_size);
	if (ret >= 0 || ret == -ENOMEM || v->file || (v->flags & VMA_SHARED) || !(v->prot & PROT_READ))
		return ret < 0 ? (int)ret : 0;
	ret = hostcall(HC_mem_commit, new, new_size, PROT_READ | PROT_WRITE, 0);
	if (ret < 0)
		return (int)ret;
	memcpy((void *)new, (const void *)old, keep);
	if (!(v->prot & PROT_WRITE))
		hostcall(HC_mem_protect, new, new_size, v->prot);
	backing_release(old, old + old_size);
	return 0;
}

static long move(struct mm *mm, struct vma *v, uint64_t old, uint64_t old_size, uint64_t new, uint64_t new_size)
{
	struct vma *n;
	int ret;

	if ((v->prot & PROT_EXEC) && !is_wx(v->prot))
		return -EINVAL;
	ret = vma_reserve(mm, 3);
	if (!ret && is_wx(v->prot))
		ret = (int)hostcall(HC_mem_protect, old, old_size, PROT_READ | PROT_WRITE);
	if (ret)
		return ret;
	ret = move_pages(v, old, old_size, new, new_size);
	if (ret)
		return ret;
	n = vma_like(mm, v, old, new, new_size);
	vma_clear(mm, old, old + old_size);
	vma_insert(mm, n);
	vma_merge(mm, n);
	return (long)new;
}

static long remap_fixed(struct mm *mm, uint64_t old, uint64_t old_size, uint64_t new, uint64_t new_size)
{
	struct vma *v;
	int ret;

	if (new % PAGE_SIZE || !range_valid(mm, new, new_size) || vma_foreign(mm, new, new + new_size) || (new < old + old_size && old < new + new_size))
		return -EINVAL;
	ret = unmap_locked(mm, new, new + new_size);
	if (!ret && new_size < old_size) {
		ret = unmap_locked(mm, old + new_size, old + old_size);
		old_size = new_size;
	}
	if (ret)
		return ret;
	v = vma_find(mm, old);
	if (!v || v->start > old || v->end < old + old_size || v->program != program_current())
		return -EFAULT;
	return move(mm, v, old, old_size, new, new_size);
}

static long remap_locked(struct mm *mm, uint64_t old, uint64_t old_size, uint64_t new_size, int flags, uint64_t new)
{
	struct vma *v = vma_find(mm, old);

	if (!v || v->start > old || v->program != program_current())
		return -EFAULT;
	if (flags & MREMAP_FIXED)
		return remap_fixed(mm, old, old_size, new, new_size);
	if (new_size <= old_size) {
		int ret = new_size == old_size ? 0 : unmap_locked(mm, old + new_size, old + old_size);

		return ret ? ret : (long)old;
	}
	if (v->end < old + old_size)
		return -EFAULT;
	if (over_limit(new_size - old_size))
		return -ENOMEM;
	if (v->end == old + old_size && (!(v->prot & PROT_EXEC) || is_wx(v->prot)) && !grow_in_place(mm, v, new_size - old_size))
		return (long)old;
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	new = choose_address(mm, new_size, PAGE_SIZE);
	return new ? move(mm, v, old, old_size, new, new_size) : -ENOMEM;
}

long mm_remap(uint64_t addr, uint64_t old_size, uint64_t new_size, int flags, uint64_t new_addr)
{
	struct mm *mm = mm_current();
	long ret;

	if (addr % PAGE_SIZE || (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED)) || new_size == 0 || old_size == 0 ||
	    ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE)))
		return -EINVAL;
	if (new_size > SLOT_SIZE || old_size > SLOT_SIZE)
		return new_size > SLOT_SIZE ? -ENOMEM : -EFAULT;
	mutex_lock(&mm->lock);
	ret = remap_locked(mm, addr, ALIGN_UP(old_size, PAGE_SIZE), ALIGN_UP(new_size, PAGE_SIZE), flags, new_addr);
	family_keep_own(mm, addr, addr + ALIGN_UP(old_size, PAGE_SIZE));
	if (flags & MREMAP_FIXED)
		family_keep_own(mm, new_addr, new_addr + ALIGN_UP(new_size, PAGE_SIZE));
	mutex_unlock(&mm->lock);
	return ret;
}
