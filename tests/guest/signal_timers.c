/*
 * Timers that send signals: setitimer in its three kinds, alarm, POSIX timers with values, intervals, overruns and
 * a thread as target, and sleeping that signals interrupt. Prints only what does not depend on speed.
 * Build: gcc musl
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static volatile sig_atomic_t g_count, g_value, g_code, g_thread;

static void count(int signal)
{
	(void)signal;
	g_count++;
}

static void note(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	g_count++;
	g_value = info->si_value.sival_int;
	g_code = info->si_code;
	g_thread = (sig_atomic_t)syscall(SYS_gettid);
}

static void install(int signal, void (*handler)(int), void (*with_info)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_flags = with_info ? SA_SIGINFO : 0 };

	if (with_info)
		action.sa_sigaction = with_info;
	else
		action.sa_handler = handler;
	sigaction(signal, &action, NULL);
}

static double seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void interval_timers(void)
{
	struct itimerval v = { { 0, 10000 }, { 0, 10000 } }, old;

	install(SIGALRM, count, NULL);
	g_count = 0;
	setitimer(ITIMER_REAL, &v, NULL);
	while (g_count < 5)
		pause();
	memset(&v, 0, sizeof v);
	setitimer(ITIMER_REAL, &v, &old);
	printf("real: 5 times, interval was %ld us, rest in it %d\n", (long)old.it_interval.tv_usec,
	       old.it_value.tv_sec == 0 && old.it_value.tv_usec <= 10000);
	getitimer(ITIMER_REAL, &old);
	printf("stopped: %ld %ld\n", (long)old.it_value.tv_sec, (long)old.it_value.tv_usec);

	printf("alarm: %u", alarm(100));
	printf(" %u\n", alarm(0));

	int signals[] = { SIGVTALRM, SIGPROF }, kinds[] = { ITIMER_VIRTUAL, ITIMER_PROF };
	for (int i = 0; i < 2; i++) {
		struct itimerval once = { { 0, 0 }, { 0, 30000 } };
		double start = seconds(CLOCK_PROCESS_CPUTIME_ID);

		install(signals[i], count, NULL);
		g_count = 0;
		setitimer(kinds[i], &once, NULL);
		while (!g_count)
			;
		printf("processor time: %d\n", seconds(CLOCK_PROCESS_CPUTIME_ID) - start >= 0.01);
	}
}

static void posix_timers(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 42 };
	struct itimerspec v = { { 0, 1000000 }, { 0, 1000000 } }, old;
	timer_t timer, other;
	sigset_t set;

	install(SIGRTMIN + 1, NULL, note);
	g_count = 0;
	printf("create: %d\n", timer_create(CLOCK_MONOTONIC, &event, &timer));
	printf("unarmed: %d", timer_gettime(timer, &old));
	printf(" %ld\n", old.it_value.tv_nsec);
	timer_settime(timer, 0, &v, NULL);
	while (g_count < 3)
		pause();
	printf("value %d, code is SI_TIMER %d\n", g_value, g_code == SI_TIMER);

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	struct timespec pause_for = { 0, 30000000 };
	while (nanosleep(&pause_for, &pause_for) && errno == EINTR)
		;
	g_count = 0;
	memset(&v, 0, sizeof v);
	struct itimerspec left;
	timer_gettime(timer, &left);
	siginfo_t info;
	int sig = sigwaitinfo(&set, &info);
	printf("waited for it: %d, overrun at least 15: %d, the same by call: %d\n", sig == SIGRTMIN + 1,
	       info.si_overrun >= 15, timer_getoverrun(timer) == info.si_overrun);
	timer_settime(timer, 0, &v, NULL);
	printf("delete: %d", timer_delete(timer));
	printf(" again: %d %s\n", timer_delete(timer), strerror(errno));
	sigprocmask(SIG_UNBLOCK, &set, NULL);

	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_notify_thread_id = (int)syscall(SYS_gettid);
	g_count = 0;
	printf("for a thread: %d\n", timer_create(CLOCK_REALTIME, &event, &other));
	clock_gettime(CLOCK_REALTIME, &v.it_value);
	v.it_value.tv_nsec += 5000000;
	if (v.it_value.tv_nsec >= 1000000000)
		v.it_value.tv_sec++, v.it_value.tv_nsec -= 1000000000;
	v.it_interval = (struct timespec){ 0, 5000000 }; /* one alone might come just before the pause */
	timer_settime(other, TIMER_ABSTIME, &v, NULL);
	while (!g_count)
		pause();
	printf("came to it: %d\n", g_thread == (int)syscall(SYS_gettid));
	timer_delete(other);

	event.sigev_notify = SIGEV_NONE;
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	v = (struct itimerspec){ { 0, 0 }, { 100, 0 } };
	timer_settime(timer, 0, &v, NULL);
	timer_gettime(timer, &old);
	printf("none: %d\n", old.it_value.tv_sec == 99 || old.it_value.tv_sec == 100);
	timer_delete(timer);
	event.sigev_notify = 77;
	printf("bad: %d %s\n", timer_create(CLOCK_MONOTONIC, &event, &timer), strerror(errno));
}

static void sleeping(void)
{
	struct itimerval v = { { 0, 20000 }, { 0, 20000 } };
	struct timespec long_time = { 1000, 0 }, left = { 0, 0 }, at;
	double start = seconds(CLOCK_MONOTONIC);

	install(SIGALRM, count, NULL);
	setitimer(ITIMER_REAL, &v, NULL);
	int ret = nanosleep(&long_time, &left);
	printf("nanosleep: %d %s, left %d\n", ret, strerror(errno), left.tv_sec > 0 && left.tv_sec < 1000);
	printf("ended early: %d\n", seconds(CLOCK_MONOTONIC) - start < 500);

	signal(SIGALRM, SIG_IGN);
	v.it_interval.tv_usec = 0;
	setitimer(ITIMER_REAL, &v, NULL);
	struct timespec short_time = { 0, 60000000 };
	start = seconds(CLOCK_MONOTONIC);
	ret = nanosleep(&short_time, NULL);
	printf("ignored signal: %d, slept %d\n", ret, seconds(CLOCK_MONOTONIC) - start >= 0.06);

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += 20000000;
	if (at.tv_nsec >= 1000000000)
		at.tv_sec++, at.tv_nsec -= 1000000000;
	ret = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("until: %d, reached %d\n", ret,
	       now.tv_sec > at.tv_sec || (now.tv_sec == at.tv_sec && now.tv_nsec >= at.tv_nsec));
	struct timespec bad = { 0, 1000000000 };
	printf("bad: %d %s\n", nanosleep(&bad, NULL), strerror(errno));
	printf("bad clock: %s\n", strerror(clock_nanosleep(77, 0, &short_time, NULL)));
	printf("settime: %d", clock_settime(CLOCK_MONOTONIC, &at));
	printf(" %s\n", strerror(errno));
}

int main(void)
{
	interval_timers();
	posix_timers();
	sleeping();
	return 0;
}
