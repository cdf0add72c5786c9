/*
 * The slow reference for the monitor's scanner, shared by its unit test and its fuzzer: decodes by the letter of the
 * manual (Intel SDM volume 2), one offset after the other, without a line of src/base/forbidden.h.
 */
#ifndef SCAN_SLOW_H
#define SCAN_SLOW_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline int scan_slow_prefix(uint8_t b)
{
	static const uint8_t k[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 };

	return (b >= 0x40 && b <= 0x4f) || memchr(k, b, sizeof k) != NULL;
}

static inline int scan_slow_at(const uint8_t *b, size_t at, size_t size)
{
	if (at + 3 > size || b[at] != 0x0f)
		return 0;
	unsigned mod = b[at + 2] >> 6, reg = (b[at + 2] >> 3) & 7;
	if (b[at + 1] == 0x01)
		return b[at + 2] == 0xef;
	if (b[at + 1] != 0xae)
		return 0;
	if (mod != 3)
		return reg == 5;
	for (size_t n = 1; reg == 3 && n <= at && n <= 14 && scan_slow_prefix(b[at - n]); n++)
		if (b[at - n] == 0xf3)
			return 1;
	return 0;
}

/* What scan_bytes must return. */
static inline int64_t scan_slow(const uint8_t *b, size_t size)
{
	for (size_t at = 0; at < size; at++)
		if (scan_slow_at(b, at, size))
			return (int64_t)at;
	return -1;
}

#endif
