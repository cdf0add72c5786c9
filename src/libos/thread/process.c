/*
 * The process of a cVM: identity, limits, and its end. The first process has pid 1 and parent 0, as the first process
 * of a container has; unlike there, signals with default action do end it. Ending is one hostcall: the monitor stops
 * every thread and gives everything back.
 */
#include "abi/boot.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "fs/file.h"
#include "signal/internal.h"
#include "sys/trace.h"
#include "thread/clock.h"
#include "thread/entry.h"
#include "thread/thread.h"

#include <linux/resource.h>

struct process *g_process;
const struct cvm_start *g_start;

void thread_init(const struct cvm_start *start)
{
	g_start = start;
	signal_frame_init();
}

static void limits_init(struct rlimit64 *l)
{
	for (int i = 0; i < RLIM_NLIMITS; i++)
		l[i] = (struct rlimit64){ RLIM64_INFINITY, RLIM64_INFINITY };
	l[RLIMIT_STACK].rlim_cur = 8ull << 20;
	l[RLIMIT_CORE].rlim_cur = 0;
	l[RLIMIT_NOFILE] = (struct rlimit64){ 1024, FD_LIMIT_MAX };
	l[RLIMIT_NPROC] = (struct rlimit64){ g_start->threads_max, g_start->threads_max };
	l[RLIMIT_SIGPENDING] = (struct rlimit64){ SIGNAL_QUEUE_MAX, SIGNAL_QUEUE_MAX };
	l[RLIMIT_MEMLOCK] = (struct rlimit64){ 8ull << 20, 8ull << 20 };
	l[RLIMIT_MSGQUEUE] = (struct rlimit64){ 819200, 819200 };
	l[RLIMIT_NICE] = l[RLIMIT_RTPRIO] = (struct rlimit64){ 0, 0 };
}

struct process *process_create(struct libos_boot *boot)
{
	struct process *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->rlimits = kzalloc(RLIM_NLIMITS * sizeof(*p->rlimits));
	if (!p->rlimits) {
		kfree(p);
		return NULL;
	}
	limits_init(p->rlimits);
	list_init(&p->threads);
	signal_process_init(p);
	p->pid = p->pgid = p->sid = 1;
	p->boot = boot;
	p->boot_flags = boot->flags;
	trace_init(boot->flags);
	g_fast_limit = boot->flags & BOOT_FLAG_TRACE ? 0 : g_fast_limit;
	p->uid = p->euid = p->suid = boot->uid;
	p->gid = p->egid = p->sgid = boot->gid;
	p->start_ns = (uint64_t)clock_now(CLOCK_MONOTONIC);
	g_process = p;
	return p;
}

uint64_t process_limit(struct process *p, int resource)
{
	return __atomic_load_n(&p->rlimits[resource].rlim_cur, __ATOMIC_RELAXED);
}

void process_exit(uint32_t status)
{
	struct process *p = current()->process;
	uint64_t fast, slow;

	__atomic_store_n(&p->exiting, 1, __ATOMIC_SEQ_CST);
	thread_syscall_counts(p, &fast, &slow);
	hostcall(HC_cvm_exit, status & 0xff, (status & 0x100) != 0, fast);
	panic("cvm_exit returned");
}
