/*
 * Question: can a cVM make XRSTOR or XRSTORS of its own executable?
 * Expect: REFUSED: mprotect mprotect
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
	static const uint8_t xrstor[] = { 0x0f, 0xae, 0x2f, 0xc3 }, xrstors[] = { 0x48, 0x0f, 0xc7, 0x1f, 0xc3 };
	void *one = make_code(xrstor, sizeof xrstor), *two = make_code(xrstors, sizeof xrstors);

	if (!one && !two)
		refused("mprotect mprotect");
	*(uint64_t *)(g_area + 512) = 0x200;
	if (one && !guarded(run, one).signal)
		breach("loaded PKRU with XRSTOR and read the victim");
	breach("made XRSTOR or XRSTORS executable");
}
