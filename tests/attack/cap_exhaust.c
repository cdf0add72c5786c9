/*
 * Question: can a cVM use up capabilities, CP_Files, listeners or connections for all?
 * Expect: REFUSED: its own quota, and the owner goes on
 * Control: --insecure-no-limits
 * Native: quotas are the monitor's
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
	unsigned files = 0, caps = 0, streams = 0;
	uint32_t port = open_named(CAP_CONNECT, "port", CAP_USE);
	static uint8_t byte;
	long result;

	while ((result = CAP(stream_connect, port, 0)) > 0)
		streams++;
	if (result != -EAGAIN)
		breach("connections ended with %ld", result);
	while ((result = CAP(cap_create, CAP_MEMORY, 0, 0, PAGE)) > 0)
		files++;
	if (result != -EMFILE)
		breach("files ended with %ld", result);
	while ((result = CAP(cap_memory, &byte, 1, CAP_LOAD)) > 0)
		caps++;
	if (result != -EMFILE || caps + files + streams > CAPS_MAX)
		breach("capabilities ended with %ld", result);
	if (files > 400 || streams > 16 || caps + files + streams > 1100)
		breach("%u files, %u connections, %u capabilities", files, streams, caps);
	refused("its own quota, and the owner goes on");
}
