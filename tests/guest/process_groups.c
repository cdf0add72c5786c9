/*
 * Supplementary groups are a process's own: fork and execve hand them on, what one sets no other one sees, /proc tells them.
 * (Root of a native machine has them too, where this gives the same; an ordinary user may not set any.)
 * Build: gcc
 * Native: no
 */
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

#define NUMBER 64

static int is(const gid_t *wanted, int count)
{
	gid_t got[NUMBER];
	int n = getgroups(NUMBER, got);

	if (n != count || getgroups(0, NULL) != count)
		return 0;
	for (int i = 0; i < count; i++)
		if (got[i] != wanted[i])
			return 0;
	return 1;
}

static int proc_says(const char *line)
{
	char text[8192] = "";
	int fd = open("/proc/self/status", O_RDONLY);
	long n = read(fd, text, sizeof text - 1);

	close(fd);
	return n > 0 && strstr(text, line);
}

static int ended_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void *sees(void *arg)
{
	gid_t groups[] = {4, 5};

	(void)arg;
	CHECK(is(groups, 2));
	return NULL;
}

int main(int argc, char **argv)
{
	gid_t unsorted[] = {30, 10, 20}, sorted[] = {10, 20, 30}, own[] = {4, 5}, many[NUMBER];
	pthread_t thread;
	pid_t pid;

	if (argc == 2) { /* behind execve */
		CHECK(strcmp(argv[1], "again") == 0 && is(own, 2));
		return g_failures != 0;
	}
	CHECK(setgroups(0, NULL) == 0 && is(NULL, 0) && proc_says("\nGroups:\t"));
	CHECK(setgroups(3, unsorted) == 0 && is(sorted, 3) && proc_says("\nGroups:\t10 20 30 \n"));
	CHECK(getgroups(2, many) == -1 && errno == EINVAL);
	CHECK(getgroups(-1, many) == -1 && errno == EINVAL);
	CHECK(getgroups(3, (gid_t *)8) == -1 && errno == EFAULT);
	CHECK(setgroups(3, (gid_t *)8) == -1 && errno == EFAULT);
	CHECK(setgroups(65537, many) == -1 && errno == EINVAL);
	CHECK(is(sorted, 3));
	pid = fork();
	if (pid == 0) {
		CHECK(is(sorted, 3));
		CHECK(setgroups(2, own) == 0 && is(own, 2) && proc_says("\nGroups:\t4 5 \n"));
		CHECK(pthread_create(&thread, NULL, sees, NULL) == 0 && pthread_join(thread, NULL) == 0);
		if (!g_failures)
			execl("/proc/self/exe", "process_groups", "again", NULL);
		_exit(1);
	}
	CHECK(ended_well(pid) && is(sorted, 3));
	for (int i = 0; i < NUMBER; i++)
		many[i] = (gid_t)(100 + i);
	CHECK(setgroups(NUMBER, many) == 0 && is(many, NUMBER));
	pid = fork();
	if (pid == 0) {
		CHECK(setresuid(7, 7, 7) == 0);
		CHECK(setgroups(0, NULL) == -1 && errno == EPERM);
		CHECK(is(many, NUMBER));
		_exit(g_failures != 0);
	}
	CHECK(ended_well(pid) && setgroups(0, NULL) == 0);
	puts(g_failures ? "failed" : "ok");
	return g_failures != 0;
}
