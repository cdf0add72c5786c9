/*
 * Interval timers and POSIX timers: entry points of the system call table. All of them are ktimers (signal/timer.h);
 * their lock, timer_lock, guards everything here. Timers on processor time look at the clock when it could have been
 * reached at the earliest, and again.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "signal/internal.h"
#include "signal/timer.h"
#include "sys/syscalls.h"
#include "thread/clock.h"

#define POSIX_TIMERS_MAX 256
#define CPU_POLL_MIN_NS 1000000ll
#define NSEC_PER_USEC 1000ll

/* A repeating alarm on some clock, by which both kinds of timers run. */
struct alarm {
	struct process *process; /* whose it is */
	struct ktimer timer;
	int clock;
	bool armed;
	int64_t deadline; /* on `clock`; atomic: alarm_missed */
	int64_t interval; /* ns; 0: once; atomic */
	void (*expired)(struct alarm *a, int64_t overrun);
};

struct posix_timer {
	struct alarm alarm;
	bool used;
	int32_t id;
	int notify, signal;
	int32_t tid; /* SIGEV_THREAD_ID */
	sigval_t value;
	int32_t overrun; /* of the last signal delivered; atomic */
};

static struct posix_timer *g_posix_timers[POSIX_TIMERS_MAX];

static bool is_cpu_clock(int clock)
{
	return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

/* Ask the timer thread to look when the deadline can have come. */
static int alarm_schedule(struct alarm *a)
{
	int64_t now = clock_now(CLOCK_MONOTONIC), wait = a->deadline - clock_now(a->clock), at;

	if (is_cpu_clock(a->clock))
		wait = MAX(wait / (int64_t)g_start->host_cpus, CPU_POLL_MIN_NS);
	if (__builtin_add_overflow(now, MAX(wait, 0), &at))
		at = INT64_MAX;
	return ktimer_arm(&a->timer, at);
}

static void alarm_fire(struct ktimer *timer)
{
	struct alarm *a = container_of(timer, struct alarm, timer);
	int64_t deadline = __atomic_load_n(&a->deadline, __ATOMIC_SEQ_CST), late = clock_now(a->clock) - deadline, overrun = 0;

	if (a->interval && late >= 0) {
		overrun = late / a->interval;
		if (!__atomic_compare_exchange_n(&a->deadline, &deadline, deadline + (overrun + 1) * a->interval, false, __ATOMIC_SEQ_CST,
						 __ATOMIC_SEQ_CST))
			late = -1; /* who took its last signal has counted this */
	}
	if (late < 0) {
		(void)!alarm_schedule(a);
		return;
	}
	if (a->interval) {
		(void)!alarm_schedule(a);
	} else {
		a->armed = false;
	}
	a->expired(a, overrun);
}

/* How often it has expired without that the timer thread has come to it: that is told now, and not again. Without the lock; who sets the
 * alarm takes its interval away first. */
static int64_t alarm_missed(struct alarm *a)
{
	int64_t interval = __atomic_load_n(&a->interval, __ATOMIC_SEQ_CST), deadline = __atomic_load_n(&a->deadline, __ATOMIC_SEQ_CST), n;

	if (!interval || __atomic_load_n(&a->interval, __ATOMIC_SEQ_CST) != interval || clock_now(a->clock) < deadline)
		return 0;
	n = (clock_now(a->clock) - deadline) / interval + 1;
	return __atomic_compare_exchange_n(&a->deadline, &deadline, deadline + n * interval, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ? n : 0;
}

/* For the calling process. */
static void alarm_init(struct alarm *a, int clock, void (*expired)(struct alarm *a, int64_t overrun))
{
	a->process = current()->process;
	list_init(&a->timer.link);
	a->timer.fire = alarm_fire;
	a->clock = clock;
	a->expired = expired;
}

static void alarm_get(const struct alarm *a, int64_t *left, int64_t *interval)
{
	*left = a->armed ? MAX(a->deadline - clock_now(a->clock), 1) : 0;
	*interval = a->interval;
}

static int alarm_set(struct alarm *a, int64_t deadline, int64_t interval)
{
	int err;

	ktimer_cancel(&a->timer);
	__atomic_store_n(&a->interval, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&a->deadline, deadline, __ATOMIC_SEQ_CST);
	__atomic_store_n(&a->interval, interval, __ATOMIC_SEQ_CST);
	err = alarm_schedule(a);
	a->armed = err == 0;
	return err;
}

static void alarm_stop(struct alarm *a)
{
	ktimer_cancel(&a->timer);
	a->armed = false;
	__atomic_store_n(&a->interval, 0, __ATOMIC_SEQ_CST);
}

/* --- setitimer, alarm --- */

#define ITIMERS 3 /* ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF */

static void itimer_expired(struct alarm *a, int64_t overrun)
{
	static const int signals[] = { SIGALRM, SIGVTALRM, SIGPROF };

	(void)overrun;
	signal_send_process(a->process, signals[a - a->process->itimers], NULL);
}

/* Both processor time timers measure all of it: user and system time are not told apart. */
static struct alarm *itimer(int which)
{
	static const int clocks[ITIMERS] = { CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_PROCESS_CPUTIME_ID };
	struct process *p = current()->process;

	if (!p->itimers) {
		p->itimers = kzalloc(ITIMERS * sizeof(*p->itimers));
		for (int i = 0; p->itimers && i < ITIMERS; i++)
			alarm_init(&p->itimers[i], clocks[i], itimer_expired);
	}
	return p->itimers ? &p->itimers[which] : NULL;
}

static struct timeval ns_to_timeval(int64_t ns)
{
	int64_t us = (ns + NSEC_PER_USEC - 1) / NSEC_PER_USEC;

	return (struct timeval){ us / 1000000, us % 1000000 };
}

static int64_t timeval_to_ns(const struct timeval *tv)
{
	struct timespec ts = { tv->tv_sec, tv->tv_usec * NSEC_PER_USEC };

	return timespec_to_ns(&ts);
}

static bool timeval_valid(const struct timeval *tv)
{
	return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

static struct itimerval itimer_read(int which)
{
	int64_t left, interval;

	if (!itimer(which))
		return (struct itimerval){ 0 };
	alarm_get(itimer(which), &left, &interval);
	return (struct itimerval){ .it_interval = ns_to_timeval(interval), .it_value = ns_to_timeval(left) };
}

static int itimer_write(int which, const struct itimerval *v)
{
	struct alarm *a = itimer(which);
	int64_t value = timeval_to_ns(&v->it_value), deadline;

	if (!a)
		return -EAGAIN;
	if (!value) {
		alarm_stop(a);
		if (which != ITIMER_REAL) /* Linux keeps those of processor time, to be read again */
			a->interval = timeval_to_ns(&v->it_interval);
		return 0;
	}
	if (__builtin_add_overflow(clock_now(a->clock), value, &deadline))
		deadline = INT64_MAX;
	return alarm_set(a, deadline, timeval_to_ns(&v->it_interval));
}

long sys_getitimer(struct regs *r)
{
	struct itimerval v;

	if (r->rdi > ITIMER_PROF)
		return -EINVAL;
	timer_lock();
	v = itimer_read((int)r->rdi);
	timer_unlock();
	return put_user(v, (struct itimerval *)r->rsi);
}

long sys_setitimer(struct regs *r)
{
	struct itimerval new = { 0 }, old = { 0 };
	int err;

	if (r->rdi > ITIMER_PROF)
		return -EINVAL;
	if (r->rsi && get_user(new, (void *)r->rsi))
		return -EFAULT;
	if (!timeval_valid(&new.it_value) || !timeval_valid(&new.it_interval))
		return -EINVAL;
	timer_lock();
	if (r->rdx)
		old = itimer_read((int)r->rdi);
	err = itimer_write((int)r->rdi, &new);
	timer_unlock();
	return !err && r->rdx ? put_user(old, (struct itimerval *)r->rdx) : err;
}

long sys_alarm(struct regs *r)
{
	struct itimerval new = { .it_value.tv_sec = (uint32_t)r->rdi }, old;

	timer_lock();
	old = itimer_read(ITIMER_REAL);
	(void)!itimer_write(ITIMER_REAL, &new);
	timer_unlock();
	/* as Linux: what is left, rounded to the nearest second, but not to 0 */
	return old.it_value.tv_sec + (old.it_value.tv_usec >= 500000 || (!old.it_value.tv_sec && old.it_value.tv_usec));
}

/* --- POSIX timers --- */

static void posix_expired(struct alarm *a, int64_t overrun)
{
	struct posix_timer *t = container_of(a, struct posix_timer, alarm);
	siginfo_t info;

	if (t->notify == SIGEV_NONE)
		return;
	memset(&info, 0, sizeof(info));
	info.si_signo = t->signal;
	info.si_code = SI_OWN_TIMER;
	info.si_tid = t->id;
	info.si_overrun = (int)MIN(overrun, INT32_MAX);
	info.si_value = t->value;
	if (t->notify == SIGEV_THREAD_ID)
		(void)signal_send_tid(a->process, t->tid, t->signal, &info);
	else
		(void)signal_send_process(a->process, t->signal, &info);
}

void timer_delivered(siginfo_t *info)
{
	struct posix_timer *t;

	if ((uint32_t)info->si_tid >= POSIX_TIMERS_MAX)
		return;
	t = __atomic_load_n(&g_posix_timers[info->si_tid], __ATOMIC_ACQUIRE);
	if (!t || __atomic_load_n(&t->alarm.process, __ATOMIC_RELAXED) != current()->process) /* it was deleted, and is another one's */
		return;
	info->si_overrun = (int)MIN(info->si_overrun + alarm_missed(&t->alarm), INT32_MAX);
	__atomic_store_n(&t->overrun, info->si_overrun, __ATOMIC_RELAXED);
}

/* timer_lock held. */
static struct posix_timer *posix_find(uint64_t id)
{
	struct posix_timer *t = id < POSIX_TIMERS_MAX ? g_posix_timers[id] : NULL;

	return t && t->used && t->alarm.process == current()->process ? t : NULL;
}

/* A free one; never freed again, since timer_delivered looks without lock. */
static struct posix_timer *posix_take(void)
{
	for (int32_t id = 0; id < POSIX_TIMERS_MAX; id++) {
		struct posix_timer *t = g_posix_timers[id];

		if (t && t->used)
			continue;
		if (!t) {
			t = kzalloc(sizeof(*t));
			if (!t)
				return NULL;
			t->id = id;
			__atomic_store_n(&g_posix_timers[id], t, __ATOMIC_RELEASE);
		}
		return t;
	}
	return NULL;
}

static int sigevent_check(const sigevent_t *e)
{
	struct process *p = current()->process;
	struct thread *t;

	switch (e->sigev_notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL:
	case SIGEV_THREAD: /* SIGEV_THREAD alone is C library business; Linux takes it for SIGEV_SIGNAL */
		break;
	case SIGEV_SIGNAL | SIGEV_THREAD_ID:
		mutex_lock(&p->lock);
		t = thread_find(p, e->sigev_notify_thread_id);
		mutex_unlock(&p->lock);
		if (!t)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	return e->sigev_signo > 0 && e->sigev_signo <= SIGNAL_COUNT ? 0 : -EINVAL;
}

long sys_timer_create(struct regs *r)
{
	int clock = (int)r->rdi, err;
	struct timespec now;
	sigevent_t e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct posix_timer *t;
	int32_t id;

	if (clock_read(clock, &now))
		return -EINVAL;
	if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
		return -EOPNOTSUPP;
	/* Only the caller can read its thread's clock; the timer thread would read its own. */
	if (clock == CLOCK_THREAD_CPUTIME_ID || (clock < 0 && (clock & 4)))
		return -EOPNOTSUPP;
	if (r->rsi && get_user(e, (void *)r->rsi))
		return -EFAULT;
	err = sigevent_check(&e);
	if (err)
		return err;
	timer_lock();
	t = posix_take();
	if (t) {
		id = t->id;
		alarm_init(&t->alarm, clock, posix_expired);
		t->alarm.armed = false;
		t->alarm.interval = 0;
		t->notify = e.sigev_notify;
		t->signal = e.sigev_signo;
		t->tid = e.sigev_notify_thread_id;
		t->value = e.sigev_value;
		t->overrun = 0;
		if (!r->rsi)
			t->value.sival_int = id;
		t->used = true;
	}
	timer_unlock();
	return t ? put_user(id, (int32_t *)r->rdx) : -EAGAIN;
}

static struct itimerspec posix_read(const struct posix_timer *t)
{
	int64_t left, interval;

	alarm_get(&t->alarm, &left, &interval);
	return (struct itimerspec){ .it_interval = ns_to_timespec(interval), .it_value = ns_to_timespec(left) };
}

long sys_timer_gettime(struct regs *r)
{
	struct posix_timer *t;
	struct itimerspec v;

	timer_lock();
	t = posix_find((uint32_t)r->rdi);
	if (t)
		v = posix_read(t);
	timer_unlock();
	return t ? put_user(v, (struct itimerspec *)r->rsi) : -EINVAL;
}

static int posix_write(struct posix_timer *t, bool absolute, const struct itimerspec *v)
{
	int64_t deadline = timespec_to_ns(&v->it_value);

	t->overrun = 0;
	if (!deadline) {
		alarm_stop(&t->alarm);
		return 0;
	}
	if (!absolute && __builtin_add_overflow(deadline, clock_now(t->alarm.clock), &deadline))
		deadline = INT64_MAX;
	return alarm_set(&t->alarm, deadline, timespec_to_ns(&v->it_interval));
}

long sys_timer_settime(struct regs *r)
{
	struct itimerspec new, old;
	struct posix_timer *t;
	int err = -EINVAL;

	if (!r->rdx)
		return -EINVAL;
	if (get_user(new, (void *)r->rdx))
		return -EFAULT;
	if (!timespec_valid(&new.it_value) || !timespec_valid(&new.it_interval))
		return -EINVAL;
	timer_lock();
	t = posix_find((uint32_t)r->rdi);
	if (t) {
		old = posix_read(t);
		err = posix_write(t, r->rsi & TIMER_ABSTIME, &new);
	}
	timer_unlock();
	return !err && r->r10 ? put_user(old, (struct itimerspec *)r->r10) : err;
}

long sys_timer_getoverrun(struct regs *r)
{
	struct posix_timer *t;
	long overrun = -EINVAL;

	timer_lock();
	t = posix_find((uint32_t)r->rdi);
	if (t)
		overrun = __atomic_load_n(&t->overrun, __ATOMIC_RELAXED);
	timer_unlock();
	return overrun;
}

long sys_timer_delete(struct regs *r)
{
	struct posix_timer *t;

	timer_lock();
	t = posix_find((uint32_t)r->rdi);
	if (t) {
		alarm_stop(&t->alarm);
		t->used = false;
	}
	timer_unlock();
	return t ? 0 : -EINVAL;
}

void timers_end(struct process *p, bool all)
{
	timer_lock();
	for (int i = 0; i < POSIX_TIMERS_MAX; i++) {
		struct posix_timer *t = g_posix_timers[i];

		if (t && t->used && t->alarm.process == p) {
			alarm_stop(&t->alarm);
			t->used = false;
		}
	}
	for (int i = 0; i < ITIMERS && all && p->itimers; i++)
		alarm_stop(&p->itimers[i]);
	timer_unlock();
}
