/*
 * Question: do a caller's modes poison the callee: rounding and masked exceptions (MXCSR, x87 control), direction,
 * alignment check, single step? (Cui et al., "SmashEx", show what such state does to an enclave.)
 * Expect: REFUSED: the callee has the default modes
 * Control: --insecure-no-clean
 * Native: calls set the modes
 * Companions: 1
 * Grants: capabilities
 */
#include "cap_registers.h"

static struct dump g_dump;

static void companion(void)
{
	uint64_t words[CALL_WORDS] = { 0 };

	owner_stops();
	g_service = create_named(CAP_EXPORT, "service", 0);
	for (;;) {
		gate_dump(HC_call_serve | (uint64_t)g_service << 32, words, &g_dump, 0);
		memcpy(&words[0], g_dump.xsave, 2);	 /* x87 control */
		memcpy(&words[1], g_dump.xsave + 24, 4); /* MXCSR */
		words[0] &= 0xffff;
		words[1] &= 0xffffffff;
		words[2] = g_dump.general[15] & 0x40500; /* AC, DF, TF */
	}
}

static void attack(void)
{
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE), mxcsr = 0xffc0 & ~0x1000u, mxcsr_default = 0x1f80;
	uint16_t control = 0x0c7f;
	uint64_t words[CALL_WORDS];
	long status;

	do {
		memset(words, 0, sizeof words);
		__asm__ volatile("ldmxcsr %0; fldcw %1; pushfq; orl $0x40400, (%%rsp); popfq" : : "m"(mxcsr), "m"(control) : "memory", "cc");
		status = gate_words(HC_call_invoke | (uint64_t)service << 32, words);
		__asm__ volatile("cld; ldmxcsr %0; pushfq; andl $~0x40500, (%%rsp); popfq" : : "m"(mxcsr_default) : "memory", "cc");
	} while (status == -EAGAIN);
	if (status || words[0] != 0x37f || words[1] != 0x1f80 || words[2])
		breach("status %ld, x87 control %#lx, MXCSR %#lx, flags %#lx", status, words[0], words[1], words[2]);
	refused("the callee has the default modes");
}
