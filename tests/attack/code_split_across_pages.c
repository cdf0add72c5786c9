/*
 * Question: can a forbidden sequence arise across the boundary of two pages that became executable one after the other?
 * Expect: REFUSED: no order and no split works
 * Control: --insecure-no-scan
 */
#include "attack.h"

static bool works(int split, int order)
{
	static const uint8_t wrpkru[] = { 0x0f, 0x01, 0xef };
	uint8_t *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int failed = 0;

	memset(page, 0x90, 2 * PAGE);
	memcpy(page + PAGE - split, wrpkru, 3);
	for (int i = 0; i < 2; i++)
		failed |= hostcall(HC_mem_seal_code, (uint64_t)page + ((i ^ order) ? PAGE : 0), PAGE, 0, 0, 0, 0) != 0;
	if (!failed) /* both pages execute: really, or only in the libOS's books? */
		failed = page[PAGE - split] != 0x0f || page[PAGE - split + 1] != 0x01 || page[PAGE - split + 2] != 0xef;
	return !failed;
}

static void attack(void)
{
	for (int split = 1; split <= 2; split++)
		for (int order = 0; order < 2; order++)
			if (works(split, order))
				breach("split %d, order %d: WRPKRU across pages is executable", split, order);
	refused("no order and no split works");
}
