/* Handles of a bare cVM, events for cp_poll, and text. */
#include <stdarg.h>

#include "sdk/bare/bare.h"

#define PRINT_MAX 512
#define EVENT_NONBLOCK 04000

ssize_t cvm_write(int handle, const void *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		long n = gate(HC_file_write, handle, (const char *)bytes + done, size - done);
		if (n < 0 && n != -EINTR)
			return done ? (ssize_t)done : n;
		done += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)done;
}

ssize_t cvm_read(int handle, void *bytes, size_t size)
{
	long n;

	do {
		n = gate(HC_file_read, handle, bytes, size);
	} while (n == -EINTR);
	return n;
}

struct text {
	char bytes[PRINT_MAX];
	size_t used;
};

static void put(struct text *t, char c)
{
	if (t->used < sizeof t->bytes - 1)
		t->bytes[t->used++] = c;
}

static void put_padded(struct text *t, const char *s, size_t size, int width, char fill, bool left)
{
	int blanks = width - (int)size;

	for (; !left && blanks > 0; blanks--)
		put(t, fill);
	while (size--)
		put(t, *s++);
	for (; blanks > 0; blanks--)
		put(t, ' ');
}

static size_t digits(char *end, uint64_t n, unsigned base)
{
	char *at = end;

	do
		*--at = "0123456789abcdef"[n % base];
	while (n /= base);
	return (size_t)(end - at);
}

int cvm_print(const char *f, ...)
{
	struct text t = { .used = 0 };
	char number[24], *end = number + sizeof number;
	va_list a;

	va_start(a, f);
	for (; *f; f++) {
		bool left = false, wide = false;
		char fill = ' ';
		int width = 0;

		if (*f != '%') {
			put(&t, *f);
			continue;
		}
		for (f++; *f == '-' || *f == '0'; f++)
			*f == '-' ? (void)(left = true) : (void)(fill = '0');
		for (; *f >= '0' && *f <= '9'; f++)
			width = width * 10 + *f - '0';
		for (; *f == 'l'; f++)
			wide = true;
		if (*f == 's') {
			const char *s = va_arg(a, const char *);
			put_padded(&t, s ? s : "(null)", strlen(s ? s : "(null)"), width, ' ', left);
		} else if (*f == 'c') {
			number[0] = (char)va_arg(a, int);
			put_padded(&t, number, 1, width, ' ', left);
		} else if (*f == 'd') {
			int64_t n = wide ? va_arg(a, long) : va_arg(a, int);
			size_t size = digits(end, n < 0 ? -(uint64_t)n : (uint64_t)n, 10);
			if (n < 0)
				*(end - ++size) = '-';
			put_padded(&t, end - size, size, width, n < 0 ? ' ' : fill, left);
		} else if (*f == 'u' || *f == 'x' || *f == 'p') {
			uint64_t n = wide || *f == 'p' ? va_arg(a, unsigned long) : va_arg(a, unsigned);
			size_t size = digits(end, n, *f == 'u' ? 10 : 16);
			put_padded(&t, end - size, size, width, fill, left);
		} else if (*f) {
			put(&t, *f);
		} else {
			break;
		}
	}
	va_end(a);
	return (int)cvm_write(1, t.bytes, t.used);
}

int platform_event_new(void)
{
	return (int)gate(HC_eventfd_create, 0, EVENT_NONBLOCK);
}

void platform_event_set(int fd)
{
	uint64_t one = 1;

	gate(HC_file_write, fd, &one, sizeof one);
}

void platform_event_clear(int fd)
{
	uint64_t value;

	gate(HC_file_read, fd, &value, sizeof value);
}

void platform_event_close(int fd)
{
	gate(HC_file_close, fd);
}

static int g_doorbell = -1; /* poll.c's lock */

void platform_doorbell_forget(void)
{
	/* a bare cVM has no fork */
}

int platform_doorbell(void)
{
	if (g_doorbell < 0)
		g_doorbell = (int)gate(HC_cap_doorbell);
	return g_doorbell;
}

int platform_events(uint64_t bits[CAPS_MAX / 64])
{
	platform_event_clear(g_doorbell);
	return (int)gate(HC_cap_events, bits, 1);
}

long platform_poll(struct pollfd *p, unsigned count, int64_t timeout_ns)
{
	return gate(HC_poll, p, count, timeout_ns);
}
