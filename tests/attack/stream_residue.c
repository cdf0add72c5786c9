/*
 * Question: a send whose buffer ends in an unmapped page fails, but its first bytes may have reached the ring. Are they shown to
 * whoever has the ring next, when the connection ends without a byte ever sent?
 * Expect: REFUSED: zeros
 * Control: --insecure-no-clean
 * Native: rings are emptied when their connection ends
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

/* Two pages of bytes, and two that are not there. */
static void fail_to_send(uint32_t stream, uint64_t word)
{
	static uint8_t *bytes;

	if (word != 1)
		return;
	if (!bytes) {
		bytes = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(bytes, OWNED, 2 * PAGE);
		munmap(bytes + 2 * PAGE, 2 * PAGE);
	}
	if (CAP(stream_send, stream, bytes, 4 * PAGE, 0) != -EFAULT)
		breach("a send of unmapped memory worked");
	CAP(cap_close, stream);
}

static void companion(void)
{
	own_connections(fail_to_send);
}

static void attack(void)
{
	uint32_t port = open_named(CAP_CONNECT, "port", CAP_USE);
	uint8_t *at = mmap(NULL, 2 * CAP_STREAM_RING, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 20; i++) {
		uint32_t failed = must("connect", CAP(stream_connect, port, 1));
		(void)first_byte(failed); /* or the end */
		CAP(cap_close, failed);
		uint32_t fresh = must("connect", CAP(stream_connect, port, 0));
		map_empty_ring(fresh, at);
		CAP(cap_close, fresh);
	}
	refused("zeros");
}
