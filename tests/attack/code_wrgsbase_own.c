/*
 * Question: can a cVM make WRGSBASE of its own executable, for any register, and move its vCPU page?
 * Expect: REFUSED: all 16 encodings
 * Control: --insecure-no-scan
 */
#include "attack.h"

static void attack(void)
{
	int made = 0;

	for (int i = 0; i < 16; i++) {
		const uint8_t code[] = { 0xf3, i & 8 ? 0x49 : 0x48, 0x0f, 0xae, (uint8_t)(0xd8 | (i & 7)), 0xc3 };
		made += seal_code(code, sizeof code) != NULL;
	}
	if (made)
		breach("%d encodings of WRGSBASE became executable", made);
	refused("all 16 encodings");
}
