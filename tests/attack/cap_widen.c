/*
 * Question: can a derived capability reach beyond its parent: by a longer length, an offset, sums that wrap, or by
 * deriving from a narrow one? (Monotonicity, CHERI ISA v9 section 2.)
 * Expect: REFUSED: ERANGE for each
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
	uint32_t file = open_named(CAP_MEMORY, "shared", CAP_LOAD);
	uint32_t narrow = must("derive", CAP(cap_derive, file, 100, 10, CAP_LOAD));
	const struct {
		uint32_t cap;
		uint64_t offset, length;
	} tries[] = {
		{ file, 0, SHARED_SIZE + 1 }, { file, SHARED_SIZE, 1 }, { file, 1, SHARED_SIZE }, { file, ~0ull, 1 },
		{ file, ~0ull, 2 }, { file, 1, ~0ull }, { file, 0, ~0ull }, { narrow, 0, 11 }, { narrow, 10, 1 },
		{ narrow, (uint64_t)-100, 200 }, { narrow, (uint64_t)-1, 2 }, { narrow, 5, 6 }, { file, 0, 0 },
	};

	for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
		long result = CAP(cap_derive, tries[i].cap, tries[i].offset, tries[i].length, CAP_LOAD);
		if (result != -ERANGE)
			breach("try %zu gave %ld", i, result);
	}
	refused("ERANGE for each");
}
