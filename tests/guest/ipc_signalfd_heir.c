/*
 * An epoll with a signalfd outlives the process that made them: its heir is told of its own signals, and closes both, while
 * other processes come and go.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 40, OTHERS = 3 };

static int g_go[2], g_answer[2];

static void wait_for_go(void)
{
	char c;

	close(g_go[1]);
	if (read(g_go[0], &c, 1))
		perror("read");
}

/* What epoll and signalfd said, in one digit each. */
static void heir(int ep, int fd)
{
	struct signalfd_siginfo info = { 0 };
	struct epoll_event e;
	char answer[3];

	wait_for_go();
	raise(SIGUSR1);
	answer[0] = (char)('0' + epoll_wait(ep, &e, 1, 0));
	answer[1] = (char)('0' + (read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1));
	answer[2] = (char)('0' + epoll_wait(ep, &e, 1, 0));
	close(ep);
	close(fd);
	if (write(g_answer[1], answer, sizeof answer) < 0)
		perror("write");
	_exit(0);
}

static void maker(const sigset_t *set)
{
	int fd = signalfd(-1, set, SFD_NONBLOCK), ep = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
		perror("epoll_ctl");
	if (!fork())
		heir(ep, fd);
	_exit(0);
}

static pid_t other(void)
{
	pid_t pid = fork();

	if (!pid) {
		wait_for_go();
		_exit(0);
	}
	return pid;
}

int main(void)
{
	sigset_t set;
	char answer[3];
	int told[3] = { 0 };

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		pid_t pid, others[OTHERS];

		if (pipe(g_go) || pipe(g_answer))
			perror("pipe");
		pid = fork();
		if (!pid)
			maker(&set);
		waitpid(pid, NULL, 0);
		for (int i = 0; i < OTHERS; i++)
			others[i] = other();
		close(g_go[0]);
		close(g_go[1]);
		if (read(g_answer[0], answer, sizeof answer) != sizeof answer)
			perror("read");
		for (int i = 0; i < 3; i++)
			told[i] += answer[i] - '0';
		for (int i = 0; i < OTHERS; i++)
			waitpid(others[i], NULL, 0);
		close(g_answer[0]);
		close(g_answer[1]);
	}
	printf("told %d, read %d, told behind it %d\n", told[0], told[1], told[2]);
	return 0;
}
