/*
 * Question: can a cVM flood the command's log, or forge lines of others in it?
 * Expect: REFUSED: most of it was dropped
 * Control: --insecure-no-limits
 * Native: the token bucket
 * Options: log_rate=64K
 */
#include "attack.h"

static void attack(void)
{
	static char text[4096];
	uint64_t taken = 0;

	memset(text, 'x', sizeof text);
	memcpy(text + 100, "\nintravisor: victim: forged\n\033[31m", 34);
	for (int i = 0; i < 1000; i++) {
		long result = hostcall(HC_cvm_log, (uint64_t)text, sizeof text, 0, 0, 0, 0);
		if (result > 0)
			taken += (uint64_t)result;
	}
	if (taken > 1 << 20) /* a call takes at most 2048 */
		breach("%lu bytes of 2048000 were taken", taken);
	refused("most of it was dropped");
}
