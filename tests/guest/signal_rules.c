/*
 * Signals: handlers with siginfo, masks and pending signals, alternate stacks, nested delivery, SA_RESTART and EINTR,
 * SA_RESETHAND and SA_NODEFER, timers, sigtimedwait, pthread_kill, faults whose handler repairs the registers.
 * Build: gcc musl
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t g_count, g_depth, g_on_alternate, g_value;
static char g_alternate[65536];

static void count(int signal)
{
	(void)signal;
	g_count++;
}

static void install(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	sigaction(signal, &action, NULL);
}

static void with_info(int signal, siginfo_t *info, void *context)
{
	(void)context;
	char here;
	g_on_alternate = &here >= g_alternate && &here < g_alternate + sizeof g_alternate;
	g_value = info->si_value.sival_int;
	printf("signal %d, code %d, from myself %d\n", signal, info->si_code, info->si_pid == getpid());
}

static void nested(int signal)
{
	(void)signal;
	if (++g_depth < 3)
		raise(SIGUSR2);
}

static void skip_instruction(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)signal;
	printf("fault: signal %d code %d\n", signal, info->si_code);
	uc->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
	uc->uc_mcontext.gregs[REG_RBX] = 0x1234567;
}

static void masks(void)
{
	sigset_t set, old, pending;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	install(SIGUSR1, count, 0);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	raise(SIGUSR1);
	sigpending(&pending);
	printf("blocked: %d handled, pending %d\n", (int)g_count, sigismember(&pending, SIGUSR1));
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("unblocked: %d handled\n", (int)g_count);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	siginfo_t info;
	struct timespec second = { 1, 0 };
	int taken = sigtimedwait(&set, &info, &second);
	printf("sigtimedwait: %d, code %d\n", taken, info.si_code);
	struct timespec soon = { 0, 1000000 };
	int ret = sigtimedwait(&set, &info, &soon);
	printf("sigtimedwait: %d %s\n", ret, strerror(errno));
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void alternate_stack(void)
{
	stack_t stack = { .ss_sp = g_alternate, .ss_size = sizeof g_alternate }, seen;
	struct sigaction action = { .sa_sigaction = with_info, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigaltstack(&stack, NULL);
	sigaltstack(NULL, &seen);
	printf("alternate stack: %d %zu %d\n", seen.ss_sp == g_alternate, seen.ss_size, seen.ss_flags);
	sigaction(SIGUSR2, &action, NULL);
	union sigval value = { .sival_int = 77 };
	sigqueue(getpid(), SIGUSR2, value);
	printf("on it: %d, value %d\n", (int)g_on_alternate, (int)g_value);
}

static volatile sig_atomic_t g_interrupted;

/* Until it has come back: a first signal might come before the call that it is to interrupt. */
static void *interrupt(void *thread)
{
	while (!g_interrupted) {
		usleep(20000);
		pthread_kill(*(pthread_t *)thread, SIGUSR1);
	}
	return NULL;
}

static void restarts(void)
{
	int ends[2];
	char byte;
	pthread_t self = pthread_self(), thread;

	if (pipe(ends))
		return;
	g_count = 0;
	install(SIGUSR1, count, 0);
	pthread_create(&thread, NULL, interrupt, &self);
	ssize_t n = read(ends[0], &byte, 1);
	int error = errno;
	g_interrupted = 1;
	pthread_join(thread, NULL);
	printf("read without SA_RESTART: %zd %s\n", n, strerror(error));
	struct itimerval timer = { .it_interval = { 0, 50000 }, .it_value = { 0, 50000 } };
	install(SIGALRM, count, SA_RESTART);
	setitimer(ITIMER_REAL, &timer, NULL);
	alarm(0);
	setitimer(ITIMER_REAL, &timer, NULL);
	struct timespec left, long_time = { 1000, 0 };
	int ret = nanosleep(&long_time, &left);
	printf("nanosleep: %d %s, something left %d\n", ret, strerror(errno), left.tv_sec > 0);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	printf("write to a closed pipe: ");
	fflush(stdout);
	install(SIGPIPE, SIG_IGN, 0);
	close(ends[0]);
	ret = (int)write(ends[1], "x", 1);
	printf("%d %s\n", ret, strerror(errno));
}

