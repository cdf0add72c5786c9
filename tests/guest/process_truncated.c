/*
 * Two processes of one fork that take turns, and have private pages of a file, while a third one cuts the file and writes it anew: what
 * goes with it goes, and nothing else.
 *
 * Build: gcc
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 100
#define ROUNDS 600
#define FILE_FD 100

static char g_bytes[PAGES * PAGE];

static void cut_and_write(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		if (ftruncate(FILE_FD, 0) || pwrite(FILE_FD, g_bytes, sizeof g_bytes, 0) < 0)
			exit(1);
}

static void answer(int from, int to)
{
	char c;

	while (read(from, &c, 1) == 1 && write(to, &c, 1) == 1)
		;
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *other[] = { argv[0], "other", NULL };
	int ask[2], told[2], status, answers = 0;
	pid_t cutter, child;
	char *pages, c = 0;

	if (argc > 1)
		cut_and_write();
	dup2(memfd_create("file", 0), FILE_FD);
	if (write(FILE_FD, g_bytes, sizeof g_bytes) != sizeof g_bytes || pipe2(ask, O_CLOEXEC) || pipe2(told, O_CLOEXEC))
		return 1;
	pages = mmap(NULL, sizeof g_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, FILE_FD, 0);
	for (int i = 0; i < PAGES; i++)
		pages[i * PAGE] = 1;
	if (posix_spawn(&cutter, "/proc/self/exe", NULL, NULL, (char **)other, NULL))
		return 1;
	child = fork();
	if (!child) {
		close(ask[1]);
		answer(ask[0], told[1]);
	}
	for (int i = 0; i < ROUNDS; i++)
		answers += write(ask[1], &c, 1) == 1 && read(told[0], &c, 1) == 1;
	close(ask[1]);
	waitpid(child, &status, 0);
	printf("answers: %d, the child's status %x\n", answers, (unsigned)status);
	kill(cutter, SIGKILL);
	waitpid(cutter, &status, 0);
	printf("the other one's status %x\n", (unsigned)status);
	return 0;
}
