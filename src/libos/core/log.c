/*
 * Messages to the command's log (core/log.h). Formats on the caller's stack and hands one line to the monitor, which
 * limits the rate; nothing is kept. Usable from any libOS code, also with locks held and in upcalls.
 */
#include "core/log.h"
#include "core/hostcall.h"

#define LINE_MAX 1024
#define PANIC_STATUS 70

static void log_line(bool crash, const char *fmt, __builtin_va_list args)
{
	char line[LINE_MAX];
	int n = vformat(line, sizeof(line) - 1, fmt, args);
	size_t length = MIN((size_t)n, sizeof(line) - 2);

	if (!length || line[length - 1] != '\n')
		line[length++] = '\n';
	hostcall(HC_cvm_log, line, length, crash);
}

void log_text(const char *fmt, ...)
{
	__builtin_va_list args;

	__builtin_va_start(args, fmt);
	log_line(false, fmt, args);
	__builtin_va_end(args);
}

void log_crash(const char *fmt, ...)
{
	__builtin_va_list args;

	__builtin_va_start(args, fmt);
	log_line(true, fmt, args);
	__builtin_va_end(args);
}

void log_write(const char *text, size_t size)
{
	hostcall(HC_cvm_log, text, size, 0);
}

void panic(const char *fmt, ...)
{
	__builtin_va_list args;

	log_crash("libOS: internal error:");
	__builtin_va_start(args, fmt);
	log_line(true, fmt, args);
	__builtin_va_end(args);
	for (;;)
		hostcall(HC_cvm_exit, PANIC_STATUS, 0);
}
