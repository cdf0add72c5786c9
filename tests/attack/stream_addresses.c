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

/* Fills the connection's ring and goes, or keeps it. */
static void fill(uint32_t stream, uint64_t word)
{
	static uint8_t bytes[CAP_STREAM_RING];

	if (word != 1)
		return;
	memset(bytes, OWNED, sizeof bytes);
	CAP(stream_send, stream, bytes, sizeof bytes, 0);
	CAP(cap_close, stream);
}

static void companion(void)
{
	own_connections(fill);
}

static void attack(void)
{
	uint32_t port = open_named(CAP_CONNECT, "port", CAP_USE);
	uint8_t *at = mmap(NULL, 2 * CAP_STREAM_RING, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 50; i++) {
		uint32_t filled = must("connect", CAP(stream_connect, port, 1));
		uint8_t byte = first_byte(filled);
		if (byte != OWNED)
			breach("the owner sends %#x", byte);
		usleep(2000);
		CAP(cap_close, filled);
		uint32_t fresh = must("connect", CAP(stream_connect, port, 0));
		map_empty_ring(fresh, at);
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
