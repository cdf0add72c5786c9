/*
 * The map as a whole: creation with its random places (DESIGN section 7), what a program has of it, images and the first
 * stack for the loader, and growth of MAP_GROWSDOWN mappings. The monitor enforces only the slot; everything here is for the
 * program's own good.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "ipc/sysv.h"
#include "mm/vma.h"
#include "process/turn.h"
#include "thread/thread.h"

#define STACK_GUARD 0x100000ull	     /* Linux's stack_guard_gap */
#define STACK_TOP_RANDOM 0x10000000ull /* 256 MiB */
#define MMAP_RANDOM 0x100000000ull     /* 4 GiB */
#define IMAGE_RANDOM 0x10000000ull     /* 256 MiB */
#define GROW_STEP 0x10000ull

struct mm *mm_current(void)
{
	return current()->process->mm;
}

struct program *program_current(void)
{
	return current()->process->program;
}

struct mm *mm_create(uint64_t slot_base)
{
	struct mm *mm = kzalloc(sizeof(*mm));
	uint64_t r[4] = {0};

	if (!mm)
		return NULL;
	hostcall(HC_random, r, sizeof(r));
	list_init(&mm->list);
	list_init(&mm->out_of_line);
	mm->base = slot_base;
	mm->random = (uint32_t)r[3] | 1;
	mm->image_skip = ALIGN_DOWN(r[0] % IMAGE_RANDOM, PAGE_SIZE);
	mm->stack_top = ALIGN_DOWN(slot_base + SLOT_SIZE - STACK_GUARD - r[1] % STACK_TOP_RANDOM, PAGE_SIZE);
	mm->mmap_top = ALIGN_DOWN(mm->stack_top - MM_STACK_MAX - STACK_GUARD - r[2] % MMAP_RANDOM, PAGE_SIZE);
	return mm;
}

struct program *program_create(struct mm *mm)
{
	struct program *p = kzalloc(sizeof(*p));

	if (p) {
		p->refs = p->watchers = 1;
		p->mm = mm;
		list_init(&p->family_link);
		list_init(&p->aside);
		list_init(&p->attached);
	}
	return p;
}

struct program *program_get(struct program *p)
{
	__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

void program_put(struct program *p)
{
	if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL))
		return;
	shm_leave(p);
	if (p->family)
		turn_end(p);
	mutex_lock(&p->mm->lock);
	unmap_program(p->mm, p);
	p->mm->brk_windows &= ~p->brk_window;
	mutex_unlock(&p->mm->lock);
	program_unwatch(p);
}

struct program *program_watch(struct program *p)
{
	__atomic_fetch_add(&p->watchers, 1, __ATOMIC_RELAXED);
	return p;
}

void program_unwatch(struct program *p)
{
	if (__atomic_sub_fetch(&p->watchers, 1, __ATOMIC_ACQ_REL) == 0)
		kfree(p);
}

bool mm_will_be_free(uint64_t start, uint64_t end)
{
	struct mm *mm = mm_current();
	struct program *p = program_current();
	bool yes;

	mutex_lock(&mm->lock);
	yes = __atomic_load_n(&p->refs, __ATOMIC_RELAXED) == 1 ? !vma_foreign(mm, start, end) : vma_range_free(mm, start, end);
	yes = yes && !(p->family && family_wants(p->family, start, end));
	mutex_unlock(&mm->lock);
	return yes;
}

long mm_map_stack(uint64_t size)
{
	struct mm *mm = mm_current();
	uint64_t span = MM_STACK_MAX + 2 * STACK_GUARD, low, top = 0; /* where it may grow, and what stays free around it */
	struct vma *v;
	int ret;

	mutex_lock(&mm->lock);
	low = vma_gap(mm, mm->base + SLOT_PROGRAM_BASE, mm->stack_top + STACK_GUARD, span, PAGE_SIZE);
	ret = low ? vma_reserve(mm, 1) : -ENOMEM;
	if (!ret) {
		top = low + span - STACK_GUARD;
		v = vma_take(mm);
		v->start = top - ALIGN_UP(size, PAGE_SIZE);
		v->end = top;
		v->prot = PROT_READ | PROT_WRITE;
		v->flags = VMA_BACKED | VMA_GROWSDOWN | VMA_STACK;
		ret = backing_map(v, v->start, v->end, v->prot);
		if (ret)
			vma_free(mm, v);
		else
			vma_insert(mm, v);
	}
	mutex_unlock(&mm->lock);
	return ret ? ret : (long)top;
}

/* A stack that may grow down to addr, below v, does. */
static int grow_stack(struct mm *mm, struct vma *v, uint64_t addr)
{
	uint64_t start = MAX(ALIGN_DOWN(addr, GROW_STEP), v->end - MM_STACK_MAX);
	struct vma *prev = vma_prev(mm, v);

	if (!(v->flags & VMA_GROWSDOWN) || v->end - ALIGN_DOWN(addr, PAGE_SIZE) > MM_STACK_MAX)
		return -EFAULT;
	if (prev && prev->end + STACK_GUARD > start)
		start = ALIGN_DOWN(addr, PAGE_SIZE);
	if ((prev && prev->end + STACK_GUARD > start) || !range_valid(mm, start, v->start - start) ||
	    backing_map(v, start, v->start, v->prot))
		return -EFAULT;
	vma_resize(mm, v, start, v->end);
	return 0;
}

int mm_handle_fault(struct mm_fault *f)
{
	struct mm *mm = mm_current();
	int ret;

	do {
		ret = -EFAULT;
		mutex_lock(&mm->lock);
		struct vma *v = vma_find(mm, f->address);
		if (v && !vma_is_own(v))
			v = NULL;
		if (v && f->address < v->start)
			ret = grow_stack(mm, v, f->address);
		else if (v)
			ret = write_exec_fault(mm, v, f);
		/* Memory that another thread was making code had the monitor's key for a moment. */
		if (v && ret == -EFAULT && f->key && f->address >= v->start && (v->prot & PROT_READ) && !f->write)
			ret = 0;
		mutex_unlock(&mm->lock);
		if (ret == -EAGAIN)
			hostcall(HC_thread_yield);
	} while (ret == -EAGAIN);
	return ret;
}

uint64_t mm_total_size(const struct program *p)
{
	return p->total;
}

struct mm_args *mm_args(struct program *p)
{
	return &p->args;
}
