/*
 * Question: can a cVM guess the handle of a capability that waits for it in a stream, and use or close it before it is
 * fetched? (Then its entry could become another stream's end, and closing a chain of such ends would recurse in the monitor.)
 * Expect: REFUSED: EBADF until it is fetched
 * Control: --insecure-no-handle-check
 * Native: a queued capability has no handle yet
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static void companion(void)
{
	uint8_t byte = 1;

	own();
	uint32_t stream = must("connect", CAP(stream_connect, open_named(CAP_CONNECT, "evil", CAP_USE), 0));
	while (CAP(stream_send, stream, &byte, 1, g_shared) == -EAGAIN)
		usleep(1000); /* not accepted yet */
	owner_until_stop();
}

static void attack(void)
{
	uint32_t listener = create_named(CAP_LISTENER, "evil", 1);
	struct cap_info info = { 0 };

	while (CAP(cap_wait, listener, CAP_READABLE, -1) < 0)
		;
	uint32_t stream = must("accept", CAP(stream_accept, listener));
	while (!CAP(cap_info, stream, &info) && !info.readable)
		usleep(1000);
	for (uint32_t handle = CAPS_MAX; handle < 4 * CAPS_MAX; handle++)
		if (handle != listener && handle != stream &&
		    (CAP(cap_info, handle, &info) != -EBADF || CAP(cap_close, handle) != -EBADF))
			breach("handle %#x was guessed", handle);
	uint32_t passed = must("fetch", CAP(stream_cap, stream));
	if (CAP(cap_info, passed, &info) || info.kind != CAP_MEMORY)
		breach("what was fetched is no capability on memory");
	refused("EBADF until it is fetched");
}
