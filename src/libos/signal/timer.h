/*
 * Timers of the libOS: one hidden thread, made when the first timer is armed, sleeps until the next is due. For interval
 * timers and POSIX timers (sys/sys_timer.c).
 */
#ifndef LIBOS_TIMER_H
#define LIBOS_TIMER_H

#include "core/list.h"
#include "core/types.h"
#include "signal/signal.h"

struct ktimer {
	struct list link;  /* armed timers, by deadline; empty (list_init) when not armed */
	int64_t deadline;  /* CLOCK_MONOTONIC ns */
	/* On the timer thread, timer_lock held, timer not armed: may call ktimer_arm. May not block for long. */
	void (*fire)(struct ktimer *timer);
};

void timer_lock(void);
void timer_unlock(void);
/* With timer_lock held. Arms, or moves, a timer. 0, or -EAGAIN if the timer thread cannot be made. */
nodiscard int ktimer_arm(struct ktimer *timer, int64_t deadline);
void ktimer_cancel(struct ktimer *timer); /* fine if not armed; timer_lock held */

/* POSIX timers of a process go; with all, those of setitimer, too. */
struct process;
void timers_end(struct process *p, bool all);

/* si_code of a POSIX timer's own signal while it waits; SI_TIMER when it is taken, which programs may also give what they queue. */
#define SI_OWN_TIMER (-0x7ffffffe)
/* A signal of a POSIX timer leaves its queue: sys/sys_timer.c completes the overrun and notes it. Takes no lock. */
void timer_delivered(siginfo_t *info);

#endif
