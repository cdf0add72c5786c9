/*
 * Question: can a cVM load PKRU by jumping to the XRSTOR behind the gate's check, with the PKRU bit in the mask?
 * Expect: REFUSED: SIGILL
 * Control: --insecure-no-gate-check
 */
#include <cpuid.h>

#include "attack.h"

static uint8_t g_area[16384] __attribute__((aligned(64)));

static void jump(void *target)
{
	__asm__ volatile("xor %%edx, %%edx\n\tsub $128, %%rsp\n\tcall *%0\n\tadd $128, %%rsp" ::"b"(target), "D"(g_area), "a"(0x200)
			 : "rdx", "memory");
	(void)*(volatile uint64_t *)g_victim.pattern;
}

static void attack(void)
{
	*(uint64_t *)(g_area + 512) = 0x200; /* XSTATE_BV: PKRU is in use, and its value, 0, lies in the area */
	struct outcome whole = guarded(jump, (void *)monitor_symbol("xrstor_gate"));
	struct outcome o = guarded(jump, (void *)monitor_symbol("xrstor_insn"));

	if (!o.signal || !whole.signal)
		breach("loaded PKRU and read the victim");
	if (!guarded(load_byte, (void *)g_victim.pattern).signal)
		breach("kept the rights through the fault");
	refused("%s", signal_text(o));
}
