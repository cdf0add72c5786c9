/*
 * The timer thread (signal/timer.h). It sleeps in a futex wait on a word that changes with every deadline before it would wake; a
 * timer that was stopped or put off does not wake it.
 * It is a thread of the libOS alone: it never enters the program, takes no signals, and outside signals that the monitor
 * told it of go on to the program's threads.
 */
#include "signal/timer.h"
#include "core/hostcall.h"
#include "signal/internal.h"

#include <linux/time.h>

static struct mutex g_timer_lock;
static struct list g_timers = LIST_INIT(g_timers); /* by deadline; g_timer_lock */
static bool g_timer_thread;			   /* started; g_timer_lock */
static uint32_t g_timer_changes;		   /* futex word: a deadline before g_timer_looks */
static int64_t g_timer_looks;			   /* when the thread looks next, 0 while it does; g_timer_lock */

void timer_lock(void)
{
	mutex_lock(&g_timer_lock);
}

void timer_unlock(void)
{
	mutex_unlock(&g_timer_lock);
}

/* Runs what is due; ns until the next, or -1. */
static int64_t run_due(void)
{
	int64_t wait = -1;

	timer_lock();
	g_timer_looks = 0;
	while (!list_empty(&g_timers)) {
		struct ktimer *first = list_entry(g_timers.next, struct ktimer, link);

		wait = first->deadline - clock_now(CLOCK_MONOTONIC);
		if (wait > 0) {
			g_timer_looks = first->deadline;
			break;
		}
		wait = -1;
		list_remove(&first->link);
		first->fire(first);
	}
	if (wait < 0)
		g_timer_looks = INT64_MAX;
	timer_unlock();
	return wait;
}

static void timer_main(void *arg)
{
	struct thread *t = current();

	(void)arg;
	for (;;) {
		uint32_t seen = __atomic_load_n(&g_timer_changes, __ATOMIC_SEQ_CST);
		int64_t wait = run_due();

		__atomic_fetch_and(&t->work, 0, __ATOMIC_SEQ_CST);
		signal_send_noted();
		(void)hostcall_blocking(HC_futex_wait, &g_timer_changes, seen, wait);
	}
}

int ktimer_arm(struct ktimer *timer, int64_t deadline)
{
	struct list *at = g_timers.prev;
	int err;

	if (!g_timer_thread) {
		if (!thread_start_hidden(g_process, timer_main, NULL, &err))
			return -EAGAIN;
		g_timer_thread = true;
	}
	list_remove(&timer->link);
	timer->deadline = deadline;
	while (at != &g_timers && list_entry(at, struct ktimer, link)->deadline > deadline)
		at = at->prev;
	list_insert_after(at, &timer->link);
	if (deadline < g_timer_looks) {
		g_timer_looks = deadline;
		__atomic_fetch_add(&g_timer_changes, 1, __ATOMIC_SEQ_CST);
		hostcall(HC_futex_wake, &g_timer_changes, 1);
	}
	return 0;
}

void ktimer_cancel(struct ktimer *timer)
{
	list_remove(&timer->link);
}
