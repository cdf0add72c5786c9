/*
 * Question: does making a CP_File when no capability is left close a host descriptor that is another file's by then?
 * Expect: REFUSED: what fails closes nothing
 * Control: none: cleaning up has no option
 * Native: descriptors are the monitor's
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
	static uint64_t one = 1, value;

	while (CAP(cap_memory, &one, 1, CAP_LOAD) > 0)
		;
	for (int i = 0; i < 8; i++) {
		long failed = CAP(cap_create, CAP_MEMORY, 0, 0, PAGE);
		long event = hostcall(HC_eventfd_create, 0, 0, 0, 0, 0, 0); /* takes the lowest number that is free */
		if (failed != -EMFILE || event < 0 || CAP(cap_create, CAP_MEMORY, 0, 0, PAGE) != -EMFILE)
			breach("the attack could not begin: %ld, %ld", failed, event);
		if (hostcall(HC_file_write, (uint64_t)event, (uint64_t)&one, 8, 0, 0, 0) != 8 ||
		    hostcall(HC_file_read, (uint64_t)event, (uint64_t)&value, 8, 0, 0, 0) != 8 || value != 1)
			breach("the descriptor was closed by a call that had not opened it");
	}
	refused("what fails closes nothing");
}
