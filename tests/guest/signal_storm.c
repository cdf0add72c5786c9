/*
 * Signals at every moment: threads signal one another as fast as they can while they read pipes, wait for futexes, sleep
 * and make short system calls. Nothing may get lost, wake up wrongly or corrupt a register.
 * Build: gcc musl
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 1000

static atomic_int g_handled, g_stop, g_wrong, g_ended;
static int g_pipe[2];

static void handler(int signal)
{
	(void)signal;
	atomic_fetch_add(&g_handled, 1);
}

/* Short calls: result and registers must be right whatever happens. */
static void *short_calls(void *argument)
{
	(void)argument;
	int pid = getpid();
	uint64_t x = 0;

	while (!g_stop) {
		uint64_t before = x * 0x9e3779b97f4a7c15ull + 1, after = before;
		long ret = SYS_getpid;
		register uint64_t r8 __asm__("r8") = before + 1, r9 __asm__("r9") = before + 2, r10 __asm__("r10") = before + 3;

		__asm__ volatile("syscall" : "+a"(ret), "+r"(r8), "+r"(r9), "+r"(r10), "+b"(after) : : "rcx", "r11", "memory");
		if (ret != pid || after != before || r8 != before + 1 || r9 != before + 2 || r10 != before + 3)
			atomic_fetch_add(&g_wrong, 1);
		x++;
	}
	return NULL;
}

static void *computes(void *argument)
{
	(void)argument;
	volatile double sum = 0;

	while (!g_stop) {
		double a = 1.5, b = 0;
		for (int i = 0; i < 100; i++)
			b += a * i;
		if (b != 7425.0)
			atomic_fetch_add(&g_wrong, 1);
		sum += b;
	}
	return NULL;
}

static void *reads(void *argument)
{
	(void)argument;
	long bytes = 0;
	char c;

	for (;;) {
		ssize_t n = read(g_pipe[0], &c, 1);
		if (n == 0)
			return (void *)bytes;
		if (n != 1) {
			atomic_fetch_add(&g_wrong, 1);
			continue;
		}
		bytes++;
	}
}

static void *interrupted_sleeps(void *argument)
{
	(void)argument;
	while (!g_stop) {
		struct timespec t = { 1000, 0 }, left;
		if (nanosleep(&t, &left) != -1 || errno != EINTR || left.tv_sec > 1000 || left.tv_sec < 900)
			atomic_fetch_add(&g_wrong, 1);
	}
	g_ended = 1;
	return NULL;
}

static void storm(const char *name, void *(*body)(void *), int flags)
{
	pthread_t thread;
	void *result;
	int before = g_handled;

	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = handler, .sa_flags = flags }, NULL);
	g_stop = 0;
	if (pipe(g_pipe))
		return;
	pthread_create(&thread, NULL, body, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		int seen = g_handled;
		pthread_kill(thread, SIGUSR1);
		if (body == reads && write(g_pipe[1], "x", 1) != 1)
			g_wrong++;
		while (g_handled == seen)
			sched_yield();
	}
	int handled = g_handled - before;
	close(g_pipe[1]);
	g_stop = 1;
	/* it may have taken the last signal just before it went to sleep */
	while (body == interrupted_sleeps && !g_ended) {
		pthread_kill(thread, SIGUSR1);
		sched_yield();
	}
	pthread_join(thread, &result);
	close(g_pipe[0]);
	printf("%s: handled %d, wrong %d, bytes %ld\n", name, handled, g_wrong, (long)result);
}

int main(void)
{
	storm("short calls", short_calls, 0);
	storm("computing", computes, 0);
	storm("reading, restarted", reads, SA_RESTART);
	storm("sleeping", interrupted_sleeps, 0);
	return 0;
}
