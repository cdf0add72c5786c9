/*
 * Scheduling: the host's business. Affinity, policy and I/O priority of a thread are checked and recorded, for it and what it
 * starts, and change nothing. Entry points of the system call table.
 */
#include "core/uaccess.h"
#include "sys/syscalls.h"

#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>

/* The thread, NULL if it is the first one of a process and has left, and its process, locked; NULL if there is none. */
static struct process *lock_thread(uint64_t tid, struct thread **t)
{
	struct process *p = (int32_t)tid ? process_of_thread((int32_t)tid) : process_get(current()->process);

	if (!p)
		return NULL;
	mutex_lock(&p->lock);
	*t = (int32_t)tid ? thread_find(p, (int32_t)tid) : current();
	return p;
}

static void unlock_thread(struct process *p)
{
	mutex_unlock(&p->lock);
	process_put(p);
}

static bool get_sched(uint64_t tid, struct thread_sched *s)
{
	struct thread *t;
	struct process *p = lock_thread(tid, &t);

	if (!p)
		return false;
	memset(s, 0, sizeof(*s));
	if (t)
		*s = t->sched;
	unlock_thread(p);
	return true;
}

static bool thread_exists(uint64_t tid)
{
	struct thread_sched s;

	return get_sched(tid, &s);
}

static void all_cpus(uint64_t *mask)
{
	memset(mask, 0, sizeof(((struct thread_sched *)NULL)->cpus));
	for (uint32_t i = 0; i < MIN(g_start->host_cpus, SCHED_CPUS_MAX); i++)
		mask[i / 64] |= 1ull << (i % 64);
}

static bool any_cpu(const uint64_t *mask)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < SCHED_CPUS_MAX / 64; i++)
		any |= mask[i];
	return any;
}

long sys_sched_getaffinity(struct regs *r)
{
	size_t size = ALIGN_UP((MIN(g_start->host_cpus, SCHED_CPUS_MAX) + 7) / 8, 8);
	struct thread_sched s;

	if (r->rsi < size || (r->rsi & 7))
		return -EINVAL;
	if (!get_sched(r->rdi, &s))
		return -ESRCH;
	if (!any_cpu(s.cpus))
		all_cpus(s.cpus);
	return copy_to_user((void *)r->rdx, s.cpus, size) ? -EFAULT : (long)size;
}

long sys_sched_setaffinity(struct regs *r)
{
	uint64_t mask[SCHED_CPUS_MAX / 64] = { 0 }, cpus[SCHED_CPUS_MAX / 64];
	struct thread *t;
	struct process *p;

	if (!thread_exists(r->rdi))
		return -ESRCH;
	if (copy_from_user(mask, (void *)r->rdx, MIN(r->rsi, sizeof(mask))))
		return -EFAULT;
	all_cpus(cpus);
	for (unsigned i = 0; i < SCHED_CPUS_MAX / 64; i++)
		mask[i] &= cpus[i];
	if (!any_cpu(mask))
		return -EINVAL;
	p = lock_thread(r->rdi, &t);
	if (!p)
		return -ESRCH;
	if (t)
		memcpy(t->sched.cpus, mask, sizeof(mask));
	unlock_thread(p);
	return 0;
}

long sys_sched_getscheduler(struct regs *r)
{
	struct thread_sched s;

	if ((int32_t)r->rdi < 0)
		return -EINVAL;
	return get_sched(r->rdi, &s) ? s.policy | (s.reset_on_fork ? SCHED_RESET_ON_FORK : 0) : -ESRCH;
}

/* What the priority means is the policy's business, and of the real-time ones nobody here has any. */
static long check_policy(uint32_t policy, int32_t priority)
{
	switch (policy) {
	case SCHED_NORMAL:
	case SCHED_BATCH:
	case SCHED_IDLE: return priority ? -EINVAL : 0;
	case SCHED_FIFO:
	case SCHED_RR: return priority >= 1 && priority <= 99 ? -EPERM : -EINVAL;
	default: return -EINVAL;
	}
}

static long set_policy(uint64_t tid, uint32_t policy, bool reset_on_fork, int32_t priority)
{
	long err = check_policy(policy, priority);
	struct process *p;
	struct thread *t;

	p = lock_thread(tid, &t);
	if (!p)
		return -ESRCH;
	if (!err && t) {
		t->sched.policy = (uint8_t)policy;
		t->sched.reset_on_fork = reset_on_fork;
	}
	unlock_thread(p);
	return err;
}

long sys_sched_setscheduler(struct regs *r)
{
	uint32_t policy = (uint32_t)r->rsi;
	int32_t priority;

	if ((int32_t)r->rdi < 0 || (int32_t)policy < 0 || !r->rdx)
		return -EINVAL;
	if (!thread_exists(r->rdi))
		return -ESRCH;
	if (get_user(priority, (void *)r->rdx))
		return -EFAULT;
	return set_policy(r->rdi, policy & ~(uint32_t)SCHED_RESET_ON_FORK, policy & SCHED_RESET_ON_FORK, priority);
}

long sys_sched_getparam(struct regs *r)
{
	if ((int32_t)r->rdi < 0 || !r->rsi)
		return -EINVAL;
	if (!thread_exists(r->rdi))
		return -ESRCH;
	return put_user((int32_t)0, (int32_t *)r->rsi);
}

