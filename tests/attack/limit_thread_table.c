/*
 * Question: can cVMs whose thread limits sum up to more than the process has room for take all of it, so that another one
 * can no longer make a thread?
 * Expect: REFUSED: everybody keeps a share
 * Control: --insecure-no-limits
 * Control-result: starved
 * Options: threads=1024 memory=512M
 * Companions: 2
 * Native: shares of the table of threads
 */
#define ATTACK_COMPANION
#include "raw.h"

static volatile uint32_t g_never;
static uint8_t g_stack[4096] __attribute__((aligned(4096)));
static struct upcall_frame g_frame __attribute__((aligned(64)));

static void sleeper(void)
{
	for (;;)
		hostcall(HC_futex_wait, (uint64_t)&g_never, 0, ~0ull, 0, 0, 0);
}

/* All share one stack: they write the same words to it. */
static int bomb(void)
{
	static struct hc_thread t;
	int made = 0;

	t = (struct hc_thread){ .entry = (uint64_t)sleeper, .stack = (uint64_t)g_stack + 2040, .upcall_entry = (uint64_t)sleeper,
				.upcall_stack = (uint64_t)g_stack + 4088, .upcall_frame = (uint64_t)&g_frame };
	while (made < 3000 && hostcall(HC_thread_create, (uint64_t)&t, 0, 0, 0, 0, 0) >= 0)
		made++;
	return made;
}

static void companion(void)
{
	struct stat st;

	bomb();
	close(open("/shared/full", O_WRONLY | O_CREAT, 0600));
	while (stat("/shared/stop", &st))
		usleep(10000);
	_exit(0);
}

static void attack(void)
{
	struct stat st;

	while (stat("/shared/full", &st))
		usleep(10000);
	int made = bomb();
	if (made >= 1023)
		breach("one of four made %d threads of 2047", made);
	let_victim_work();
	refused("everybody keeps a share");
}
