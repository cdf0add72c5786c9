/*
 * Question: can a cVM make XRSTOR of its own executable?
 * Expect: REFUSED: not sealed
 * Control: --insecure-no-scan
 */
#include "attack.h"

static uint8_t g_area[16384] __attribute__((aligned(64)));

static void run(void *code)
{
	__asm__ volatile("xor %%edx, %%edx\n\tsub $128, %%rsp\n\tcall *%0\n\tadd $128, %%rsp" ::"b"(code), "D"(g_area), "a"(0x200)
			 : "rdx", "memory");
	(void)*(volatile uint64_t *)g_victim.pattern;
}

static void attack(void)
{
	static const uint8_t xrstor[] = { 0x0f, 0xae, 0x2f, 0xc3 };
	void *code = seal_code(xrstor, sizeof xrstor);

	if (!code)
		refused("not sealed");
	*(uint64_t *)(g_area + 512) = 0x200;
	if (!guarded(run, code).signal)
		breach("loaded PKRU with XRSTOR and read the victim");
	breach("made XRSTOR executable");
}
