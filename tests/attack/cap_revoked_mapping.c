/*
 * Question: does a mapping outlive the revocation of its capability?
 * Expect: REFUSED: SIGSEGV at the first byte
 * Control: --insecure-no-revoke
 * Native: revocation unmaps
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
	uint32_t file = open_named(CAP_MEMORY, "shared", CAP_LOAD | CAP_STORE | CAP_MAP);
	uint8_t *at = mmap(NULL, SHARED_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long mapped = hostcall(HC_cap_map, file, (uint64_t)at, SHARED_SIZE, PROT_READ | PROT_WRITE, 0, 0);

	if (mapped || at[100] != OWNED)
		breach("mapping gave %ld, byte %#x", mapped, mapped ? 0 : at[100]);
	call1(service, OWNER_REVOKE);
	call1(service, OWNER_REWRITE);
	struct outcome o = guarded(load_byte, at + 100);
	if (!o.signal)
		breach("read %#x behind the revocation", at[100]);
	o = guarded(store_byte, at + 2 * PAGE);
	if (!o.signal)
		breach("wrote behind the revocation");
	refused("%s at the first byte", signal_text(o));
}
