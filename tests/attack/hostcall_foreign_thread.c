/*
 * Question: can a cVM kick threads of another cVM, or any number that is not a thread of its own?
 * Expect: REFUSED: no foreign thread answers
 * Control: none: threads are looked up by cVM, with every option
 */
#include "attack.h"

static void attack(void)
{
	uint32_t own = vcpu()->id;

	for (uint64_t id = 0; id < 4096; id++) {
		long result = id == own ? -1 : hostcall(HC_thread_kick, id, 0, 0, 0, 0, 0);
		if (result >= 0)
			breach("kicked thread %lu", id);
	}
	if (hostcall(HC_thread_kick, ~0ull, 0, 0, 0, 0, 0) >= 0 || hostcall(HC_thread_kick, 1ull << 32 | own, 0, 0, 0, 0, 0) >= 0)
		breach("kicked a thread that cannot exist");
	refused("no foreign thread answers");
}
