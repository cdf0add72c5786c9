/*
 * The scanner: nothing executes in a cVM that has not passed it after it stopped being writable. Rules in
 * base/forbidden.h; tests/unit/scan_test.c holds it against a slow reference. Needs nothing of the monitor.
 */
#include "monitor/scan.h"

#include "base/forbidden.h"

const uint8_t *scan_candidate(const uint8_t *from, const uint8_t *end);

int64_t scan_bytes(const uint8_t *bytes, uint64_t size)
{
	const uint8_t *at = bytes, *end = bytes + size;

	while ((at = scan_candidate(at, end)) + 17 <= end) {
		if (forbidden_at(bytes, (size_t)(at - bytes)))
			return at - bytes;
		at++;
	}
	for (; end - at >= FORBIDDEN_LENGTH; at++)
		if (forbidden_at(bytes, (size_t)(at - bytes)))
			return at - bytes;
	return -1;
}
