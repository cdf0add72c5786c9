/*
 * Question: can a cVM read the monitor's memory: its thread structures (cookies!), its stacks, its code?
 * Expect: REFUSED: every load faults
 * Control: --insecure-no-pkeys
 */
#include "attack.h"

static void attack(void)
{
	const uint64_t places[] = { vcpu()->monitor_thread, vcpu()->monitor_thread + 32, vcpu()->monitor_thread + 0xfff8,
				    vcpu()->monitor_thread + 0x8ff8, monitor_symbol("g_key0_canary"), vcpu()->gate };

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		if (!guarded(load_byte, (void *)places[i]).signal)
			breach("read place %zu, %#lx", i, places[i]);
	refused("every load faults");
}
