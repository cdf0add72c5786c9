/*
 * A child that crashes takes only itself: its parent, its threads and the other children go on.
 * Build: gcc
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "process.h"

static struct counter g_other_thread;

static void tests(void)
{
	static const char *const how[] = { "null", "read-only", "no-code", "instruction", "divide", "abort", "stack", "thread", "breakpoint", "blocked", "ignored" };
	int ends[2];
	pid_t other;
	long before;

	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	new_pipe(ends);
	other = start("other", keep(ends[0]), NULL);
	counter_start(&g_other_thread);
	for (unsigned i = 0; i < sizeof how / sizeof *how; i++)
		reap(how[i], start(how[i], NULL));
	reap("caught", start("caught", NULL));
	before = g_other_thread.count;
	while (g_other_thread.count == before)
		sched_yield();
	counter_end(&g_other_thread);
	printf("the other lives %d\n", waitpid(other, NULL, WNOHANG) == 0);
	tell(ends[1]);
	reap("the other", other);
}

static volatile int g_zero;

__attribute__((noinline)) static int deeper(volatile char *above)
{
	volatile char here[4096];

	if (*above == 77)
		return 0;
	here[0] = *above;
	return deeper(here) + here[0];
}

static void caught(int sig, siginfo_t *info, void *context)
{
	(void)context;
	_exit(sig == SIGSEGV && info->si_addr == (void *)0x1234 ? 21 : 22);
}

static void *crashes(void *arg)
{
	*(volatile int *)NULL = 1;
	return arg;
}

static int role(char **argv)
{
	const char *name = argv[1];
	struct rlimit limit = { 1 << 20, 1 << 20 }, none = { 0, 0 };
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };
	pthread_t thread;
	sigset_t set;
	char c = 0;

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
	if (!strcmp(name, "other"))
		return hear(atoi(argv[2])) == 1 ? 20 : 1;
	if (!strcmp(name, "null"))
		*(volatile int *)NULL = 1;
	if (!strcmp(name, "read-only"))
		*(volatile char *)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
	if (!strcmp(name, "no-code"))
		((void (*)(void))mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))();
	if (!strcmp(name, "instruction"))
		__asm__ volatile("ud2");
	if (!strcmp(name, "divide"))
		return 5 / g_zero;
	if (!strcmp(name, "abort"))
		abort();
	if (!strcmp(name, "stack")) {
		setrlimit(RLIMIT_STACK, &limit);
		return deeper(&c);
	}
	if (!strcmp(name, "thread")) {
		pthread_create(&thread, NULL, crashes, NULL);
		pthread_join(thread, NULL);
	}
	if (!strcmp(name, "breakpoint"))
		__asm__ volatile("int3");
	if (!strcmp(name, "blocked")) { /* a fault is not put off */
		sigfillset(&set);
		sigprocmask(SIG_BLOCK, &set, NULL);
		*(volatile int *)NULL = 1;
	}
	if (!strcmp(name, "ignored")) {
		signal(SIGSEGV, SIG_IGN);
		*(volatile int *)NULL = 1;
	}
	sigaction(SIGSEGV, &action, NULL);
	return *(volatile int *)0x1234;
}

int main(int argc, char **argv)
{
	return play(argc, argv, role, tests);
}
