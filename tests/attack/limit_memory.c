/*
 * Question: can a cVM hold more memory than its limit: committed, by memory objects, or by touching reserved pages?
 * Expect: REFUSED: stopped at the limit
 * Control: --insecure-no-limits
 * Native: the accounts
 * Options: memory=64M
 */
#include "attack.h"

static void attack(void)
{
	uint64_t base = (uint64_t)&g_victim & SLOT_MASK, at = base + (32ull << 30), total = 0;
	const uint64_t step = 4 << 20;

	while (total < (256ull << 20) && hostcall(HC_mem_commit, at + total, step, PROT_READ | PROT_WRITE, 0, 0, 0) == 0) {
		memset((void *)(at + total), 1, step);
		total += step;
	}
	uint64_t objects = 0;
	while (objects < (256ull << 20) && hostcall(HC_memobj_create, step, 0, 0, 0, 0, 0) >= 0)
		objects += step;
	if (total + objects > (64ull << 20))
		breach("holds %lu MiB", (total + objects) >> 20);
	if (!guarded(store_byte, (void *)(at + (1ull << 30))).signal)
		breach("reserved pages can be touched");
	refused("stopped at the limit");
}
