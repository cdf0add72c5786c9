/*
 * Waits with a time end when that is over, however often the process is stopped and let go on meanwhile.
 */
#define _GNU_SOURCE
#include "process.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>

#define WAIT_MS 300
#define STOP_EVERY_MS 20
#define STOPS_MAX (20 * WAIT_MS / STOP_EVERY_MS)

static int g_pipe[2];

static int by_poll(void)
{
	struct pollfd p = { .fd = g_pipe[0], .events = POLLIN };

	return poll(&p, 1, WAIT_MS);
}

static int by_ppoll(void)
{
	struct pollfd p = { .fd = g_pipe[0], .events = POLLIN };
	struct timespec t = { 0, WAIT_MS * 1000000 };

	return ppoll(&p, 1, &t, NULL);
}

static int by_select(void)
{
	struct timeval t = { 0, WAIT_MS * 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(g_pipe[0], &set);
	return select(g_pipe[0] + 1, &set, NULL, NULL, &t);
}

static int by_nanosleep(void)
{
	struct timespec t = { 0, WAIT_MS * 1000000 };

	return nanosleep(&t, NULL);
}

static int by_futex(void)
{
	struct timespec t = { 0, WAIT_MS * 1000000 };
	int word = 0;

	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0) < 0 && errno == ETIMEDOUT ? 0 : 1;
}

/* On Linux also ended by a stop. */
static int by_epoll(void)
{
	int ep = epoll_create1(0), n;
	struct epoll_event event = { .events = EPOLLIN };

	epoll_ctl(ep, EPOLL_CTL_ADD, g_pipe[0], &event);
	n = epoll_wait(ep, &event, 1, WAIT_MS);
	return n < 0 && errno == EINTR ? 0 : n;
}

static void stop_often(const char *what, int (*wait)(void))
{
	pid_t pid = fork();
	int status, stops = 0;

	if (!pid)
		_exit(wait() == 0 ? 0 : 1);
	while (stops++ < STOPS_MAX) {
		usleep(STOP_EVERY_MS * 1000);
		kill(pid, SIGSTOP);
		if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
			break;
		kill(pid, SIGCONT);
	}
	if (stops > STOPS_MAX) {
		printf("%s: goes on waiting\n", what);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	} else {
		say_status(what, status);
	}
}

int main(void)
{
	new_pipe(g_pipe);
	stop_often("poll", by_poll);
	stop_often("ppoll", by_ppoll);
	stop_often("select", by_select);
	stop_often("nanosleep", by_nanosleep);
	stop_often("futex", by_futex);
	stop_often("epoll_wait", by_epoll);
	return 0;
}
