/*
 * Memory and string functions (core/types.h), but for memcpy (base/x86_64/copy.S). The compiler calls memcpy, memmove, memset
 * and memcmp by itself. They stand on hot paths (pipe data, structures of system calls), so: overlapping word moves for the
 * sizes of structures, `rep stosb` from 128 bytes on, where every processor with protection keys does it at full width.
 * Trusts its callers; program addresses go through core/uaccess.S.
 */
#include "core/types.h"

#undef memmove
#undef memset
#undef memcmp
#undef strlen

#define REP_MIN 128

struct unaligned64 {
	uint64_t v;
} __attribute__((packed, may_alias));

static inline uint64_t load64(const void *p)
{
	return ((const struct unaligned64 *)p)->v;
}

static inline void store64(void *p, uint64_t v)
{
	((struct unaligned64 *)p)->v = v;
}

void *memmove(void *dst, const void *src, size_t n)
{
	char *d = dst;
	const char *s = src;

	if ((uintptr_t)d - (uintptr_t)s >= n && (uintptr_t)s - (uintptr_t)d >= n)
		return memcpy(dst, src, n);
	if (d <= s) {
		for (; n >= 8; n -= 8, d += 8, s += 8)
			store64(d, load64(s));
		for (; n; n--)
			*d++ = *s++;
		return dst;
	}
	d += n;
	s += n;
	for (; n >= 8; n -= 8) {
		d -= 8;
		s -= 8;
		store64(d, load64(s));
	}
	for (; n; n--)
		*--d = *--s;
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	char *d = dst;

	if (n >= REP_MIN) {
		__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
		return dst;
	}
	if (n >= 8) {
		uint64_t v = 0x0101010101010101ull * (uint8_t)c;
		char *end = d + n - 8;

		for (; d < end; d += 8)
			store64(d, v);
		store64(end, v);
		return dst;
	}
	for (; n; n--)
		*d++ = (char)c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n >= 8 && load64(x) == load64(y); n -= 8, x += 8, y += 8)
		;
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	for (const uint8_t *p = s; n; n--, p++)
		if (*p == (uint8_t)c)
			return (void *)(uintptr_t)p;
	return NULL;
}

size_t strlen(const char *s)
{
	const char *p = s;

	while (*p)
		p++;
	return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n && *a && *a == *b; a++, b++, n--)
		;
	return n ? (uint8_t)*a - (uint8_t)*b : 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(uintptr_t)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *found = NULL;

	for (;; s++) {
		if (*s == (char)c)
			found = s;
		if (!*s)
			return (char *)(uintptr_t)found;
	}
}
