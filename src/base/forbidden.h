/*
 * The byte sequences that may not exist in executable memory of a cVM, at any offset: the one definition that the
 * monitor's scanner (trusted), the translator (untrusted) and their tests share.
 *
 * WRPKRU 0F 01 EF; XRSTOR 0F AE /5 with a memory operand (0F AE /5 with mod 3 is LFENCE); XRSTORS 0F C7 /3 with a memory
 * operand; WRGSBASE 0F AE /3 with mod 3 (F3 prefix, maybe far in front: refused without looking for it; /2 with mod 3 is
 * WRFSBASE, which is allowed). Intel SDM volume 2.
 */
#ifndef BASE_FORBIDDEN_H
#define BASE_FORBIDDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORBIDDEN_LENGTH 3

/* The bytes that follow 0F decide. */
static inline bool forbidden_after_0f(uint8_t b1, uint8_t b2)
{
	uint8_t reg = (b2 >> 3) & 7;
	bool memory = (b2 >> 6) != 3;

	switch (b1) {
	case 0x01:
		return b2 == 0xef;
	case 0xae:
		return (reg == 5 && memory) || (reg == 3 && !memory);
	case 0xc7:
		return reg == 3 && memory;
	default:
		return false;
	}
}

#endif
