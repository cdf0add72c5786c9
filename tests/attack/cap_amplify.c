/*
 * Question: can a cVM get more permissions than it was granted: at opening, by deriving, by sealing and unsealing?
 * Expect: REFUSED: EACCES for each
 * Control: --insecure-no-cap-check
 * Native: permissions are checked by the monitor
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
	uint32_t type = must("type", CAP(cap_create, CAP_TYPE, 0, 0, 0)), read_only = open_named(CAP_MEMORY, "shared", CAP_LOAD);
	uint8_t byte = 1;
	long result;

	if ((result = CAP(cap_open, CAP_CALL, "service", 7, CAP_USE | CAP_GRANT)) != -EACCES)
		breach("opening with a permission that was not granted gave %ld", result);
	for (unsigned perms = 0; perms <= CAP_ALL; perms++)
		if (perms & ~CAP_LOAD && (result = CAP(cap_derive, read_only, 0, 1, perms)) != -EACCES)
			breach("deriving permissions %#x gave %ld", perms, result);
	uint32_t sealed = must("seal", CAP(cap_seal, read_only, type, 1));
	uint32_t again = must("unseal", CAP(cap_seal, sealed, type, 0));
	if ((result = CAP(cap_write, read_only, &byte, 1, 0)) != -EACCES || (result = CAP(cap_write, again, &byte, 1, 0)) != -EACCES)
		breach("writing gave %ld", result);
	if ((result = CAP(cap_derive, read_only, 0, 1, 0x8000000000000001ull)) >= 0)
		breach("odd permissions gave %ld", result);
	refused("EACCES for each");
}
