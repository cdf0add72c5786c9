/*
 * eventfd, timerfd and signalfd: values, blocking, readiness, errors.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what, long r)
{
	printf("%s: %ld%s%s\n", what, r, r < 0 ? " " : "", r < 0 ? strerrorname_np(errno) : "");
}

static int ready(int fd, int timeout)
{
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };

	poll(&p, 1, timeout);
	return p.revents;
}

static void *bump(void *arg)
{
	uint64_t one = 1;

	for (int i = 0; i < 1000; i++)
		write(*(int *)arg, &one, 8);
	return NULL;
}

static void events(void)
{
	uint64_t v = 0;
	int e = eventfd(3, EFD_NONBLOCK);

	say("bad flags", eventfd(0, 0x10));
	printf("poll %#x\n", ready(e, 0));
	say("short read", read(e, &v, 4));
	say("read", read(e, &v, 8));
	printf("value %lu poll %#x\n", (unsigned long)v, ready(e, 0));
	say("empty", read(e, &v, 8));
	v = UINT64_MAX;
	say("write of -1", write(e, &v, 8));
	v = UINT64_MAX - 1;
	say("write of the most", write(e, &v, 8));
	printf("poll %#x\n", ready(e, 0));
	v = 1;
	say("overflow", write(e, &v, 8));
	say("bad buffer", write(e, (void *)8, 8));
	close(e);
	uint64_t one = 1, two = 2;
	struct iovec pieces[] = { { &one, 0 }, { &one, 8 }, { &two, 0 }, { &two, 8 } };
	e = eventfd(0, EFD_NONBLOCK);
	say("an empty piece first", writev(e, pieces, 4));
	say("an empty piece later", writev(e, pieces + 1, 3));
	say("empty pieces only", writev(e, (struct iovec[]){ { &one, 0 }, { &two, 0 } }, 2));
	say("read", read(e, &v, 8));
	printf("value %lu\n", (unsigned long)v);
	close(e);
	e = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	say("semaphore", read(e, &v, 8));
	say("semaphore", read(e, &v, 8));
	say("semaphore", read(e, &v, 8));
	printf("value %lu\n", (unsigned long)v);
	close(e);

	pthread_t t[4];
	uint64_t sum = 0;

	e = eventfd(0, 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, bump, &e);
	while (sum < 4000) {
		read(e, &v, 8);
		sum += v;
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	printf("sum %lu\n", (unsigned long)sum);
	close(e);
}

static void timers(void)
{
	struct itimerspec its = { { 0, 0 }, { 1000, 0 } }, old;
	uint64_t n = 0;
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	say("bad clock", timerfd_create(77, 0));
	say("not armed", read(t, &n, 8));
	say("settime", timerfd_settime(t, 0, &its, &old));
	printf("old %ld.%ld\n", (long)old.it_value.tv_sec, old.it_value.tv_nsec);
	say("too early", read(t, &n, 8));
	say("gettime", timerfd_gettime(t, &old));
	printf("left %s\n", old.it_value.tv_sec > 0 && old.it_value.tv_sec <= 1000 ? "sensible" : "wrong");
	its.it_value = (struct timespec){ 0, 20000000 };
	say("settime", timerfd_settime(t, 0, &its, &old));
	printf("poll %#x\n", ready(t, 60000) & ~POLLOUT);
	say("read", read(t, &n, 8));
	printf("expirations %lu\n", (unsigned long)n);
	its.it_value.tv_nsec = -1;
	say("bad time", timerfd_settime(t, 0, &its, NULL));
	say("bad file", timerfd_settime(0, 0, &(struct itimerspec){ 0 }, NULL));
	close(t);
	t = timerfd_create(CLOCK_REALTIME, 0);
	its = (struct itimerspec){ { 0, 5000000 }, { 0, 5000000 } };
	timerfd_settime(t, 0, &its, NULL);
	say("blocking read", read(t, &n, 8));
	usleep(30000);
	read(t, &n, 8);
	printf("several %d\n", n >= 3);
	clock_gettime(CLOCK_REALTIME, &its.it_value);
	its.it_interval = (struct timespec){ 0, 0 };
	its.it_value.tv_sec -= 5;
	timerfd_settime(t, TFD_TIMER_ABSTIME, &its, NULL);
	say("past time", read(t, &n, 8));
	printf("expirations %lu\n", (unsigned long)n);
	close(t);
}

static void signals(void)
{
	struct signalfd_siginfo si[3];
	sigset_t set, other;
	union sigval v = { .sival_int = 42 };

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int s = signalfd(-1, &set, SFD_NONBLOCK);
	say("empty", read(s, si, sizeof si));
	printf("poll %#x\n", ready(s, 0));
	kill(getpid(), SIGUSR1);
	printf("poll %#x\n", ready(s, 0));
	sigqueue(getpid(), SIGRTMIN, v);
	sigqueue(getpid(), SIGRTMIN, v);
	long n = read(s, si, sizeof si);
	say("read", n);
	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof *si; i++)
		printf("signal %s code %d own pid %d value %d\n", si[i].ssi_signo == SIGUSR1 ? "USR1" : "RTMIN",
		       si[i].ssi_code, si[i].ssi_pid == (unsigned)getpid(), si[i].ssi_int);
	say("short buffer", read(s, si, 8));
	sigemptyset(&other);
	sigaddset(&other, SIGUSR2);
	sigprocmask(SIG_BLOCK, &other, NULL);
	printf("same descriptor %d\n", signalfd(s, &other, 0) == s);
	raise(SIGUSR2);
	say("after the change", read(s, si, sizeof si));
	say("not a signalfd", signalfd(1, &other, 0));
	close(s);
}

int main(void)
{
	events();
	timers();
	signals();
	return 0;
}
