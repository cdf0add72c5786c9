/*
 * mlock and its family (mm/mm.h): which memory counts as locked. Whether the host keeps it in RAM is the host's business;
 * programs ask for it to keep secrets from disks or for steady speed, and run on without.
 */
#include "mm/vma.h"
#include "thread/thread.h"

#include <linux/resource.h>

static uint64_t locked_size(const struct program *p)
{
	uint64_t sum = 0;

	list_for_each(pos, &p->mm->list) {
		struct vma *v = list_entry(pos, struct vma, link);

		sum += v->program == p && v->flags & VMA_LOCKED ? v->end - v->start : 0;
	}
	return sum;
}

uint64_t lockable(const struct program *p)
{
	uint64_t limit = process_limit(current()->process, RLIMIT_MEMLOCK), now = locked_size(p);

	return limit > now ? limit - now : 0;
}

uint64_t mm_locked_size(const struct program *p)
{
	uint64_t sum;

	mutex_lock(&p->mm->lock);
	sum = locked_size(p);
	mutex_unlock(&p->mm->lock);
	return sum;
}

/* -EPERM or -ENOMEM if `more` bytes besides those that are locked are too many. */
static int check_limit(uint64_t more)
{
	if (more && !process_limit(current()->process, RLIMIT_MEMLOCK))
		return -EPERM;
	return more > lockable(program_current()) ? -ENOMEM : 0;
}

/* Bytes in [start, end) that are not locked yet; -ENOMEM in *error at a hole. */
static uint64_t unlocked_in(struct mm *mm, uint64_t start, uint64_t end, int *error)
{
	uint64_t sum = 0, at = start;

	for (struct vma *v = vma_find(mm, start); at < end; v = vma_next(mm, v)) {
		if (!v || v->start > at || !vma_is_own(v)) {
			*error = -ENOMEM;
			break;
		}
		if (!(v->flags & VMA_LOCKED))
			sum += MIN(v->end, end) - at;
		at = v->end;
	}
	return sum;
}

static void mark(struct mm *mm, uint64_t start, uint64_t end, bool locked)
{
	struct vma *v = vma_find(mm, start);

	if (v && v->start < start)
		v = vma_split(mm, v, start);
	while (v && v->start < end) {
		if (v->end > end)
			vma_split(mm, v, end);
		v->flags = locked ? v->flags | VMA_LOCKED : v->flags & ~VMA_LOCKED;
		v = vma_next(mm, vma_merge(mm, v));
	}
	if (v)
		vma_merge(mm, v);
}

/* What cannot be touched is marked as locked, but not brought into memory. */
static bool has_no_access(struct mm *mm, uint64_t start, uint64_t end)
{
	for (struct vma *v = vma_find(mm, start); v && v->start < end; v = vma_next(mm, v))
		if (!(v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
			return true;
	return false;
}

int mm_lock(uint64_t addr, uint64_t size, bool locked, bool at_once)
{
	struct mm *mm = mm_current();
	uint64_t start = ALIGN_DOWN(addr, PAGE_SIZE), end;
	int error = 0, ret = 0;

	if (__builtin_add_overflow(addr, size, &end) || end > UINT64_MAX - PAGE_SIZE)
		return -EINVAL;
	end = ALIGN_UP(end, PAGE_SIZE);
	if (start == end)
		return 0;
	mutex_lock(&mm->lock);
	uint64_t more = unlocked_in(mm, start, end, &error);
	if (locked)
		ret = check_limit(more);
	if (!ret)
		ret = vma_reserve(mm, 2);
	if (!ret && !error)
		mark(mm, start, end, locked);
	if (!error && locked && at_once && has_no_access(mm, start, end))
		error = -ENOMEM;
	mutex_unlock(&mm->lock);
	return ret ? ret : error;
}

int mm_lock_all(bool now, bool future)
{
	struct program *p = program_current();
	struct mm *mm = p->mm;
	int ret = 0;

	mutex_lock(&mm->lock);
	if (now)
		ret = check_limit(p->total - locked_size(p));
	if (!ret) {
		p->lock_future = future;
		list_for_each(pos, &mm->list) {
			struct vma *v = list_entry(pos, struct vma, link);

			if (!vma_is_own(v))
				continue;
			if (now)
				v->flags |= VMA_LOCKED;
			else if (!future)
				v->flags &= ~VMA_LOCKED;
		}
	}
	mutex_unlock(&mm->lock);
	return ret;
}
