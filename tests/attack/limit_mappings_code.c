/*
 * Question: a segment with pages of data between its code becomes many mappings at once when it is mapped as code. Can a cVM use up
 * with that the mappings that the host allows the one process of all cVMs (vm.max_map_count), of which it has a share?
 * Expect: REFUSED: code with data between ends at the share of mappings
 * Control: --insecure-no-limits
 * Control-result: starved
 * Native: the share of mappings
 */
#include "pieces.h"

static bool executes(uint64_t address)
{
	return !guarded((void (*)(void *))address, NULL).signal;
}

static void attack(void)
{
	uint64_t at = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30), made = 0, end = at + (16ull << 30);
	long result = 0;

	make_pieces("/shared/pieces");
	long file = hostcall(HC_file_open, granted_directory("symbols"), (uint64_t)"pieces", 6, O_RDONLY, 0, 0);
	for (uint64_t to = at; !result && to < end; to += SIZE + PAGE)
		if (!(result = hostcall(HC_mem_map_code, to, SIZE, (uint64_t)file, PAGE, 0, 0)))
			made++;
	for (uint64_t i = 0; i < PIECES; i++)
		if (executes(at + i * PAGE) != !(i % 2))
			breach("page %lu of the segment is not what the attack needs", i);
	let_victim_work();
	if (result != -ENOMEM || made * PIECES > 36000)
		breach("%lu segments of %d mappings: %ld", made, PIECES, result);
	refused("code with data between ends at the share of mappings");
}
