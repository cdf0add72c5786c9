/*
 * RLIMIT_CPU. The host tells a thread its own processor time only, so each counts for its process: ten times a second, while some process
 * has a limit, the timer thread kicks the threads of those that run, and on the way back to the program they count and compare.
 * A process that had its soft limit gets SIGXCPU every second from then on, one that had its hard limit SIGKILL.
 */
#include "signal/cpu_limit.h"
#include "core/hostcall.h"
#include "process/process.h"
#include "signal/timer.h"
#include "thread/clock.h"
#include "thread/thread.h"

#include <linux/resource.h>
#include <linux/time.h>

#define TICK_NS 100000000ll

bool g_cpu_limits;

static void tick(struct ktimer *timer);
static struct ktimer g_tick = { .link = { &g_tick.link, &g_tick.link }, .fire = tick };

static bool has_limit(const struct process *p)
{
	return __atomic_load_n(&p->rlimits[RLIMIT_CPU].rlim_cur, __ATOMIC_RELAXED) != RLIM64_INFINITY ||
	       __atomic_load_n(&p->rlimits[RLIMIT_CPU].rlim_max, __ATOMIC_RELAXED) != RLIM64_INFINITY;
}

static void ask_to_count(struct process *p, void *data)
{
	bool *any = data;

	if (!has_limit(p))
		return;
	mutex_lock(&p->lock);
	list_for_each(pos, &p->threads) {
		struct thread *t = list_entry(pos, struct thread, link);

		*any = true;
		if (!__atomic_load_n(&t->asleep, __ATOMIC_RELAXED))
			thread_notify(t, WORK_TURN); /* which no wait ends for */
	}
	mutex_unlock(&p->lock);
}

/* Without anybody who has a limit the ticks end; those who come have theirs from a parent that is looked at, or by cpu_limit_begin. */
static void tick(struct ktimer *timer)
{
	bool any = false;

	process_tree_lock();
	process_for_each(ask_to_count, &any);
	process_tree_unlock();
	__atomic_store_n(&g_cpu_limits, any, __ATOMIC_RELAXED);
	if (any)
		(void)!ktimer_arm(timer, clock_now(CLOCK_MONOTONIC) + TICK_NS);
}

int cpu_limit_begin(void)
{
	int err = 0;

	timer_lock();
	if (!g_cpu_limits)
		err = ktimer_arm(&g_tick, clock_now(CLOCK_MONOTONIC) + TICK_NS);
	if (!err)
		__atomic_store_n(&g_cpu_limits, true, __ATOMIC_RELAXED);
	timer_unlock();
	return err;
}

/* p->lock held. */
static uint64_t seconds_of(const struct process *p)
{
	uint64_t ns = p->cpu_ns;

	list_for_each(pos, &p->threads)
		ns += list_entry(pos, struct thread, link)->cpu_seen;
	return ns / NSEC_PER_SEC;
}

void cpu_limit_check(void)
{
	struct process *p = current()->process;
	struct rlimit64 *limit = &p->rlimits[RLIMIT_CPU];
	uint64_t ns, seconds;
	int sig = 0;

	if (!has_limit(p) || hostcall(HC_thread_cputime, 0, &ns))
		return;
	mutex_lock(&p->lock);
	current()->cpu_seen = ns;
	seconds = seconds_of(p);
	if (seconds >= MAX(limit->rlim_max, 1ull)) {
		sig = SIGKILL;
	} else if (seconds >= MAX(limit->rlim_cur, 1ull)) {
		sig = SIGXCPU;
		limit->rlim_cur = MAX(limit->rlim_cur, 1ull) + 1; /* as on Linux, where the program sees that, too */
	}
	mutex_unlock(&p->lock);
	if (sig)
		(void)signal_send_process(p, sig, NULL);
}
