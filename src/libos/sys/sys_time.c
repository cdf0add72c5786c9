/* Clocks, sleeping and processor time: entry points of the system call table. Clocks are read in thread/clock.c. */
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "core/waitq.h"
#include "sys/syscalls.h"
#include "sys/wait_args.h"
#include "thread/clock.h"

#include <linux/resource.h>
#include <linux/times.h>

#define TICKS_PER_SEC 100 /* USER_HZ */

long sys_clock_gettime(struct regs *r)
{
	struct timespec ts;
	int err = clock_read((int)r->rdi, &ts);

	return err ? err : put_user(ts, (struct timespec *)r->rsi);
}

long sys_clock_getres(struct regs *r)
{
	struct timespec ts;
	int err = clock_resolution((int)r->rdi, &ts);

	return err || !r->rsi ? err : put_user(ts, (struct timespec *)r->rsi);
}

/* The host's clocks are not ours to set. */
long sys_clock_settime(struct regs *r)
{
	struct timespec ts;

	if (clock_read((int)r->rdi, &ts))
		return -EINVAL;
	return r->rdi == CLOCK_REALTIME ? -EPERM : -EINVAL;
}

long sys_settimeofday(struct regs *r)
{
	(void)r;
	return -EPERM;
}

long sys_clock_adjtime(struct regs *r)
{
	(void)r;
	return -EPERM;
}

long sys_adjtimex(struct regs *r)
{
	(void)r;
	return -EPERM;
}

long sys_gettimeofday(struct regs *r)
{
	int64_t now = clock_now(CLOCK_REALTIME);
	struct timeval tv = { now / NSEC_PER_SEC, now % NSEC_PER_SEC / 1000 };
	struct timezone tz = { 0, 0 };

	if (r->rdi && put_user(tv, (struct timeval *)r->rdi))
		return -EFAULT;
	return r->rsi ? put_user(tz, (struct timezone *)r->rsi) : 0;
}

long sys_time(struct regs *r)
{
	int64_t now = clock_now(CLOCK_REALTIME) / NSEC_PER_SEC;

	return r->rdi && put_user(now, (int64_t *)r->rdi) ? -EFAULT : now;
}

/* Sleeps until `deadline`. Relative sleeps tell what is left when a signal interrupts them. */
static long sleep_until(int clock, int64_t deadline, bool absolute, void *remaining)
{
	struct thread *t = current();
	int64_t left;

	while ((left = deadline - clock_now(clock)) > 0) {
		struct timespec ts;
		int err;

		/* a processor time clock runs slower than real time if anything */
		err = thread_sleep(left);
		if (!err || err == -ETIMEDOUT)
			continue;
		if (absolute)
			return -ERESTARTNOHAND;
		left = MAX(deadline - clock_now(clock), 0);
		ts = ns_to_timespec(left);
		if (remaining && copy_to_user(remaining, &ts, sizeof(ts)))
			return -EFAULT;
		return wait_again(t, deadline);
	}
	return 0;
}

static long do_nanosleep(int clock, bool absolute, const void *request, void *remaining)
{
	int64_t deadline;
	int err = wait_deadline(request, clock, absolute, &deadline);

	return err ? err : sleep_until(clock, deadline, absolute, remaining);
}

long sys_nanosleep(struct regs *r)
{
	return do_nanosleep(CLOCK_MONOTONIC, false, (void *)r->rdi, (void *)r->rsi);
}

long sys_clock_nanosleep(struct regs *r)
{
	int clock = (int)r->rdi;
	bool absolute = r->rsi & TIMER_ABSTIME;
	struct timespec now;

	if (clock_read(clock, &now))
		return -EINVAL;
	if (clock == CLOCK_THREAD_CPUTIME_ID || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
		return -EOPNOTSUPP;
	/* a relative sleep is not disturbed by setting the clock */
	if (!absolute && clock == CLOCK_REALTIME)
		clock = CLOCK_MONOTONIC;
	return do_nanosleep(clock, absolute, (void *)r->rdx, (void *)r->r10);
}

/* The host tells only the sum; it counts as user time, as most of it is. */
static int64_t cpu_time(int clock)
{
	struct timespec ts;

	return clock_read(clock, &ts) ? 0 : timespec_to_ns(&ts);
}

long sys_times(struct regs *r)
{
	const int64_t tick = NSEC_PER_SEC / TICKS_PER_SEC;
	struct tms tms = { .tms_utime = cpu_time(CLOCK_PROCESS_CPUTIME_ID) / tick,
			   .tms_cutime = (int64_t)current()->process->children_cpu_ns / tick };

	if (r->rdi && put_user(tms, (struct tms *)r->rdi))
		return -EFAULT;
	return clock_now(CLOCK_MONOTONIC) / tick;
}

long sys_getrusage(struct regs *r)
{
	struct rusage usage;
	struct hc_info info;
	int64_t ns = 0;

	memset(&usage, 0, sizeof(usage));
	switch ((int)r->rdi) {
	case RUSAGE_SELF: ns = cpu_time(CLOCK_PROCESS_CPUTIME_ID); break;
	case RUSAGE_THREAD: ns = cpu_time(CLOCK_THREAD_CPUTIME_ID); break;
	case RUSAGE_CHILDREN: ns = (int64_t)current()->process->children_cpu_ns; break;
	default: return -EINVAL;
	}
	usage.ru_utime.tv_sec = ns / NSEC_PER_SEC;
	usage.ru_utime.tv_usec = ns % NSEC_PER_SEC / 1000;
	if ((int)r->rdi != RUSAGE_CHILDREN && hostcall(HC_cvm_info, &info) == 0)
		usage.ru_maxrss = (long)(info.memory_now / 1024);
	return copy_to_user((void *)r->rsi, &usage, sizeof(usage));
}
