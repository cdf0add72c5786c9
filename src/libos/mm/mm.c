/*
 * The map as a whole: creation with its random places (DESIGN section 7), what a program has of it, and faults. The monitor enforces
 * only the slot; everything here is for the program's own good.
 */
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "core/kheap.h"
#include "ipc/sysv.h"
#include "mm/vma.h"
#include "process/turn.h"
#include "thread/thread.h"

#define STACK_TOP_RANDOM 0x10000000ull /* 256 MiB */
#define MMAP_RANDOM 0x100000000ull     /* 4 GiB */
#define IMAGE_RANDOM 0x10000000ull     /* 256 MiB */

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

int mm_handle_fault(struct mm_fault *f)
{
	struct mm *mm = mm_current();
	uint8_t byte;
	int ret;

	do {
		ret = -EFAULT;
		mutex_lock(&mm->lock);
		struct vma *v = vma_find(mm, f->address);
		if (v && !vma_is_own(v))
			v = NULL;
		if (v && f->address < v->start)
			ret = stack_grow(mm, v, f->address);
		else if (v && vma_is_room(v))
			ret = stack_use_room(mm, v, f->address);
		else if (v)
			ret = write_exec_fault(mm, v, f);
		/* Memory that another thread was making code had the monitor's key for a moment, or none could read it as it was refused. */
		if (v && ret == -EFAULT && f->address >= v->start && (v->prot & PROT_READ) && !f->write &&
		    (f->key || (v->prot & PROT_EXEC && !f->fetch && !copy_from_user(&byte, (void *)f->address, 1))))
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
