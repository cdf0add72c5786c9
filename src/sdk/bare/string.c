/* The functions that compilers call without being asked, but for memcpy (base/x86_64/copy.S). */
#include "sdk/bare/bare.h"

void *memmove(void *to, const void *from, size_t size)
{
	char *d = to;
	const char *s = from;

	if ((uintptr_t)d - (uintptr_t)s >= size && (uintptr_t)s - (uintptr_t)d >= size)
		return memcpy(to, from, size);
	for (size_t i = 0; d < s && i < size; i++)
		d[i] = s[i];
	while (d > s && size--)
		d[size] = s[size];
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(byte) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *x = a, *y = b;

	for (; size--; x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}
