/*
 * Question: what does a caller find in its registers of the callee, whose every register holds a secret when it answers?
 * Expect: REFUSED: nothing but the words
 * Control: --insecure-no-clean
 * Native: answers clean the registers
 * Companions: 1
 * Grants: capabilities
 */
#include "cap_registers.h"

static struct dump g_dump;

static void companion(void)
{
	uint64_t words[CALL_WORDS] = { 0 };

	find_avx512();
	owner_stops();
	g_service = create_named(CAP_EXPORT, "service", 0);
	for (;;) {
		gate_dump(HC_call_serve | (uint64_t)g_service << 32, words, &g_dump, 1);
		for (unsigned k = 0; k < CALL_WORDS; k++)
			words[k] += 100;
	}
}

static void attack(void)
{
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE);
	uint64_t words[CALL_WORDS];

	for (int i = 0; i < 3; i++) {
		do {
			for (unsigned k = 0; k < CALL_WORDS; k++)
				words[k] = k + 1;
		} while (gate_dump(HC_call_invoke | (uint64_t)service << 32, words, &g_dump, 0) == -EAGAIN);
		const char *leak = leak_in(&g_dump);
		if (leak)
			breach("%s", leak);
		for (unsigned k = 0; k < CALL_WORDS; k++)
			if (words[k] != k + 101)
				breach("word %u came as %#lx", k, words[k]);
	}
	refused("nothing but the words");
}
