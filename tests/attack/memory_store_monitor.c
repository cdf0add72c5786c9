/*
 * Question: can a cVM write the monitor's memory, its code, or the vCPU page that tells it the gate's address?
 * Expect: REFUSED: every store faults
 * Control: --insecure-no-pkeys
 */
#include "attack.h"

static void attack(void)
{
	/* an unused word of the monitor's stack, the end of the thread block, the unused part of the vCPU page, code */
	const uint64_t places[] = { vcpu()->monitor_thread + 0xa100, vcpu()->monitor_thread + 0xff8, (uint64_t)vcpu() + 2048,
				    vcpu()->gate };

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		if (!guarded(store_byte, (void *)places[i]).signal)
			breach("wrote place %zu, %#lx", i, places[i]);
	if (!vcpu()->self)
		breach("the vCPU page is not readable");
	refused("every store faults");
}
