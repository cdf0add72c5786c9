/*
 * Question: can a sealed capability be used, narrowed, mapped or unsealed without its type?
 * Expect: REFUSED: sealed
 * Control: --insecure-no-cap-check
 * Native: seals are the monitor's
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
	uint32_t type = must("type", CAP(cap_create, CAP_TYPE, 0, 0, 0)), other = must("type", CAP(cap_create, CAP_TYPE, 0, 0, 0));
	uint32_t no_right = must("derive", CAP(cap_derive, type, 0, 0, CAP_LOAD));
	uint32_t sealed = must("seal", CAP(cap_seal, file, type, 1));
	uint8_t *at = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t byte = 0;
	long result;

	if ((result = CAP(cap_read, sealed, &byte, 1, 0)) != -EACCES || (result = CAP(cap_write, sealed, &byte, 1, 0)) != -EACCES)
		breach("using it gave %ld", result);
	if ((result = CAP(cap_derive, sealed, 0, 1, CAP_LOAD)) != -EACCES || (result = CAP(cap_wait, sealed, CAP_READABLE, 0)) != -EACCES)
		breach("deriving or watching it gave %ld", result);
	if ((result = hostcall(HC_cap_map, sealed, (uint64_t)at, PAGE, PROT_READ, 0, 0)) != -EACCES)
		breach("mapping it gave %ld", result);
	if ((result = CAP(cap_seal, sealed, other, 0)) != -EPERM || (result = CAP(cap_seal, sealed, no_right, 0)) != -EACCES ||
	    (result = CAP(cap_seal, sealed, file, 0)) != -EBADF || (result = CAP(cap_seal, sealed, sealed, 0)) != -EBADF)
		breach("unsealing it without its type gave %ld", result);
	if ((result = CAP(cap_seal, sealed, other, 1)) != -EINVAL)
		breach("sealing it again gave %ld", result);
	uint32_t open = must("unseal", CAP(cap_seal, sealed, type, 0));
	if (CAP(cap_read, open, &byte, 1, 0) != 1)
		breach("the type does not unseal it");
	refused("sealed");
}
