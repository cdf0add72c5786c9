/*
 * Question: can a mapping be moved away (mremap) before its capability is revoked, and so survive?
 * Expect: REFUSED: EINVAL for the move, and nothing survives
 * Control: --insecure-no-cap-check
 * Native: memory behind a capability does not move
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static void companion(void)
{
	own_with_service();
}

static void attack(void)
{
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE);
	uint32_t file = open_named(CAP_MEMORY, "shared", CAP_LOAD | CAP_MAP);
	uint8_t *at = mmap(NULL, 4 * SHARED_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *away = at + 2 * SHARED_SIZE;

	if (hostcall(HC_cap_map, file, (uint64_t)at, SHARED_SIZE, PROT_READ, 0, 0))
		breach("cannot map");
	long moved = CAP(mem_move, at + PAGE, PAGE, away, PAGE), all = CAP(mem_move, at, SHARED_SIZE, away, SHARED_SIZE);
	call1(service, OWNER_REVOKE);
	if (moved == 0 || all == 0)
		if (!guarded(load_byte, away).signal)
			breach("the moved pages survived: %ld %ld", moved, all);
	if (moved != -EINVAL || all != -EINVAL)
		breach("the moves gave %ld and %ld", moved, all);
	if (!guarded(load_byte, at).signal)
		breach("the mapping itself survived");
	refused("EINVAL for the move, and nothing survives");
}