static void faults(void)
{
	struct sigaction action = { .sa_sigaction = skip_instruction, .sa_flags = SA_SIGINFO }, seen;
	uint64_t rbx = 1;

	sigaction(SIGILL, &action, NULL);
	__asm__ volatile("ud2" : "+b"(rbx));
	printf("rbx from the handler: %#lx\n", rbx);
	install(SIGUSR1, count, SA_RESETHAND);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &seen);
	printf("SA_RESETHAND: default again %d\n", seen.sa_handler == SIG_DFL);
	install(SIGUSR2, nested, SA_NODEFER);
	raise(SIGUSR2);
	printf("nested %d deep\n", (int)g_depth);
}

/* Vector registers must survive a signal that comes at any moment. */
static void vectors(void)
{
	struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };
	double sum = 0;

	g_count = 0;
	install(SIGALRM, count, SA_RESTART);
	setitimer(ITIMER_REAL, &timer, NULL);
	for (long i = 1; g_count < 20; i++) {
		double a = (double)i, b = a * 3, c = b / 3;
		if (c != a)
			sum += 1;
	}
	timer.it_interval.tv_usec = timer.it_value.tv_usec = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
	printf("wrong results under signals: %g\n", sum);
}

static volatile sig_atomic_t g_waited;

static void *interrupt_waits(void *main_thread)
{
	for (int i = 1; i <= 200; i++) {
		pthread_kill(*(pthread_t *)main_thread, SIGUSR1);
		for (int patience = 10000; g_waited + g_count < i; usleep(1000))
			if (!patience--) {
				printf("signal %d did not arrive\n", i);
				exit(1);
			}
	}
	return NULL;
}

/* A signal that is not blocked interrupts the very sleep that waits for it: it must be taken all the same, there or by its handler. */
static void waits(void)
{
	pthread_t self = pthread_self(), other;
	sigset_t set;

	g_count = 0;
	install(SIGUSR1, count, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_create(&other, NULL, interrupt_waits, &self);
	while (g_waited + g_count < 200)
		g_waited += sigtimedwait(&set, NULL, &(struct timespec){ 0, 100000000 }) == SIGUSR1;
	pthread_join(other, NULL);
	printf("sigtimedwait or the handler took 200: %d\n", g_waited + g_count == 200);
}

static volatile sig_atomic_t g_seen;

static void on_seen(int sig)
{
	(void)sig;
	g_seen++;
}

/* The mask of a waiting call counts while it waits: what did not end it stays pending. */
static void masked_waits(void)
{
	struct timespec zero = { 0, 0 };
	struct epoll_event event;
	struct pollfd pipe_end = { -1, POLLOUT, 0 };
	sigset_t blocked, none;
	int pipes[2], ep = epoll_create1(0);

	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGUSR1, on_seen);
	raise(SIGUSR1);
	if (pipe(pipes))
		return;
	pipe_end.fd = pipes[1];
	printf("ready: %d, seen %d\n", ppoll(&pipe_end, 1, &zero, &none), (int)g_seen);
	printf("nothing at once: %d, seen %d\n", epoll_pwait(ep, &event, 1, 0, &none), (int)g_seen);
	printf("bad: %d, seen %d\n", epoll_pwait(pipes[0], &event, 1, 0, &none), (int)g_seen);
	pipe_end.events = POLLIN, pipe_end.fd = pipes[0];
	errno = 0;
	int n = ppoll(&pipe_end, 1, &zero, &none);
	printf("nothing: %d %s, seen %d\n", n, strerror(errno), (int)g_seen);
	close(pipes[0]), close(pipes[1]), close(ep);
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	masks();
	alternate_stack();
	restarts();
	faults();
	vectors();
	waits();
	masked_waits();
	printf("kill 0: %d\n", kill(getpid(), 0));
	signal(SIGTERM, SIG_DFL);
	raise(SIGTERM);
	printf("not reached\n");
	return 0;
}
