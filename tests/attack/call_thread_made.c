/*
 * Question: a thread that a callee makes while it runs on its caller's host thread inherits that thread's system call filter and
 * cookie. Whose is it, and does it do as the callee's own?
 * Expect: REFUSED: the callee's, and it outlives the caller
 * Control: none: a thread with the wrong cookie could make no system call, which fails the test
 * Native: the cookie belongs to the host thread
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static void companion(void)
{
	uint32_t evil = open_named(CAP_CALL, "evil", CAP_USE);

	call1(evil, 1);
	exit(0); /* the caller's cVM ends; what was made on its thread goes on */
}

static volatile int g_worked, g_calls;

static void *worker(void *unused)
{
	struct timespec t;
	char name[64];

	for (int i = 0; i < 200; i++) {
		int fd = open("/proc/self/cmdline", O_RDONLY);
		if (fd < 0 || read(fd, name, sizeof name) <= 0 || clock_gettime(CLOCK_REALTIME, &t) || usleep(1000))
			return unused;
		close(fd);
	}
	g_worked++;
	return unused;
}

static void handler(uint64_t *words)
{
	pthread_t thread;

	(void)words;
	for (int i = 0; i < 4; i++)
		pthread_create(&thread, NULL, worker, NULL);
	g_calls++;
}

static void attack(void)
{
	serve_beside(create_named(CAP_EXPORT, "evil", 0), handler);
	for (int i = 0; g_worked < 4; i++) {
		if (i > 3000)
			breach("%d calls, %d of 4 threads did their work", g_calls, g_worked);
		usleep(10000);
	}
	refused("the callee's, and it outlives the caller");
}
