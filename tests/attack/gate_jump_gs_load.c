/*
 * Question: can a cVM move its own GS base to a forged vCPU page by jumping to the monitor's WRGSBASE?
 * Expect: REFUSED: SIGSEGV and GS is right again
 * Control: --insecure-no-pkeys
 */
#include "attack.h"

static uint8_t g_forged[4096] __attribute__((aligned(4096)));

static void jump(void *target)
{
	__asm__ volatile("sub $128, %%rsp\n\tcall *%0\n\tadd $128, %%rsp" ::"b"(target), "S"(g_forged) : "rax", "memory");
}

static void attack(void)
{
	struct vcpu_page *before = vcpu();

	memcpy(g_forged, before, sizeof g_forged);
	struct outcome o = guarded(jump, (void *)monitor_symbol("gs_load"));
	*(uint64_t *)g_forged = (uint64_t)g_forged;
	if (vcpu() != before)
		breach("GS base points to the forged page");
	refused("%s and GS is right again", signal_text(o));
}
