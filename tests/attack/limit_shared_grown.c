/*
 * Question: a piece of a mapping of shared memory that moves and grows gets the pages that follow it, under a second address. Can a
 * cVM keep pages uncounted that it has given back at both?
 * Expect: REFUSED: what was given back is gone
 * Control: none: what a release does has no option
 * Native: memory_replace
 */
#include "raw.h"

#define SIZE (64 * PAGE)

static void attack(void)
{
	uint64_t base = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30), to = base + SIZE, again = to + SIZE;
	long result = hostcall(HC_mem_commit, base, SIZE, PROT_READ | PROT_WRITE, HC_MEM_SHARED, 0, 0);

	*(volatile uint8_t *)base = 0x11;
	if (result || hostcall(HC_mem_move, base, PAGE, to, SIZE, 0, 0))
		breach("the mapping does not grow: the attack needs to be rewritten");
	memset((void *)(to + PAGE), 0x22, SIZE - PAGE);
	if (hostcall(HC_mem_release, base + PAGE, SIZE - PAGE, 0, 0, 0, 0))
		breach("cannot give back");
	memset((void *)(to + PAGE), 0x33, SIZE - PAGE);
	if (hostcall(HC_mem_release, to + PAGE, SIZE - PAGE, 0, 0, 0, 0) || hostcall(HC_mem_move, to, PAGE, again, SIZE, 0, 0))
		breach("cannot give back");
	let_victim_work();
	if (*(volatile uint8_t *)again != 0x11)
		breach("the page that was kept changed");
	for (uint64_t at = again + PAGE; at < again + SIZE; at += PAGE)
		if (*(volatile uint8_t *)at)
			breach("page %lu, counted nowhere, is still there: %#x", (at - again) / PAGE, *(volatile uint8_t *)at);
	refused("what was given back is gone");
}
