/*
 * Question: does mapping, which knows only pages, show bytes around a byte-granular capability, or beyond its end?
 * Expect: REFUSED: EINVAL for each
 * Control: --insecure-no-cap-check
 * Native: a mapping lies inside its capability
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
	uint32_t file = open_named(CAP_MEMORY, "shared", CAP_LOAD | CAP_STORE | CAP_MAP);
	uint8_t *at = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static const uint64_t ranges[][5] = { /* offset and length of the capability; offset and size of the mapping; may it store? */
		{ 0, SHARED_SIZE, 0, SHARED_SIZE + PAGE }, { 0, SHARED_SIZE, 0, SHARED_SIZE + 2 * PAGE, CAP_STORE }, /* the page of CAP_HEED */
		{ PAGE, SHARED_SIZE - PAGE, 0, SHARED_SIZE, CAP_STORE }, { 0, SHARED_SIZE - 1, 0, SHARED_SIZE, CAP_STORE },
		{ 0, 100, 0, PAGE }, { PAGE, PAGE - 1, 0, PAGE }, { 0, PAGE, 0, 2 * PAGE }, { PAGE, PAGE, PAGE, PAGE },
		{ PAGE, PAGE, (uint64_t)-4096, PAGE }, { 0, PAGE + 8, 0, 2 * PAGE }, { 0, 2 * PAGE, PAGE, 2 * PAGE },
	};

	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
		uint32_t cap = must("derive", CAP(cap_derive, file, ranges[i][0], ranges[i][1], CAP_LOAD | CAP_MAP | ranges[i][4]));
		long result = hostcall(HC_cap_map, cap, (uint64_t)at, ranges[i][3], PROT_READ, ranges[i][2], 0);
		if (result != -EINVAL)
			breach("mapping %zu gave %ld", i, result);
		CAP(cap_close, cap);
	}
	refused("EINVAL for each");
}
