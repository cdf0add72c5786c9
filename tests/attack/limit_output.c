/*
 * Question: can a cVM flood the command's log, with messages, empty ones, or ones that are longer than the command takes?
 * Expect: REFUSED: the victim worked meanwhile
 * Control: --insecure-no-limits
 * Never: xxxxx
 * Never-in-control: xxxxx
 * Native: the token bucket of lines.c
 * Options: log_rate=1K
 */
#include "attack.h"

static void attack(void)
{
	static char text[8192];

	/* No part of a message that is above the rate is printed, so one above a second's worth never is. */
	memset(text, 'x', sizeof text);
	for (int i = 0; i < 1000; i++) {
		log_message(i % 2 ? BOOT_LOG_TEXT : BOOT_LOG_CRASH, text, i % 3 ? sizeof text : 1025);
		hostcall(HC_file_write, BOOT_HANDLE_LOG, (uint64_t)text, 0, 0, 0, 0);
		if (i % 500 == 0)
			let_victim_work();
	}
	refused("the victim worked meanwhile");
}
