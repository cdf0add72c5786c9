/*
 * Finds the forbidden byte sequences of base/forbidden.h, at any offset. The translator's own look at its work; the
 * monitor has its own scanner and does not rely on this one.
 */
#include <string.h>

#include "base/forbidden.h"
#include "internal.h"

uint32_t forbidden_next(const uint8_t *bytes, uint32_t from, uint32_t size)
{
	while (from + FORBIDDEN_LENGTH <= size) {
		const uint8_t *found = memchr(bytes + from, 0x0f, size - FORBIDDEN_LENGTH + 1 - from);

		if (found == NULL)
			break;
		if (forbidden_at(bytes, (size_t)(found - bytes)))
			return (uint32_t)(found - bytes);
		from = (uint32_t)(found - bytes) + 1;
	}
	return size;
}
