/*
 * Question: can a cVM write WRPKRU into memory, have it sealed as code and run it?
 * Expect: REFUSED: not sealed
 * Control: --insecure-no-scan
 */
#include "attack.h"

static void run(void *code)
{
	((void (*)(void))code)();
	(void)*(volatile uint64_t *)g_victim.pattern;
}

static void attack(void)
{
	static const uint8_t code[] = { 0x31, 0xc0, 0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xef, 0xc3 };
	void *made = seal_code(code, sizeof code);

	if (!made)
		refused("not sealed");
	if (!guarded(run, made).signal)
		breach("ran WRPKRU and read the victim");
	breach("made WRPKRU executable");
}
