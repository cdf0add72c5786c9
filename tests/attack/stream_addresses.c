/*
 * Question: does a ring that its reader maps show another connection's bytes: those of an earlier connection in the same place, or
 * of its neighbours?
 * Expect: REFUSED: zeros
 * Control: --insecure-no-clean
 * Native: rings are emptied when their connection ends
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static void companion(void)
{
	static uint8_t bytes[CAP_STREAM_RING];

	own();
	memset(bytes, OWNED, sizeof bytes);
	for (;;) {
		if (CAP(cap_wait, g_port, CAP_READABLE, 10000000) == -ETIMEDOUT && !access("/shared/stop", F_OK))
			exit(0);
		long stream = CAP(stream_accept, g_port);
		struct cap_info info;
		if (stream <= 0)
			continue;
		CAP(cap_info, stream, &info);
		if (info.word == 1) { /* fill the connection's ring and go */
			CAP(stream_send, stream, bytes, sizeof bytes, 0);
			CAP(cap_close, stream);
		} /* else keep it */
	}
}

static void attack(void)
{
	uint32_t port = open_named(CAP_CONNECT, "port", CAP_USE);
	uint8_t *at = mmap(NULL, 2 * CAP_STREAM_RING, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t byte;

	for (int i = 0; i < 50; i++) {
		uint32_t filled = must("connect", CAP(stream_connect, port, 1));
		while (CAP(stream_recv, filled, &byte, 1, 0) == -EAGAIN)
			CAP(cap_wait, filled, CAP_READABLE, 10000000);
		if (byte != OWNED)
			breach("the owner sends %#x", byte);
		usleep(2000);
		CAP(cap_close, filled);
		uint32_t fresh = must("connect", CAP(stream_connect, port, 0));
		if (CAP(stream_map, fresh, at))
			breach("cannot map the ring");
		for (size_t k = 0; k < 2 * CAP_STREAM_RING; k++)
			if (at[k])
				breach("byte %zu of a new connection's ring is %#x", k, at[k]);
		struct outcome o = guarded(store_byte, at);
		if (!o.signal)
			breach("the ring can be written");
		if (CAP(mem_protect, at, CAP_STREAM_RING, PROT_READ | PROT_WRITE) != -EACCES)
			breach("the ring can be made writable");
		CAP(cap_close, fresh);
		if (!guarded(load_byte, at).signal || !guarded(load_byte, at + CAP_STREAM_RING).signal)
			breach("the mapping outlives its connection");
	}
	refused("zeros");
}
