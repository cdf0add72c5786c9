/*
 * fork by a coroutine that has a local array for a stack: its callers' frames, which lie below it, are the child's, too.
 */
#define _GNU_SOURCE
#include "process.h"

#include <ucontext.h>

#define STACK_SIZE 131072

static ucontext_t g_caller, g_coroutine;
static pid_t g_pid;

static void forks(void)
{
	g_pid = fork();
	swapcontext(&g_coroutine, &g_caller);
}

static int runs_it(int depth)
{
	volatile int local = depth;

	if (depth)
		return runs_it(depth - 1) + local;
	swapcontext(&g_caller, &g_coroutine);
	return local;
}

int main(void)
{
	char stack[STACK_SIZE];
	int sum;

	getcontext(&g_coroutine);
	g_coroutine.uc_stack.ss_sp = stack;
	g_coroutine.uc_stack.ss_size = sizeof(stack);
	g_coroutine.uc_link = &g_caller;
	makecontext(&g_coroutine, forks, 0);
	sum = runs_it(100);
	if (!g_pid)
		_exit(sum == 5050 ? 3 : 4);
	printf("parent: %d\n", sum);
	reap("child", g_pid);
	return 0;
}
