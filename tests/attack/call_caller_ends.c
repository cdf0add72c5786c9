/*
 * Question: a caller's cVM ends while its thread is in the owner: does the owner lose a thread, a lock, or the call it serves; does
 * anything return into the dead cVM?
 * Expect: REFUSED: the owner finishes every call and serves on
 * Control: none: an owner that hangs or breaks fails the test
 * Native: the callee goes on without a caller
 * Companions: 2
 * Grants: capabilities
 */
#include "cap.h"

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned g_begun, g_finished;

static void handler(uint64_t *words)
{
	if (words[0] == 1) {
		pthread_mutex_lock(&g_lock);
		g_begun++;
		usleep(100000);
		g_finished++;
		pthread_mutex_unlock(&g_lock);
	}
	words[0] = g_begun;
	words[1] = g_finished;
}

static void *caller(void *service)
{
	call1((uint32_t)(uintptr_t)service, 1);
	return NULL;
}

/* The first one owns; the second calls with three threads and ends at once. */
static void companion(void)
{
	long export = CAP(cap_create, CAP_EXPORT, "service", 7, 0);
	pthread_t thread;

	if (export > 0) {
		for (int i = 0; i < 4; i++)
			serve_beside((uint32_t)export, handler);
		owner_until_stop();
	}
	while ((export = CAP(cap_open, CAP_CALL, "evil", 4, CAP_USE)) == -ENOENT)
		usleep(1000);
	for (int i = 0; i < 3; i++)
		pthread_create(&thread, NULL, caller, (void *)(uintptr_t)export);
	usleep(20000);
	_exit(0);
}

static void attack(void)
{
	static const uint64_t none[CALL_WORDS];
	uint64_t words[CALL_WORDS];
	uint32_t evil = create_named(CAP_EXPORT, "evil", 0);

	/* the second companion calls us, and so we are the callee whose callers end */
	for (int i = 0; i < 4; i++)
		serve_beside(evil, handler);
	for (int i = 0; !g_begun || g_finished < g_begun; i++) {
		if (i > 3000)
			breach("%u calls begun, %u finished", g_begun, g_finished);
		usleep(1000);
	}
	if (pthread_mutex_trylock(&g_lock))
		breach("the lock is lost");
	memcpy(words, none, sizeof words);
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE);
	if (call(service, words))
		breach("the other owner does not serve");
	refused("the owner finishes every call and serves on");
}
