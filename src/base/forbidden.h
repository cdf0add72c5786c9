/*
 * The byte sequences that may not exist in executable memory of a cVM, at any offset: the one definition that the
 * monitor's scanner (trusted), the translator (untrusted) and their tests share.
 *
 * WRPKRU 0F 01 EF; XRSTOR 0F AE /5 with a memory operand (0F AE /5 with mod 3 is LFENCE); WRGSBASE F3 0F AE /3 with mod 3,
 * where other prefixes may stand between F3 and 0F (without F3 it is undefined; /2 with mod 3 is WRFSBASE, which is
 * allowed). XRSTORS (0F C7 /3) is not among them: it is for the kernel alone, as WRMSR is. Intel SDM volume 2.
 */
#ifndef BASE_FORBIDDEN_H
#define BASE_FORBIDDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORBIDDEN_LENGTH 3 /* bytes from 0F on */
#define FORBIDDEN_CONTEXT 14 /* bytes before or behind any one of an instruction's: it has at most 15 */

/* The bytes that follow 0F, without its prefixes. */
static inline bool forbidden_after_0f(uint8_t b1, uint8_t b2)
{
	uint8_t reg = (b2 >> 3) & 7;
	bool memory = (b2 >> 6) != 3;

	switch (b1) {
	case 0x01:
		return b2 == 0xef;
	case 0xae:
		return (reg == 5 && memory) || (reg == 3 && !memory);
	default:
		return false;
	}
}

static inline bool forbidden_is_prefix(uint8_t b)
{
	return (b & 0xf0) == 0x40 || (b & 0xe7) == 0x26 || (b >= 0x64 && b <= 0x67) || b == 0xf0 || b == 0xf2 || b == 0xf3;
}

/* Does a forbidden sequence start with the 0F at bytes[at]? Needs at + FORBIDDEN_LENGTH bytes. */
static inline bool forbidden_at(const uint8_t *bytes, size_t at)
{
	if (bytes[at] != 0x0f || !forbidden_after_0f(bytes[at + 1], bytes[at + 2]))
		return false;
	if (bytes[at + 1] != 0xae || (bytes[at + 2] >> 6) != 3)
		return true;
	for (size_t n = 1; n <= FORBIDDEN_CONTEXT && n <= at && forbidden_is_prefix(bytes[at - n]); n++)
		if (bytes[at - n] == 0xf3)
			return true;
	return false;
}

#endif
