/*
 * Messages on standard error: see message.h. Called by all of the command. The texts given to message_lines come from
 * cVMs and are hostile.
 */
#include "cli/message.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define WAIT_MAX_S 10

static bool g_quiet;
static int g_fd = STDERR_FILENO;
static bool g_hurried, g_stuck; /* the last write took too long */
static volatile sig_atomic_t g_late;

struct output {
	int fd; /* -1: nowhere */
	size_t used;
	char bytes[8192];
};

static void on_alarm(int signal)
{
	(void)signal;
	g_late = true;
}

void message_hurry(void)
{
	struct sigaction action = {.sa_handler = on_alarm}; /* not restarting */
	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	g_hurried = sigaction(SIGALRM, &action, NULL) == 0 && sigprocmask(SIG_UNBLOCK, &alarm, NULL) == 0;
}

void message_poll(struct pollfd *entry)
{
	*entry = (struct pollfd){.fd = g_fd, .events = POLLOUT};
}

bool message_room(void)
{
	struct pollfd entry;

	message_poll(&entry);
	return entry.fd < 0 || poll(&entry, 1, 0) != 0;
}

/* O_NONBLOCK is not ours to set, it would be everybody's. A signal that comes before the write is followed by another. */
static ssize_t write_in_time(int fd, const char *bytes, size_t size)
{
	static const struct itimerval limit = {{.tv_sec = 1}, {.tv_sec = WAIT_MAX_S}}, none;
	ssize_t n;

	if (!g_hurried)
		return write(fd, bytes, size);
	if (g_stuck && !message_room())
		return 0;
	g_late = false;
	setitimer(ITIMER_REAL, &limit, NULL);
	do
		n = write(fd, bytes, size);
	while (n < 0 && errno == EINTR && !g_late);
	setitimer(ITIMER_REAL, &none, NULL);
	g_stuck = g_late;
	return n;
}

/* A reader that went away is no reason to stop: the program's status still counts. */
static void flush(struct output *o)
{
	size_t done = 0;

	while (o->fd >= 0 && done < o->used) {
		ssize_t n = write_in_time(o->fd, o->bytes + done, o->used - done);
		if (n < 0 && errno == EINTR && !g_late)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	o->used = 0;
}

static void put(struct output *o, const char *bytes, size_t size)
{
	if (o->used + size > sizeof(o->bytes))
		flush(o);
	memcpy(o->bytes + o->used, bytes, size);
	o->used += size;
}

/* Invisible and direction-changing characters, which can make a line read as another. */
static bool deceptive(uint32_t c)
{
	return c < 0xa0 || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || (c >= 0xe000 && c <= 0xf8ff) || c == 0xfeff ||
	       (c >= 0xfff0 && c <= 0xffff) || c >= 0xe0000;
}

/* The length of the well-formed, printable multi-byte character at `p`, or 0. */
static size_t utf8_length(const unsigned char *p, size_t size)
{
	size_t length = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;

	if (length == 0 || size < length)
		return 0;
	uint32_t c = p[0] & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	bool overlong = (length == 3 && c < 0x800) || (length == 4 && (c < 0x10000 || c > 0x10ffff));
	bool surrogate = c >= 0xd800 && c <= 0xdfff;
	return overlong || surrogate || deceptive(c) ? 0 : length;
}

static void put_escaped(struct output *o, const char *text, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)text, *end = p + size;

	while (p < end) {
		size_t length = (*p >= 0x20 && *p < 0x7f) || *p == '\t' ? 1 : utf8_length(p, (size_t)(end - p));

		if (length) {
			put(o, (const char *)p, length);
			p += length;
		} else {
			put(o, (char[]){'\\', 'x', hex[*p >> 4], hex[*p & 15]}, 4);
			p++;
		}
	}
}

void message_lines(const char *prefix, const char *text, size_t size)
{
	struct output o;
	const char *end = text + size;

	o.used = 0;
	o.fd = g_fd;
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line_end = newline ? newline : end;

		if (line_end > text) {
			put(&o, prefix, strlen(prefix));
			put_escaped(&o, text, (size_t)(line_end - text));
			put(&o, "\n", 1);
		}
		text = line_end + 1;
	}
	flush(&o);
}

/* One line, whatever is in it: a newline inside is escaped too. */
static void one_line(const char *prefix, const char *format, va_list args)
{
	struct output o;
	char text[2048];

	vsnprintf(text, sizeof(text), format, args);
	o.used = 0;
	o.fd = g_fd;
	put(&o, prefix, strlen(prefix));
	put_escaped(&o, text, strlen(text));
	put(&o, "\n", 1);
	flush(&o);
}

void message_text(int fd, const char *text, size_t size)
{
	struct output o;

	o.used = 0;
	o.fd = fd;
	while (size) {
		const char *newline = memchr(text, '\n', size);
		size_t line = newline ? (size_t)(newline - text) : size;

		put_escaped(&o, text, line);
		if (newline)
			put(&o, "\n", 1);
		line += newline ? 1 : 0;
		text += line;
		size -= line;
	}
	flush(&o);
}

void message_output(int fd)
{
	g_fd = fd;
}

void message_quiet(bool quiet)
{
	g_quiet = quiet;
}

void message_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	one_line("intravisor: ", format, args);
	va_end(args);
}

void message_warning(const char *format, ...)
{
	va_list args;

	if (g_quiet)
		return;
	va_start(args, format);
	one_line("intravisor: warning: ", format, args);
	va_end(args);
}

void message_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	one_line("intravisor: note: ", format, args);
	va_end(args);
}
