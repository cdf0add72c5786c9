/* Memory functions and message building for the monitor; see bits.h. */
#include "base/bits.h"

#include <stdarg.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	void *ret = dst;
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n) : : "memory");
	return ret;
}

void *memmove(void *dst, const void *src, size_t n)
{
	char *d = dst;
	const char *s = src;

	if (d <= s || d >= s + n)
		return memcpy(dst, src, n);
	while (n--)
		d[n] = s[n];
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *ret = dst;
	__asm__ volatile("rep stosb" : "+D"(dst), "+c"(n) : "a"(c) : "memory");
	return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

/* Eight bytes at a time: the scanner's inner loop (Mycroft's zero-byte test). */
void *memchr(const void *s, int c, size_t n)
{
	const uint8_t *p = s;
	const uint64_t ones = 0x0101010101010101ull, high = 0x8080808080808080ull;
	uint64_t pattern = ones * (uint8_t)c;

	for (; n && ((uintptr_t)p & 7); p++, n--)
		if (*p == (uint8_t)c)
			return (void *)p;
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t word = *(const uint64_t *)p ^ pattern;
		if ((word - ones) & ~word & high)
			break;
	}
	for (; n; p++, n--)
		if (*p == (uint8_t)c)
			return (void *)p;
	return NULL;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static void message_byte(struct message *m, char c)
{
	if (m->size < sizeof m->text)
		m->text[m->size++] = c;
}

static void message_digits(struct message *m, uint64_t value, unsigned base)
{
	char digits[20];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n)
		message_byte(m, digits[--n]);
}

void message_add(struct message *m, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	for (; *format; format++) {
		bool word = format[0] == '%' && format[1] == 'l';
		if (word && format[2] == 'x')
			message_digits(m, va_arg(args, uint64_t), 16);
		else if (word)
			message_digits(m, va_arg(args, uint64_t), 10);
		else if (*format == '%')
			for (const char *text = va_arg(args, const char *); *text; text++)
				message_byte(m, *text);
		else
			message_byte(m, *format);
		format += word ? 2 : *format == '%';
	}
	va_end(args);
}
