/*
 * Question: does anything that was derived from a capability outlive its revocation: copies, copies of copies, sealed
 * ones, one that waits in a stream?
 * Expect: REFUSED: EKEYREVOKED for every copy
 * Control: --insecure-no-revoke
 * Native: the derivation tree is the monitor's
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
	uint32_t cap[20], type = must("type", CAP(cap_create, CAP_TYPE, 0, 0, 0));
	uint8_t byte = 0;
	int n = 0;

	cap[n++] = open_named(CAP_MEMORY, "shared", CAP_LOAD | CAP_STORE | CAP_GRANT);
	for (; n < 10; n++)
		cap[n] = must("derive", CAP(cap_derive, cap[n - 1], 1, SHARED_SIZE - (uint64_t)n, CAP_LOAD | CAP_GRANT));
	for (; n < 15; n++)
		cap[n] = must("seal", CAP(cap_seal, cap[n - 10], type, 1));
	for (; n < 20; n++)
		cap[n] = must("unseal", CAP(cap_seal, cap[n - 5], type, 0));
	if (CAP(cap_read, cap[9], &byte, 1, 0) != 1 || byte != OWNED || CAP(cap_read, cap[19], &byte, 1, 0) != 1)
		breach("the copies do not work before the revocation");
	CAP(cap_close, cap[5]); /* its copies fall to its parent, and are still revoked */
	if (call1(service, OWNER_REVOKE) != OWNER_REVOKE)
		breach("the owner did not answer");
	for (n = 0; n < 20; n++) {
		long read = CAP(cap_read, cap[n], &byte, 1, 0), derived = CAP(cap_derive, cap[n], 0, 1, CAP_LOAD);
		long unsealed = CAP(cap_seal, cap[n], type, 0);
		if (n != 5 && (read != -EKEYREVOKED || derived != -EKEYREVOKED || unsealed != -EKEYREVOKED))
			breach("copy %d gave %ld, %ld, %ld", n, read, derived, unsealed);
	}
	refused("EKEYREVOKED for every copy");
}
