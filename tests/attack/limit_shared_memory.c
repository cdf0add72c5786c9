/*
 * Question: pages of shared anonymous memory stay in the host's memory until the last page of their mapping goes. Can a cVM
 * keep them uncounted by giving back all but one: by release, by mapping over them, by moving, with a thread that touches them
 * in between?
 * Expect: REFUSED: what was given back is gone
 * Control: none: what a release does has no option
 * Options: memory=96M
 * Shared-memory: 400
 * Native: memory_replace
 */
#include "raw.h"

#define SIZE (48ull << 20)

static volatile uint64_t g_at;
static volatile bool g_stop;
static struct raw_thread *g_thread;

static void touch_all(void *unused)
{
	uint64_t at = g_at;

	(void)unused;
	for (uint64_t i = PAGE; i < SIZE; i += PAGE)
		*(volatile uint8_t *)(at + i) = 1;
}

static void touches(void *unused)
{
	(void)unused;
	while (!g_stop)
		raw_try(g_thread, touch_all, NULL);
}

static void attack(void)
{
	uint64_t base = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30);

	raw_start(g_thread = raw_new(touches, NULL));
	for (uint64_t turn = 0; turn < 16; turn++) {
		uint64_t at = base + turn * 2 * SIZE;
		long result = hostcall(HC_mem_commit, at, SIZE, PROT_READ | PROT_WRITE, HC_MEM_SHARED, 0, 0);
		if (result)
			breach("turn %lu: giving back did not help: %ld", turn, result);
		*(volatile uint8_t *)at = 0x11;
		g_at = at;
		memset((void *)(at + PAGE), 1, SIZE - PAGE);
		switch (turn % 4) {
		case 0: result = hostcall(HC_mem_release, at + PAGE, SIZE - PAGE, 0, 0, 0, 0); break;
		case 1:
			result = hostcall(HC_mem_commit, at + PAGE, PAGE, PROT_READ, 0, 0, 0);
			result |= hostcall(HC_mem_release, at + PAGE, SIZE - PAGE, 0, 0, 0, 0);
			break;
		case 2:
			result = hostcall(HC_mem_move, at, SIZE, at + SIZE, PAGE, 0, 0);
			at += SIZE;
			break;
		default:
			result = hostcall(HC_mem_protect, at + PAGE, SIZE / 2, PROT_READ, 0, 0, 0);
			result |= hostcall(HC_mem_release, at + PAGE, SIZE / 2, 0, 0, 0, 0) | hostcall(HC_mem_release, at + PAGE + SIZE / 2, SIZE / 2 - PAGE, 0, 0, 0, 0);
		}
		if (result)
			breach("turn %lu: cannot give back: %ld", turn, result);
		if (*(volatile uint8_t *)at != 0x11)
			breach("turn %lu: the page that was kept changed", turn);
	}
	let_victim_work();
	g_stop = true;
	raw_wait(g_thread);
	refused("what was given back is gone");
}
