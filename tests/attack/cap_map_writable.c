/*
 * Question: can memory that may only be read be mapped writable, or made so afterwards by mprotect?
 * Expect: REFUSED: EACCES for each
 * Control: --insecure-no-cap-check
 * Native: read-only mappings come from a read-only descriptor
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
	uint32_t file = open_named(CAP_MEMORY, "shared", CAP_LOAD | CAP_MAP);
	uint8_t *at = mmap(NULL, SHARED_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long result = hostcall(HC_cap_map, file, (uint64_t)at, SHARED_SIZE, PROT_READ | PROT_WRITE, 0, 0);

	if (result != -EACCES)
		breach("mapping it writable gave %ld", result);
	if (hostcall(HC_cap_map, file, (uint64_t)at, SHARED_SIZE, PROT_READ, 0, 0) || at[0] != OWNED)
		breach("cannot map it at all");
	result = CAP(mem_protect, at, SHARED_SIZE, PROT_READ | PROT_WRITE);
	if (result != -EACCES)
		breach("making it writable gave %ld", result);
	if (!guarded(store_byte, at).signal)
		breach("it is writable");
	refused("EACCES for each");
}
