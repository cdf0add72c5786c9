/*
 * Question: do reads and writes at offsets beyond a capability's end, or whose sums wrap, reach other bytes?
 * Expect: REFUSED: nothing beyond ten bytes
 * Control: --insecure-no-cap-check
 * Native: bounds are checked by the monitor
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
	static const uint64_t offsets[] = { 10, 11, PAGE, SHARED_SIZE, 1ull << 32, 1ull << 47, 1ull << 63, ~0ull, ~0ull - 9, (uint64_t)-100 };
	uint32_t file = open_named(CAP_MEMORY, "shared", CAP_LOAD | CAP_STORE);
	uint32_t narrow = must("derive", CAP(cap_derive, file, 100, 10, CAP_LOAD | CAP_STORE));
	uint8_t bytes[64];

	for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
		long read = CAP(cap_read, narrow, bytes, 16, offsets[i]), wrote = CAP(cap_write, narrow, bytes, 16, offsets[i]);
		if (read != 0 || wrote != -ENOSPC)
			breach("offset %#lx gave %ld and %ld", offsets[i], read, wrote);
	}
	memset(bytes, 0, sizeof bytes);
	if (CAP(cap_read, narrow, bytes, sizeof bytes, 5) != 5 || bytes[5] || CAP(cap_write, narrow, bytes, sizeof bytes, 9) != 1)
		breach("a copy across the end was not cut");
	if (CAP(cap_read, file, bytes, 2, 109) != 2 || bytes[1] != OWNED)
		breach("a write across the end came through");
	refused("nothing beyond ten bytes");
}
