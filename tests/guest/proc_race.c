/*
 * Three threads read all of /proc of processes that come, start another program, and go. What they find is left to chance;
 * what must hold is that a file is of the process that it is named after, that a command line is one that a process was given,
 * and that nothing is found of a process that has gone for long.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

#define READERS 3
#define CHILDREN 300
#define AT_ONCE 6

extern char **environ;
static char g_self[4096];
static pid_t g_pid[AT_ONCE]; /* children, not waited for; atomic */
static int g_end, g_reads, g_bad;

static void bad(const char *what, const char *path, const char *text)
{
	if (__atomic_fetch_add(&g_bad, 1, __ATOMIC_RELAXED) < 10)
		printf("%s: %s: %.200s\n", what, path, text);
}

/* What a number says of a process that has just gone: natively numbers are everybody's, and soon used again. */
static void bad_here(const char *what, const char *path, const char *text)
{
	if (getpid() == 1)
		bad(what, path, text);
}

static ssize_t slurp(const char *path, char *text, size_t size)
{
	ssize_t n = 0, part;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT && errno != ESRCH && errno != EINVAL)
		bad_here("open", path, strerror(errno));
	while (fd >= 0 && n < (ssize_t)size - 1 && (part = read(fd, text + n, size - 1 - (size_t)n)) > 0)
		n += part;
	if (fd >= 0) {
		close(fd);
		__atomic_fetch_add(&g_reads, n > 0, __ATOMIC_RELAXED);
	}
	text[n] = 0;
	return n;
}

static void directory(pid_t pid, const char *name)
{
	char path[128], to[4096];
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	d = opendir(path);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		snprintf(path, sizeof path, "/proc/%d/%s/%.40s%s", pid, name, e->d_name, name[0] == 't' ? "/stat" : "");
		if (name[0] == 't' && isdigit(e->d_name[0]) && slurp(path, to, sizeof to) && atoi(to) != atoi(e->d_name))
			bad("of another", path, to);
		if (name[0] == 'f')
			(void)!readlink(path, to, sizeof to);
	}
	closedir(d);
}

static void look(pid_t pid, char *text, size_t size)
{
	static const char *const names[] = { "maps", "smaps", "statm", "environ", "auxv", "comm", "limits", "mounts", "fdinfo/0", "cgroup" };
	char path[64], *at;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	if (slurp(path, text, size) && (atoi(text) != pid || !strchr("RSDTtZX", strrchr(text, ')')[2])))
		bad("of another", path, text);
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	if (slurp(path, text, size) && (!(at = strstr(text, "\nTgid:\t")) || atoi(at + 7) != pid))
		bad("of another", path, text);
	snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
	n = slurp(path, text, size);
	if (n > 0 && (strcmp(text, g_self) || (n > (ssize_t)strlen(g_self) + 1 && strcmp(text + strlen(g_self) + 1, "child"))))
		bad_here("what nobody said", path, text);
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "/proc/%d/%s", pid, names[i]);
		slurp(path, text, size);
	}
	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	n = readlink(path, text, size - 1);
	text[n < 0 ? 0 : n] = 0;
	if (n > 0 && strcmp(text, g_self))
		bad_here("another program", path, text);
	directory(pid, "fd");
	directory(pid, "task");
}

static void *reader(void *arg)
{
	size_t size = 1 << 18;
	char *text = malloc(size);

	while (!__atomic_load_n(&g_end, __ATOMIC_SEQ_CST)) {
		DIR *d = opendir("/proc");

		while (readdir(d))
			;
		closedir(d);
		look(getpid(), text, size);
		for (int i = 0; i < AT_ONCE; i++) {
			pid_t pid = __atomic_load_n(&g_pid[i], __ATOMIC_SEQ_CST);

			if (pid)
				look(pid, text, size);
		}
	}
	free(text);
	return arg;
}

static pid_t start(int generation)
{
	char left[12], *argv[] = { g_self, "child", left, NULL };
	pid_t pid = 0;

	snprintf(left, sizeof left, "%d", generation);
	if (posix_spawn(&pid, g_self, NULL, NULL, argv, environ))
		bad("posix_spawn", g_self, strerror(errno));
	return pid;
}

/* Every other one becomes its program once more, every third one has a child. */
static int child(char **argv)
{
	int left = atoi(argv[2]);
	char none[] = "1";

	if (left % 3 == 0)
		waitpid(start(1), NULL, 0);
	if (left % 2 == 0) {
		argv[2] = none;
		execv(g_self, argv);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t t[READERS];
	int status;

	(void)!readlink("/proc/self/exe", g_self, sizeof g_self - 1);
	if (argc > 2)
		return child(argv);
	for (int i = 0; i < READERS; i++)
		pthread_create(&t[i], NULL, reader, NULL);
	for (int n = 0; n < CHILDREN; n++) {
		pid_t *place = &g_pid[n % AT_ONCE];

		if (*place && (waitpid(*place, &status, 0) != *place || status))
			bad("waitpid", g_self, "");
		__atomic_store_n(place, start(n), __ATOMIC_SEQ_CST);
	}
	for (int i = 0; i < AT_ONCE; i++)
		if (waitpid(g_pid[i], &status, 0) != g_pid[i] || status)
			bad("waitpid", g_self, "");
	__atomic_store_n(&g_end, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < READERS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < AT_ONCE; i++) {
		char path[64];

		snprintf(path, sizeof path, "/proc/%d", g_pid[i]);
		if (!access(path, F_OK))
			bad_here("still there", path, "");
	}
	if (g_reads < CHILDREN)
		bad("too little was read", "/proc", "");
	printf("ok %d\n", g_bad);
	return g_bad != 0;
}
