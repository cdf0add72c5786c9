/*
 * Bit sets over the bytes of a text segment: one bit an offset. The translator keeps all it knows about a segment
 * (boundaries, branch targets, overwritten bytes) this way, so memory is bounded by the file's size, whatever the file
 * says, and nothing needs sorting. Callers check offsets against the size they allocated for.
 */
#ifndef TRANSLATE_BITS_H
#define TRANSLATE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define BITS_NONE UINT32_MAX

static inline uint64_t *bits_new(uint32_t count)
{
	return calloc((size_t)count / 64 + 1, sizeof(uint64_t));
}

static inline void bits_set(uint64_t *bits, uint32_t i)
{
	bits[i / 64] |= 1ull << (i % 64);
}

static inline void bits_clear(uint64_t *bits, uint32_t i)
{
	bits[i / 64] &= ~(1ull << (i % 64));
}

static inline bool bits_test(const uint64_t *bits, uint32_t i)
{
	return (bits[i / 64] >> (i % 64)) & 1;
}

/* The greatest member <= i, or BITS_NONE. */
static inline uint32_t bits_prev(const uint64_t *bits, uint32_t i)
{
	uint32_t word = i / 64;
	uint64_t w = bits[word] & (~0ull >> (63 - i % 64));

	while (w == 0) {
		if (word == 0)
			return BITS_NONE;
		w = bits[--word];
	}
	return word * 64 + 63 - (uint32_t)__builtin_clzll(w);
}

/* The smallest member in [i, end), or end. */
static inline uint32_t bits_next(const uint64_t *bits, uint32_t i, uint32_t end)
{
	if (i >= end)
		return end;
	uint32_t word = i / 64;
	uint64_t w = bits[word] & (~0ull << (i % 64));

	while (w == 0) {
		word++;
		if ((uint64_t)word * 64 >= end)
			return end;
		w = bits[word];
	}
	uint32_t found = word * 64 + (uint32_t)__builtin_ctzll(w);
	return found < end ? found : end;
}

static inline bool bits_any(const uint64_t *bits, uint32_t from, uint32_t to)
{
	return bits_next(bits, from, to) < to;
}

#endif
