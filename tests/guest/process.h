/*
 * For guest programs of more than one process: a program starts itself again in a role, says what became of it, and runs
 * its tests apart from whoever started it (in a session of their own, orphans to be inherited by them), so that they see
 * the same whether they are the first process of a cVM or somebody's child.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *g_self; /* path of the program */
static char *g_word __attribute__((unused)); /* its own argument, in tests() */

static void say(const char *what, long ret)
{
	printf("%s: %ld %s\n", what, ret, ret < 0 ? strerror(errno) : "");
}

/* A child in a role, with up to six words more; NULL ends them. */
__attribute__((unused)) static pid_t start(const char *role, ...)
{
	char *words[9] = { g_self, (char *)role };
	va_list list;
	pid_t pid;

	va_start(list, role);
	for (int i = 2; i < 8 && (words[i] = va_arg(list, char *)); i++)
		;
	va_end(list);
	pid = vfork();
	if (!pid) {
		execve(g_self, words, environ);
		_exit(126);
	}
	if (pid < 0)
		say("vfork", pid);
	return pid;
}

static void say_status(const char *what, int status)
{
	if (WIFEXITED(status))
		printf("%s: exited %d\n", what, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		printf("%s: killed by %d\n", what, WTERMSIG(status));
	else if (WIFSTOPPED(status))
		printf("%s: stopped by %d\n", what, WSTOPSIG(status));
	else
		printf("%s: %s\n", what, WIFCONTINUED(status) ? "continued" : "?");
}

static void reap(const char *what, pid_t pid)
{
	int status;
	pid_t got;

	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		say_status(what, status);
	else
		say(what, got);
}

/* A pipe that no program started later inherits, unless it is told to by keep(). */
__attribute__((unused)) static void new_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		say("pipe", -1);
}

__attribute__((unused)) static char *keep(int fd)
{
	char *word;

	fcntl(fd, F_SETFD, 0);
	return asprintf(&word, "%d", fd) < 0 ? NULL : word;
}

__attribute__((unused)) static void drop(int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* One byte through a pipe: how processes take turns. */
__attribute__((unused)) static void tell(int fd)
{
	if (write(fd, "x", 1) != 1)
		say("tell", -1);
}

__attribute__((unused)) static int hear(int fd)
{
	char c;
	long got;

	do
		got = read(fd, &c, 1);
	while (got < 0 && errno == EINTR);
	return (int)got;
}

/* A thread that counts until it is told to end. */
struct counter {
	atomic_long count;
	atomic_int end;
	pthread_t thread;
};

__attribute__((unused)) static void *counter_run(void *arg)
{
	struct counter *c = arg;

	while (!c->end)
		c->count++;
	return NULL;
}

__attribute__((unused)) static void counter_start(struct counter *c)
{
	pthread_create(&c->thread, NULL, counter_run, c);
}

__attribute__((unused)) static void counter_end(struct counter *c)
{
	c->end = 1;
	pthread_join(c->thread, NULL);
}

/* Runs `tests` in a child with a session of its own. */
__attribute__((unused)) static int apart(int argc, char **argv, void (*tests)(void))
{
	pid_t pid;

	if (argc > 1 && !strcmp(argv[1], "tests")) {
		g_word = argc > 2 ? argv[2] : NULL;
		setsid();
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		tests();
		return 0;
	}
	pid = start("tests", argc > 1 ? argv[1] : NULL, NULL);
	reap("tests", pid);
	return 0;
}

/* main: the program's own argument, if any, is a path, and everything else a role. */
__attribute__((unused)) static int play(int argc, char **argv, int (*role)(char **argv), void (*tests)(void))
{
	setvbuf(stdout, NULL, _IONBF, 0);
	g_self = argv[0];
	if (argc > 1 && *argv[1] != '/' && strcmp(argv[1], "tests"))
		return role(argv);
	return apart(argc, argv, tests);
}

#endif
