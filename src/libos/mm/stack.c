/*
 * The first stack of a program, and growth of MAP_GROWSDOWN mappings. The first stack is two mappings: what was used so far, and below
 * it the *room*, which only the libOS knows of. The host gives it memory when it is touched: by the program, which faults, or by a
 * system call of which buffers may lie anywhere above the stack pointer.
 */
#include "core/hostcall.h"
#include "mm/vma.h"
#include "thread/thread.h"

#define GROW_STEP 0x10000ull
#define RED_ZONE 128u

bool vma_is_room(const struct vma *v)
{
	return (v->flags & (VMA_STACK | VMA_BACKED)) == VMA_STACK;
}

long mm_map_stack(void)
{
	struct mm *mm = mm_current();
	uint64_t span = MM_STACK_MAX + 2 * STACK_GUARD, low; /* where it may grow, and what stays free around it */
	struct vma *v;
	int ret;

	mutex_lock(&mm->lock);
	low = vma_gap(mm, mm->base + SLOT_PROGRAM_BASE, mm->stack_top + STACK_GUARD, span, PAGE_SIZE);
	ret = low ? vma_reserve(mm, 1) : -ENOMEM;
	if (!ret) {
		v = vma_take(mm);
		v->start = program_current()->stack_floor = low + STACK_GUARD;
		v->end = v->start + MM_STACK_MAX;
		v->prot = PROT_READ | PROT_WRITE;
		v->flags = VMA_GROWSDOWN | VMA_STACK;
		vma_insert(mm, v);
	}
	mutex_unlock(&mm->lock);
	return ret ? ret : (long)(low + STACK_GUARD + MM_STACK_MAX);
}

int stack_use_room(struct mm *mm, struct vma *v, uint64_t addr)
{
	uint64_t start = MAX(ALIGN_DOWN(addr, GROW_STEP), v->start);

	if (!(v->prot & PROT_WRITE) || vma_reserve(mm, 1) || backing_map(v, start, v->end, v->prot))
		return -EFAULT;
	if (start > v->start)
		v = vma_split(mm, v, start);
	v->flags |= VMA_BACKED;
	vma_merge(mm, v);
	return 0;
}

void mm_stack_reach(uint64_t addr)
{
	struct thread *t = current();
	struct program *p = program_current();
	struct mm *mm = p->mm;
	struct vma *v;

	addr -= RED_ZONE;
	mutex_lock(&mm->lock);
	v = vma_find(mm, addr);
	if (v && v->start <= addr && vma_is_own(v) && vma_is_room(v) && !stack_use_room(mm, v, addr))
		v = vma_find(mm, addr);
	if (v && v->start <= addr && (v->flags & (VMA_STACK | VMA_BACKED)) == (VMA_STACK | VMA_BACKED)) {
		t->stack_room = p->stack_floor + RED_ZONE;
		t->stack_room_size = v->start - p->stack_floor;
	}
	mutex_unlock(&mm->lock);
}

int stack_grow(struct mm *mm, struct vma *v, uint64_t addr)
{
	uint64_t start = MAX(ALIGN_DOWN(addr, GROW_STEP), v->end - MM_STACK_MAX);
	struct vma *prev = vma_prev(mm, v);

	if ((v->flags & (VMA_GROWSDOWN | VMA_STACK)) != VMA_GROWSDOWN || v->end - ALIGN_DOWN(addr, PAGE_SIZE) > MM_STACK_MAX)
		return -EFAULT;
	if (prev && prev->end + STACK_GUARD > start)
		start = ALIGN_DOWN(addr, PAGE_SIZE);
	if ((prev && prev->end + STACK_GUARD > start) || !range_valid(mm, start, v->start - start) ||
	    backing_map(v, start, v->start, v->prot))
		return -EFAULT;
	vma_resize(mm, v, start, v->end);
	return 0;
}
