/*
 * Question: can a cVM use up the mappings that the host allows the one process of all cVMs (vm.max_map_count), by protecting
 * every second page, or by releasing every second page, so that others can no longer map or protect anything?
 * Expect: REFUSED: ends at its share, can give back and go on
 * Control: --insecure-no-limits
 * Control-result: starved
 * Companions: 6
 * Native: the share of mappings
 */
#define ATTACK_COMPANION /* idle ones: the share becomes smaller */
#include "attack.h"

static void companion(void)
{
	_exit(0);
}

#define PAGES 160000ull

static void attack(void)
{
	uint64_t at = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30), made = 0;
	long result = 0;

	if (hostcall(HC_mem_commit, at, PAGES * PAGE, PROT_READ | PROT_WRITE, 0, 0, 0))
		breach("mem_commit does not work");
	for (uint64_t i = 1; i < PAGES && !result; i += 2)
		if (!(result = hostcall(HC_mem_protect, at + i * PAGE, PAGE, PROT_READ, 0, 0, 0)))
			made++;
	if (result != -ENOMEM)
		breach("%lu pages became mappings of their own: %ld", made, result);
	/* giving back opens room again: from the start page by page, one mapping less each */
	for (uint64_t i = 0; i < 100; i++)
		if (hostcall(HC_mem_release, at + i * PAGE, PAGE, 0, 0, 0, 0))
			breach("nothing can be given back at the share's end");
	if (hostcall(HC_mem_protect, at + (2 * made + 20) * PAGE, PAGE, PROT_READ, 0, 0, 0))
		breach("what was given back cannot be used");
	result = 0;
	for (uint64_t i = PAGES - 1; i > 0 && !result; i -= 2)
		if (!(result = hostcall(HC_mem_release, at + i * PAGE, PAGE, 0, 0, 0, 0)))
			made++;
	if (result != -ENOMEM)
		breach("%lu mappings after releases: %ld", made, result);
	let_victim_work();
	refused("ends at its share, can give back and go on");
}
