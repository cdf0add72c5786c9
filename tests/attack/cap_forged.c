/*
 * Question: can a cVM use capabilities by guessing their numbers?
 * Expect: REFUSED: EBADF for every number but its own
 * Control: --insecure-no-handle-check
 * Native: capability lists are tables of the monitor
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static void companion(void)
{
	own();
	owner_until_stop();
}

static void attack(void)
{
	static const uint64_t high[] = { 0, 1ull << 32, 2ull << 32, 3ull << 32, ~0ull << 32, 1ull << 63 };
	uint8_t byte = 0;

	uint32_t opened = open_named(CAP_MEMORY, "shared", CAP_LOAD);
	CAP(cap_close, opened); /* it exists now; we hold nothing */
	for (size_t h = 0; h < sizeof high / sizeof high[0]; h++)
		for (uint64_t n = 0; n < 3 * CAPS_MAX; n++) {
			long read = CAP(cap_read, high[h] + n, &byte, 1, 0);
			long derived = CAP(cap_derive, high[h] + n, 0, 1, CAP_LOAD);
			if (read != -EBADF || derived != -EBADF)
				breach("number %#lx gave %ld and %ld", high[h] + n, read, derived);
		}
	refused("EBADF for every number but its own");
}
