/*
 * Signals at the moment when a thread or a process comes or goes: a group's signal while one of it forks, SIGKILL and SIGSTOP while the
 * first thread leaves, a stop while threads are made, and signals to threads that are just ending. What is lost here hangs.
 *
 * Build: gcc
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned g_seed = 1;

/* A little while, each time another one. */
static void wait_a_bit(unsigned most)
{
	g_seed = g_seed * 1103515245 + 12345;
	for (volatile unsigned i = (g_seed >> 8) % most; i; i--)
		;
}

static void reap_all(void)
{
	while (wait(NULL) > 0)
		;
}

/* This program again, in another role: no copy by fork, so both run at once. */
static pid_t start(const char *role)
{
	const char *argv[] = { "process_race", role, NULL };
	pid_t pid = 0;

	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, (char **)argv, NULL))
		exit(1);
	return pid;
}

static atomic_int *g_shared;
#define SHARED_FD 100

static void share(void)
{
	g_shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, SHARED_FD, 0);
}

/* --- a group's signal --- */

#define FORKS 300

static volatile sig_atomic_t g_got;

static void note(int sig)
{
	(void)sig;
	g_got = 1;
}

/* One signal for the group comes in each round: the child has it from its parent's memory, or gets it itself. */
static void fork_on(void)
{
	signal(SIGUSR1, note);
	setpgid(0, 0);
	for (int round = 1; round <= FORKS; round++) {
		pid_t pid;

		g_got = 0;
		atomic_store(g_shared, round);
		pid = fork();
		while (!g_got)
			;
		if (!pid)
			_exit(0);
		while (waitpid(pid, NULL, 0) < 0)
			;
	}
	exit(0);
}

static void signal_forking_group(void)
{
	pid_t pid;

	atomic_store(g_shared, 0);
	pid = start("fork");
	for (int round = 1; round <= FORKS; round++) {
		while (atomic_load(g_shared) != round)
			;
		wait_a_bit(60000);
		kill(-pid, SIGUSR1);
	}
	reap_all();
	printf("a group's signal reaches who is being forked\n");
}

/* --- the first thread leaves --- */

static void *stay(void *arg)
{
	(void)arg;
	atomic_fetch_add(g_shared, 1);
	for (;;)
		pause();
	return NULL;
}

static void leave_first(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, stay, NULL);
	while (!atomic_load(g_shared))
		;
	syscall(SYS_exit, 0);
}

static void kill_while_first_leaves(int sig)
{
	for (int round = 0; round < 100; round++) {
		int status;
		pid_t pid;

		atomic_store(g_shared, 0);
		pid = start("leave");
		while (!atomic_load(g_shared))
			;
		wait_a_bit(20000);
		kill(pid, sig);
		if (sig == SIGSTOP) {
			while (waitpid(pid, &status, WUNTRACED) != pid)
				;
			kill(pid, SIGKILL);
		}
		waitpid(pid, &status, 0);
	}
	printf("signal %d while the first thread leaves\n", sig);
}

/* --- a stop while threads are made --- */

static void *count(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++)
		atomic_fetch_add(g_shared, 1);
	return NULL;
}

static void make_threads(void)
{
	for (;;) {
		pthread_t thread;

		if (!pthread_create(&thread, NULL, count, NULL))
			pthread_join(thread, NULL);
	}
}

static void stop_while_threads_are_made(void)
{
	pid_t pid;

	atomic_store(g_shared, 0);
	pid = start("threads");
	for (int round = 0; round < 50; round++) {
		int status, seen;

		wait_a_bit(200000);
		kill(pid, SIGSTOP);
		waitpid(pid, &status, WUNTRACED);
		do {
			seen = atomic_load(g_shared);
			usleep(1000);
		} while (seen != atomic_load(g_shared)); /* it stands still, sooner or later */
		kill(pid, SIGCONT);
		waitpid(pid, &status, WCONTINUED);
	}
	kill(pid, SIGKILL);
	reap_all();
	printf("who is stopped while it makes threads stands still\n");
}

/* --- signals to threads that end --- */

#define QUEUE 1000 /* a cVM's process has room for 1024 */

static atomic_int g_tid;

static void *end_at_once(void *arg)
{
	(void)arg;
	atomic_store(&g_tid, (int)syscall(SYS_gettid));
	return NULL;
}

static void signal_ending_threads(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	for (int round = 0; round < 600; round++) {
		pthread_t thread;

		atomic_store(&g_tid, 0);
		pthread_create(&thread, NULL, end_at_once, NULL);
		while (!atomic_load(&g_tid))
			;
		while (!syscall(SYS_tgkill, getpid(), atomic_load(&g_tid), SIGRTMIN + 1) || errno == EAGAIN)
			;
		pthread_join(thread, NULL);
	}
	for (int i = 0; i < QUEUE; i++)
		if (sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = i })) {
			printf("signals to threads that had ended are still there\n");
			return;
		}
	printf("signals to ending threads go with them\n");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1) {
		share();
		if (!strcmp(argv[1], "fork"))
			fork_on();
		else if (!strcmp(argv[1], "leave"))
			leave_first();
		else
			make_threads();
	}
	dup2(memfd_create("shared", 0), SHARED_FD);
	if (ftruncate(SHARED_FD, 4096))
		return 1;
	share();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal_forking_group();
	kill_while_first_leaves(SIGKILL);
	kill_while_first_leaves(SIGSTOP);
	stop_while_threads_are_made();
	signal_ending_threads();
	return 0;
}