long sys_sched_setparam(struct regs *r)
{
	struct thread_sched s;
	int32_t priority;

	if ((int32_t)r->rdi < 0 || !r->rsi)
		return -EINVAL;
	if (!get_sched(r->rdi, &s))
		return -ESRCH;
	if (get_user(priority, (void *)r->rsi))
		return -EFAULT;
	return check_policy(s.policy, priority);
}

#ifndef SCHED_EXT
#define SCHED_EXT 7
#endif

static long priority_of(uint64_t policy, long real_time)
{
	switch (policy) {
	case SCHED_FIFO:
	case SCHED_RR: return real_time;
	case SCHED_NORMAL:
	case SCHED_BATCH:
	case SCHED_IDLE:
	case SCHED_DEADLINE:
	case SCHED_EXT: return 0;
	default: return -EINVAL;
	}
}

long sys_sched_get_priority_max(struct regs *r)
{
	return priority_of(r->rdi, 99);
}

long sys_sched_get_priority_min(struct regs *r)
{
	return priority_of(r->rdi, 1);
}

long sys_sched_rr_get_interval(struct regs *r)
{
	struct timespec ts = { 0, 4000000 };

	if ((int32_t)r->rdi < 0)
		return -EINVAL;
	if (!thread_exists(r->rdi))
		return -ESRCH;
	return put_user(ts, (struct timespec *)r->rsi);
}

long sys_sched_getattr(struct regs *r)
{
	struct thread_sched s;
	struct sched_attr a;

	if ((int32_t)r->rdi < 0 || !r->rsi || (uint32_t)r->rdx < SCHED_ATTR_SIZE_VER0 || (uint32_t)r->rdx > PAGE_SIZE || r->r10)
		return -EINVAL;
	if (!get_sched(r->rdi, &s))
		return -ESRCH;
	memset(&a, 0, sizeof(a));
	a.sched_policy = s.policy;
	a.sched_flags = s.reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0;
	a.size = (uint32_t)MIN((uint32_t)r->rdx, sizeof(a));
	return copy_to_user((void *)r->rsi, &a, a.size);
}

/* Of a size that is wrong, or has more than is known, the program is told what is. */
static int copy_attr(struct sched_attr *a, struct sched_attr *user)
{
	uint32_t size;
	int err = -E2BIG;

	if (get_user(size, &user->size))
		return -EFAULT;
	if (!size)
		size = SCHED_ATTR_SIZE_VER0;
	if (size >= SCHED_ATTR_SIZE_VER0 && size <= PAGE_SIZE)
		err = copy_struct_from_user(a, sizeof(*a), user, size);
	if (err == -E2BIG)
		(void)!put_user((uint32_t)sizeof(*a), &user->size);
	return err;
}

long sys_sched_setattr(struct regs *r)
{
	struct sched_attr a;
	int err;

	if ((int32_t)r->rdi < 0 || !r->rsi || (uint32_t)r->rdx)
		return -EINVAL;
	err = copy_attr(&a, (struct sched_attr *)r->rsi);
	if (err)
		return err;
	if ((int32_t)a.sched_policy < 0)
		return -EINVAL;
	if (!thread_exists(r->rdi))
		return -ESRCH;
	if (a.sched_flags & ~(uint64_t)SCHED_FLAG_ALL)
		return -EINVAL;
	return set_policy(r->rdi, a.sched_policy, a.sched_flags & SCHED_FLAG_RESET_ON_FORK, (int32_t)a.sched_priority);
}

/* Groups and users are taken for the caller, as setpriority does. */
static uint64_t io_target(const struct regs *r)
{
	return r->rdi == IOPRIO_WHO_PROCESS ? r->rsi : 0;
}

long sys_ioprio_get(struct regs *r)
{
	struct thread_sched s;

	if ((uint32_t)r->rdi - IOPRIO_WHO_PROCESS > IOPRIO_WHO_USER - IOPRIO_WHO_PROCESS)
		return -EINVAL;
	return get_sched(io_target(r), &s) ? s.ioprio : -ESRCH;
}

static long check_ioprio(uint16_t ioprio)
{
	switch (IOPRIO_PRIO_CLASS(ioprio)) {
	case IOPRIO_CLASS_RT: return -EPERM;
	case IOPRIO_CLASS_BE:
	case IOPRIO_CLASS_IDLE: return 0;
	case IOPRIO_CLASS_NONE: return IOPRIO_PRIO_DATA(ioprio) ? -EINVAL : 0;
	default: return -EINVAL;
	}
}

long sys_ioprio_set(struct regs *r)
{
	uint16_t ioprio = (uint16_t)r->rdx;
	long err = check_ioprio(ioprio);
	struct process *p;
	struct thread *t;

	if (err)
		return err;
	if ((uint32_t)r->rdi - IOPRIO_WHO_PROCESS > IOPRIO_WHO_USER - IOPRIO_WHO_PROCESS)
		return -EINVAL;
	p = lock_thread(io_target(r), &t);
	if (!p)
		return -ESRCH;
	if (t)
		t->sched.ioprio = ioprio;
	unlock_thread(p);
	return 0;
}

/* RDPID and RDTSCP's TSC_AUX: Linux keeps node << 12 | cpu there. */
long sys_getcpu(struct regs *r)
{
	uint32_t low, high, aux;

	__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
	if (r->rdi && put_user(aux & 0xfff, (uint32_t *)r->rdi))
		return -EFAULT;
	return r->rsi ? put_user(aux >> 12, (uint32_t *)r->rsi) : 0;
}
