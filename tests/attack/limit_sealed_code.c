/*
 * Question: memory that was made executable may be a copy in a file of the host's memory, which lives as long as one page of it
 * is mapped. Can a cVM keep all of it by giving back all pages but one, and do that again and again?
 * Expect: REFUSED: what was given back is gone
 * Control: none: the kind of memory has no option
 * Options: memory=96M
 * Shared-memory: 600
 * Native: private copies
 */
#include "attack.h"

static void attack(void)
{
	uint64_t at = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30), size = 48ull << 20;

	for (int turn = 0; turn < 24; turn++, at += size) {
		long result = hostcall(HC_mem_commit, at, size, PROT_READ | PROT_WRITE, 0, 0, 0);
		if (result)
			breach("turn %d: giving back did not help: %ld", turn, result);
		memset((void *)at, 0xc3, size);
		if (hostcall(HC_mem_seal_code, at, size, 0, 0, 0, 0))
			breach("harmless code was refused");
		if (hostcall(HC_mem_release, at + PAGE, size - PAGE, 0, 0, 0, 0))
			breach("cannot give back");
		if (guarded((void (*)(void *))at, NULL).signal)
			breach("the page that was kept does not execute");
	}
	let_victim_work();
	refused("what was given back is gone");
}
