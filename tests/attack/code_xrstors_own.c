/*
 * Question: XRSTORS is not among the sequences that the scanner forbids, since processors run it in the kernel alone (Intel
 * SDM and AMD APM: #GP at any other privilege level). Does this one keep to that, whatever state is asked for?
 * Expect: REFUSED: 20 times
 * Control: --insecure-no-scan
 * Native: the processor
 */
#include "attack.h"

static uint8_t g_area[16384] __attribute__((aligned(64)));
static uint64_t g_mask;

static void run(void *code)
{
	__asm__ volatile("sub $128, %%rsp\n\tcall *%0\n\tadd $128, %%rsp" ::"b"(code), "D"(g_area), "a"((uint32_t)g_mask), "d"(g_mask >> 32)
			 : "memory");
}

static void attack(void)
{
	static const uint8_t xrstors[] = { 0x0f, 0xc7, 0x1f, 0xc3 }, xrstors64[] = { 0x48, 0x0f, 0xc7, 0x1f, 0xc3 };
	static const uint8_t xrstor[] = { 0x0f, 0xae, 0x2f, 0xc3 };
	static const uint64_t mask[] = { 0, 0x3, 0x7, 0x200, ~0ull }; /* nothing, SSE, AVX, PKRU, all */
	void *code[] = { seal_code(xrstors, sizeof xrstors), seal_code(xrstors64, sizeof xrstors64), seal_code(xrstor, sizeof xrstor) };
	int times = 0;

	if (!code[0] || !code[1])
		breach("XRSTORS was not made executable: nothing is tried");
	for (int c = 0; c < 3; c++)
		for (int i = 0; code[c] && i < 10; i++) {
			memset(g_area, 0, sizeof g_area);
			g_mask = mask[i % 5];
			*(uint64_t *)(g_area + 512) = g_mask;			     /* XSTATE_BV */
			*(uint64_t *)(g_area + 520) = i < 5 ? 0 : 1ull << 63 | g_mask; /* XCOMP_BV: standard or compacted */
			struct outcome outcome = guarded(run, code[c]);
			if (outcome.signal != SIGSEGV && outcome.signal != SIGILL)
				breach("%s ran with mask %lx", c == 2 ? "XRSTOR" : "XRSTORS", g_mask);
			times++;
		}
	refused("%d times", times);
}
