/*
 * The scanner: nothing executes in a cVM that has not passed it after it stopped being writable. Rules in
 * base/forbidden.h. Runs under scan_lock over monitor mappings of sealed memory.
 */
#include "base/forbidden.h"
#include "monitor/monitor.h"

int64_t scan_bytes(const uint8_t *bytes, uint64_t size)
{
	const uint8_t *at = bytes, *end = bytes + size;

	while (end - at >= FORBIDDEN_LENGTH) {
		at = memchr(at, 0x0f, (size_t)(end - at) - (FORBIDDEN_LENGTH - 1));
		if (!at)
			return -1;
		if (forbidden_at(bytes, (size_t)(at - bytes)))
			return at - bytes;
		at++;
	}
	return -1;
}
