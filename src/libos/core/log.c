/*
 * Messages to the command's log (core/log.h). Formats on the caller's stack and writes one line to the command, which
 * limits the rate; nothing is kept. Usable from any libOS code, also with locks held and in upcalls.
 */
#include <linux/poll.h>

#include "core/log.h"
#include "abi/boot.h"
#include "core/hostcall.h"

#define LINE_MAX 1024
#define TRIES 500
#define TRY_NS 10000000ll
#define PANIC_STATUS 70

/* One message (abi/boot.h). Waits for room, as the command may be slow, but gives up on a command that does not read. */
static void log_line(char kind, const char *fmt, __builtin_va_list args)
{
	struct pollfd room = { .fd = BOOT_HANDLE_LOG, .events = POLLOUT };
	char line[LINE_MAX];
	int n = vformat(line + 1, sizeof(line) - 1, fmt, args);
	size_t length = 1 + MIN((size_t)n, sizeof(line) - 2);

	line[0] = kind;
	for (int i = 0; i < TRIES && hostcall(HC_file_write, BOOT_HANDLE_LOG, line, length) == -EAGAIN; i++)
		if (hostcall(HC_poll, &room, 1, TRY_NS) == -EINTR)
			hostcall(HC_thread_yield);
}

void log_text(const char *fmt, ...)
{
	__builtin_va_list args;

	__builtin_va_start(args, fmt);
	log_line(BOOT_LOG_TEXT, fmt, args);
	__builtin_va_end(args);
}

void log_crash(const char *fmt, ...)
{
	__builtin_va_list args;

	__builtin_va_start(args, fmt);
	log_line(BOOT_LOG_CRASH, fmt, args);
	__builtin_va_end(args);
}

void panic(const char *fmt, ...)
{
	__builtin_va_list args;

	log_crash("libOS: internal error:");
	__builtin_va_start(args, fmt);
	log_line(BOOT_LOG_CRASH, fmt, args);
	__builtin_va_end(args);
	for (;;)
		hostcall(HC_cvm_exit, PANIC_STATUS, 0);
}
