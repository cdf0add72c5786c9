/*
 * Question: do the mem_* hostcalls touch memory outside the slot, the libOS's own code, or ranges that wrap around?
 * Expect: REFUSED: every range out of the slot is an error
 * Control: --insecure-no-slot-check
 * Control-result: dead
 */
#include "attack.h"

static void attack(void)
{
	uint64_t base = (uint64_t)&g_victim & SLOT_MASK, victim = g_victim.pattern & ~(PAGE - 1);
	uint64_t own = (uint64_t)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t starts[] = { victim, vcpu()->monitor_thread & ~(PAGE - 1), (uint64_t)vcpu(), base + SLOT_SIZE, base - PAGE, 0, ~(PAGE - 1) };
	const uint64_t bad_sizes[] = { SLOT_SIZE * 2, ~(PAGE - 1), 1ull << 63, PAGE + 1, 0 };

	for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
		uint64_t at = starts[i];
		const long results[] = { hostcall(HC_mem_protect, at, PAGE, PROT_READ, 0, 0, 0), hostcall(HC_mem_advise, at, PAGE, MADV_DONTNEED, 0, 0, 0),
					 hostcall(HC_mem_seal_code, at, PAGE, 0, 0, 0, 0), hostcall(HC_mem_move, at, PAGE, own, PAGE, 0, 0),
					 hostcall(HC_mem_move, own, PAGE, at, PAGE, 0, 0), hostcall(HC_mem_release, at, PAGE, 0, 0, 0, 0),
					 hostcall(HC_mem_commit, at, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0), hostcall(HC_mem_sync, at, PAGE, MS_ASYNC, 0, 0, 0) };
		for (size_t k = 0; k < sizeof results / sizeof results[0]; k++)
			if (results[k] >= 0)
				breach("mem hostcall %zu accepted range %zu", k, i);
	}
	for (size_t i = 0; i < sizeof bad_sizes / sizeof bad_sizes[0]; i++)
		if (hostcall(HC_mem_protect, own, bad_sizes[i], PROT_READ, 0, 0, 0) >= 0 && bad_sizes[i])
			breach("size %#lx was accepted", bad_sizes[i]);
	/* the libOS's own text is executable: it must not become writable while it executes */
	if (hostcall(HC_mem_protect, base + SLOT_LIBOS_TEXT, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0) >= 0)
		breach("the libOS's code became writable");
	refused("every range out of the slot is an error");
}
