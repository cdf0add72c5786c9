/*
 * Question: a call goes through a cVM that ends meanwhile, and the place of its serving thread is taken by other threads, which are out
 * on calls of their own; where does the call return to?
 * Expect: REFUSED: to the caller behind, with ESHUTDOWN or EOWNERDEAD; all others to their own
 * Control: none: before frames knew which life of a thread block they mean, it returned into another's context
 * Native: calls are unwound by the monitor
 * Companions: 2
 * Grants: capabilities
 */
#include "cap.h"

#define OTHERS 12 /* more threads than the one that goes had */

static char g_name[] = "service0";
static uint32_t g_evil, g_waiting;
static volatile unsigned g_in;

static void make(const char *path)
{
	close(open(path, O_WRONLY | O_CREAT, 0666));
}

static void await(const char *path)
{
	while (access(path, F_OK))
		usleep(1000);
}

/* service0 calls on, and its program ends while it does; service1 keeps its callers until all are there and the word is given. */
static void handler(uint64_t *words)
{
	if (g_name[7] == '0') {
		words[0] = (uint64_t)call1(g_evil, 1);
		return;
	}
	if (__atomic_add_fetch(&g_in, 1, __ATOMIC_SEQ_CST) == OTHERS)
		make("/shared/all-in");
	await("/shared/back");
	words[0] += 100;
}

static void companion(void)
{
	long export;

	while ((export = CAP(cap_create, CAP_EXPORT, g_name, 8, 0)) == -EEXIST)
		g_name[7]++;
	if (g_name[7] == '0')
		g_evil = open_named(CAP_CALL, "evil", CAP_USE);
	owner_stops();
	for (int i = 0; i < (g_name[7] == '0' ? 1 : OTHERS); i++)
		serve_beside((uint32_t)export, handler);
	if (g_name[7] == '0') {
		await("/shared/inside");
		_exit(0);
	}
	for (;;)
		pause();
}

static void *other(void *number)
{
	return (void *)call1(g_waiting, (uint64_t)number);
}

static void *go_through(void *service)
{
	return (void *)call1((uint32_t)(uintptr_t)service, 1);
}

/* The innermost callee: the cVM between ends, others take its place, and only then it answers. */
static void innermost(uint64_t *words)
{
	(void)words;
	make("/shared/inside");
	await("/shared/all-in");
}

static void attack(void)
{
	uint32_t evil = create_named(CAP_EXPORT, "evil", 0), first = open_named(CAP_CALL, "service0", CAP_USE);
	pthread_t through, thread[OTHERS];
	void *result;

	g_waiting = open_named(CAP_CALL, "service1", CAP_USE);
	serve_beside(evil, innermost);
	pthread_create(&through, NULL, go_through, (void *)(uintptr_t)first);
	await("/shared/inside");
	while (CAP(cap_open, CAP_CALL, "service0", 8, CAP_USE) != -ENOENT)
		usleep(1000);
	for (uintptr_t i = 0; i < OTHERS; i++)
		pthread_create(&thread[i], NULL, other, (void *)i);
	pthread_join(through, &result);
	if ((long)result != -ESHUTDOWN && (long)result != -EOWNERDEAD)
		breach("the call through the cVM that ended gave %ld", (long)result);
	make("/shared/back");
	for (uintptr_t i = 0; i < OTHERS; i++) {
		pthread_join(thread[i], &result);
		if ((uintptr_t)result != i + 100)
			breach("call %lu gave %ld", i, (long)result);
	}
	refused("to the caller behind, with ESHUTDOWN or EOWNERDEAD; all others to their own");
}
