/*
 * What looks for processes finds them: busybox's ps, pidof, top and killall.
 * Native: no
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

#define BUSYBOX "/bin/busybox"

static char g_out[1 << 16];

static pid_t start(char *const argv[], int out)
{
	posix_spawn_file_actions_t a;
	pid_t pid = -1;

	posix_spawn_file_actions_init(&a);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&a, out, 1);
	CHECK(!posix_spawn(&pid, BUSYBOX, &a, NULL, argv, environ));
	posix_spawn_file_actions_destroy(&a);
	return pid;
}

/* What it prints. */
static char *said(char *applet, char *a, char *b, char *c)
{
	char *argv[] = { "busybox", applet, a, b, c, NULL };
	ssize_t n = 0, part;
	int p[2];
	pid_t pid;

	CHECK(!pipe2(p, O_CLOEXEC));
	pid = start(argv, p[1]);
	close(p[1]);
	while ((part = read(p[0], g_out + n, sizeof g_out - 1 - (size_t)n)) > 0)
		n += part;
	close(p[0]);
	g_out[n] = 0;
	waitpid(pid, NULL, 0);
	return g_out;
}

#define SEEN(call, what)                                                                       \
	do {                                                                                   \
		if (!strstr(call, what))                                                       \
			printf("line %d: no \"%s\" in\n%s", __LINE__, what, g_out), g_failures++; \
	} while (0)

int main(void)
{
	char *sleeps[] = { "sleep", "4321", NULL }, *ends[] = { "true", NULL };
	pid_t pid = start(sleeps, -1), zombie = start(ends, -1);
	char number[16], text[128];
	int status;

	CHECK(waitid(P_PID, (id_t)zombie, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) == 0);
	snprintf(number, sizeof number, "%d\n", pid);
	while (strcmp(said("pidof", "sleep", NULL, NULL), number)) /* posix_spawn is back before the program's words are there */
		;
	snprintf(text, sizeof text, "%5d     1 S    {busybox} sleep 4321\n", pid);
	while (!strstr(said("ps", "-o", "pid,ppid,stat,args", NULL), text)) /* soon it sleeps */
		;
	snprintf(text, sizeof text, "%5d     1 Z    [busybox]\n", zombie);
	SEEN(g_out, text);
	SEEN(g_out, "ps -o pid,ppid,stat,args\n");
	SEEN(said("top", "-b", "-n", "1"), "{busybox} sleep 4321\n");
	said("killall", "-STOP", "sleep", NULL);
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	snprintf(text, sizeof text, "%5d     1 T    {busybox} sleep 4321\n", pid);
	SEEN(said("ps", "-o", "pid,ppid,stat,args", NULL), text);
	said("killall", "-KILL", "sleep", NULL);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(waitpid(zombie, &status, 0) == zombie);
	CHECK(!strcmp(said("pidof", "sleep", NULL, NULL), ""));
	printf(g_failures ? "%d failures\n" : "ok\n", g_failures);
	return g_failures != 0;
}
