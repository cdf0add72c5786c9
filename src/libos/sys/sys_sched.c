/*
 * Scheduling: the host's business. Affinity is checked and recorded, everybody is SCHED_OTHER. Entry points of the system
 * call table.
 */
#include "core/uaccess.h"
#include "sys/syscalls.h"

#include <linux/sched.h>
#include <linux/sched/types.h>

#define CPUS_MAX 1024u
#define CPU_WORDS (CPUS_MAX / 64)

static struct mutex g_affinity_lock;
static uint64_t g_affinity[CPU_WORDS]; /* of the cVM, for every thread; all zero: never set */

static bool thread_exists(uint64_t tid)
{
	struct process *p;
	bool found;

	if ((int32_t)tid == 0)
		return true;
	p = process_of_thread((int32_t)tid);
	found = p != NULL;
	process_put(p);
	return found;
}

static void all_cpus(uint64_t *mask)
{
	memset(mask, 0, CPU_WORDS * sizeof(*mask));
	for (uint32_t i = 0; i < MIN(g_start->host_cpus, CPUS_MAX); i++)
		mask[i / 64] |= 1ull << (i % 64);
}

long sys_sched_getaffinity(struct regs *r)
{
	uint64_t mask[CPU_WORDS], any = 0;
	size_t size = ALIGN_UP((MIN(g_start->host_cpus, CPUS_MAX) + 7) / 8, 8);

	if (r->rsi < size || (r->rsi & 7))
		return -EINVAL;
	if (!thread_exists(r->rdi))
		return -ESRCH;
	mutex_lock(&g_affinity_lock);
	memcpy(mask, g_affinity, sizeof(mask));
	mutex_unlock(&g_affinity_lock);
	for (unsigned i = 0; i < CPU_WORDS; i++)
		any |= mask[i];
	if (!any)
		all_cpus(mask);
	return copy_to_user((void *)r->rdx, mask, size) ? -EFAULT : (long)size;
}

long sys_sched_setaffinity(struct regs *r)
{
	uint64_t mask[CPU_WORDS] = { 0 }, cpus[CPU_WORDS], any = 0;

	if (!thread_exists(r->rdi))
		return -ESRCH;
	if (copy_from_user(mask, (void *)r->rdx, MIN(r->rsi, sizeof(mask))))
		return -EFAULT;
	all_cpus(cpus);
	for (unsigned i = 0; i < CPU_WORDS; i++)
		any |= mask[i] &= cpus[i];
	if (!any)
		return -EINVAL;
	mutex_lock(&g_affinity_lock);
	memcpy(g_affinity, mask, sizeof(mask));
	mutex_unlock(&g_affinity_lock);
	return 0;
}

long sys_sched_getscheduler(struct regs *r)
{
	return thread_exists(r->rdi) ? SCHED_NORMAL : -ESRCH;
}

static long check_policy(uint64_t policy, int32_t priority)
{
	switch (policy & ~(uint64_t)SCHED_RESET_ON_FORK) {
	case SCHED_NORMAL:
	case SCHED_BATCH:
	case SCHED_IDLE: return priority ? -EINVAL : 0;
	case SCHED_FIFO:
	case SCHED_RR: return priority >= 1 && priority <= 99 ? -EPERM : -EINVAL;
	default: return -EINVAL;
	}
}

long sys_sched_setscheduler(struct regs *r)
{
	int32_t priority;

	if (!thread_exists(r->rdi))
		return -ESRCH;
	if (get_user(priority, (void *)r->rdx))
		return -EFAULT;
	return check_policy(r->rsi, priority);
}

long sys_sched_getparam(struct regs *r)
{
	if (!thread_exists(r->rdi))
		return -ESRCH;
	return put_user((int32_t)0, (int32_t *)r->rsi);
}

long sys_sched_setparam(struct regs *r)
{
	int32_t priority;

	if (!thread_exists(r->rdi))
		return -ESRCH;
	if (get_user(priority, (void *)r->rsi))
		return -EFAULT;
	return check_policy(SCHED_NORMAL, priority);
}

static long priority_of(uint64_t policy, long real_time)
{
	switch (policy) {
	case SCHED_FIFO:
	case SCHED_RR: return real_time;
	case SCHED_NORMAL:
	case SCHED_BATCH:
	case SCHED_IDLE: return 0;
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

	if (!thread_exists(r->rdi))
		return -ESRCH;
	return put_user(ts, (struct timespec *)r->rsi);
}

long sys_sched_getattr(struct regs *r)
{
	struct sched_attr a;

	if (r->rdx < SCHED_ATTR_SIZE_VER0 || r->rdx > PAGE_SIZE || r->r10)
		return -EINVAL;
	if (!thread_exists(r->rdi))
		return -ESRCH;
	memset(&a, 0, sizeof(a));
	a.size = (uint32_t)MIN(r->rdx, sizeof(a));
	return copy_to_user((void *)r->rsi, &a, a.size);
}

long sys_sched_setattr(struct regs *r)
{
	struct sched_attr a;

	memset(&a, 0, sizeof(a));
	if (r->rdx || copy_from_user(&a, (void *)r->rsi, SCHED_ATTR_SIZE_VER0))
		return r->rdx ? -EINVAL : -EFAULT;
	if (!thread_exists(r->rdi))
		return -ESRCH;
	return check_policy(a.sched_policy, (int32_t)a.sched_priority);
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
