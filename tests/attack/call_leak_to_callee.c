/*
 * Question: what does a callee find in its registers of the caller, whose every register holds a secret: general, vector,
 * mask, x87? And of the monitor?
 * Expect: REFUSED: nothing but the words
 * Control: --insecure-no-clean
 * Native: calls clean the registers
 * Companions: 1
 * Grants: capabilities
 */
#include "cap_registers.h"

static struct dump g_dump;

static void companion(void)
{
	uint32_t evil = open_named(CAP_CALL, "evil", CAP_USE);
	uint64_t words[CALL_WORDS];

	find_avx512();
	for (int i = 0; i < 3; i++) {
		do {
			for (unsigned k = 0; k < CALL_WORDS; k++)
				words[k] = k + 1;
		} while (gate_dump(HC_call_invoke | (uint64_t)evil << 32, words, &g_dump, 1) == -EAGAIN);
	}
	owner_until_stop();
}

static void attack(void)
{
	uint32_t evil = create_named(CAP_EXPORT, "evil", 0);
	uint64_t words[CALL_WORDS] = { 0 };

	for (int i = 0; i < 3; i++) {
		while (gate_dump(HC_call_serve | (uint64_t)evil << 32, words, &g_dump, 0) == -EINTR)
			;
		for (unsigned k = 0; k < CALL_WORDS; k++)
			if (words[k] != k + 1)
				breach("word %u came as %#lx", k, words[k]);
		const char *leak = leak_in(&g_dump);
		if (leak)
			breach("%s", leak);
	}
	refused("nothing but the words");
}
