/*
 * RLIMIT_CPU: a process that runs too long gets SIGXCPU, again every second, and SIGKILL at its hard limit. All of its threads count, also
 * those that have ended; sleep does not, nor what its children do; those inherit it, and keep it when they execute another program.
 */
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#include "process.h"
#include "say.h"

static volatile sig_atomic_t g_caught;

static void caught(int sig)
{
	g_caught += sig == SIGXCPU;
}

static void limit(rlim_t soft, rlim_t hard)
{
	struct rlimit l = { soft, hard };

	if (setrlimit(RLIMIT_CPU, &l))
		_exit(99);
}

/* Until this thread has had so much of a processor. */
static void run_for(long ms)
{
	struct timespec now;

	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < ms);
}

static void for_ever(void)
{
	limit(1, RLIM_INFINITY);
	for (;;)
		;
}

static void catches(void)
{
	struct rlimit l;

	signal(SIGXCPU, caught);
	limit(1, RLIM_INFINITY);
	while (!g_caught)
		;
	getrlimit(RLIMIT_CPU, &l);
	printf("caught, the limit is %d now\n", (int)l.rlim_cur);
	while (g_caught < 2)
		;
	printf("caught again\n");
}

static void hard_limit(void)
{
	signal(SIGXCPU, SIG_IGN);
	limit(1, 1);
	for (;;)
		;
}

static void *runs(void *ms)
{
	run_for((long)ms);
	return NULL;
}

static void threads(void)
{
	pthread_t thread;

	limit(1, RLIM_INFINITY);
	for (int i = 0; i < 2; i++) { /* Linux counts in ticks for this, and so too much at times */
		pthread_create(&thread, NULL, runs, (void *)300);
		pthread_join(thread, NULL);
	}
	printf("two threads ended\n");
	fflush(stdout);
	run_for(800);
	printf("that was not all\n");
}

static void sleeps(void)
{
	struct timespec t = { 1, 300000000 };

	limit(1, 1);
	T(nanosleep(&t, NULL));
}

static void childs(void)
{
	limit(1, 1);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			run_for(400);
			_exit(0);
		}
		T(waitpid(pid, &status, 0) == pid && !status);
	}
}

static void executes(void)
{
	limit(1, RLIM_INFINITY);
	execl(g_self, g_self, "runs", (char *)NULL);
}

static void try(const char *what, void (*f)(void))
{
	struct rlimit none = { 0, 0 };
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		f();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("%s: %s %d\n", what, WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
	g_self = argv[0];
	if (argc > 1)
		for (;;)
			;
	try("for ever", for_ever);
	try("catches", catches);
	try("hard limit", hard_limit);
	try("threads", threads);
	try("sleeps", sleeps);
	try("its children", childs);
	try("executes", executes);
	return 0;
}
