/*
 * libFuzzer target for the monitor's scanner: finds the first forbidden sequence exactly where the slow reference
 * (tests/unit/scan_slow.h) does, at every alignment, cut off anywhere, and neither reads a byte beyond the end (the input ends
 * where a page without access begins).
 *
 * src/monitor/scan.c and x86_64/scan.S.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "monitor/scan.h"
#include "unit/scan_slow.h"

#define ROOM 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *guarded_end(void)
{
	static uint8_t *end;

	if (!end) {
		uint8_t *at = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at == MAP_FAILED || mprotect(at + ROOM, 4096, PROT_NONE))
			abort();
		end = at + ROOM;
	}
	return end;
}

static void one(const uint8_t *bytes, size_t size)
{
	int64_t fast = scan_bytes(bytes, size), slow = scan_slow(bytes, size);

	if (fast != slow) {
		fprintf(stderr, "%zu bytes at ...%zx: found at %lld, the reference says %lld\n", size, (size_t)bytes & 63, (long long)fast,
			(long long)slow);
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > ROOM)
		return 0;
	uint8_t *bytes = guarded_end() - size;
	memcpy(bytes, data, size);
	one(bytes, size);
	for (size_t cut = 1; cut <= 64 && cut <= size; cut++) {
		one(bytes + cut, size - cut);
		one(bytes, size - cut);
	}
	return 0;
}
