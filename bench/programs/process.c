/* Microseconds from making a child to having waited for it, the median of many: `fork` (it ends at once), `exec` (fork, then
 * execve of this program, which ends at once) or `spawn` (posix_spawn of it). */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 200

extern char **environ;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static pid_t make(char how, char **argv)
{
	char *end[] = { argv[0], NULL };
	pid_t pid;

	if (how == 's')
		return posix_spawn(&pid, argv[0], NULL, NULL, end, environ) ? -1 : pid;
	pid = fork();
	if (pid)
		return pid;
	if (how == 'e')
		execve(argv[0], end, environ);
	_exit(how == 'e');
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static double us[ROUNDS];
	int status;

	if (argc < 2)
		return 0;
	for (int round = 0; round < ROUNDS; round++) {
		double start = now();
		pid_t pid = make(argv[1][0], argv);

		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			return 1;
		us[round] = now() - start;
	}
	qsort(us, ROUNDS, sizeof us[0], compare);
	printf("%.1f\n", us[ROUNDS / 2]);
	return 0;
}
