/*
 * Question: the same past the libOS, with mem_seal_code itself, and with a released page put back between its neighbours?
 * Expect: REFUSED: the monitor looks across boundaries
 * Control: --insecure-no-scan
 */
#include "attack.h"

static void attack(void)
{
	static const uint8_t wrpkru[] = { 0x0f, 0x01, 0xef };
	uint8_t *page = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int split = 1; split <= 2; split++) {
		if (hostcall(HC_mem_commit, (uint64_t)page, 4 * PAGE, PROT_READ | PROT_WRITE, 0, 0, 0))
			breach("mem_commit does not work");
		memset(page, 0x90, 4 * PAGE);
		memcpy(page + 2 * PAGE - split, wrpkru, 3);
		long one = hostcall(HC_mem_seal_code, (uint64_t)page, 2 * PAGE, 0, 0, 0, 0);
		long two = hostcall(HC_mem_seal_code, (uint64_t)page + 2 * PAGE, 2 * PAGE, 0, 0, 0, 0);
		if (one)
			breach("harmless code was refused: %ld", one);
		if (!two)
			breach("split %d: WRPKRU across two sealings is executable", split);
		long whole = hostcall(HC_mem_seal_code, (uint64_t)page, 4 * PAGE, 0, 0, 0, 0);
		if (!whole)
			breach("split %d: WRPKRU is executable", split);
	}
	refused("the monitor looks across boundaries");
}
