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

static void companion(void)
{
	uint8_t *bytes = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	own();
	memset(bytes, OWNED, 2 * PAGE);
	munmap(bytes + 2 * PAGE, 2 * PAGE);
	for (;;) {
		if (CAP(cap_wait, g_port, CAP_READABLE, 10000000) == -ETIMEDOUT && !access("/shared/stop", F_OK))
			exit(0);
		long stream = CAP(stream_accept, g_port);
		struct cap_info info;
		if (stream <= 0)
			continue;
		CAP(cap_info, stream, &info);
		if (info.word == 1) {
			if (CAP(stream_send, stream, bytes, 4 * PAGE, 0) != -EFAULT)
				breach("a send of unmapped memory worked");
			CAP(cap_close, stream);
		}
	}
}

static void attack(void)
{
	uint32_t port = open_named(CAP_CONNECT, "port", CAP_USE);
	uint8_t *at = mmap(NULL, 2 * CAP_STREAM_RING, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t byte;

	for (int i = 0; i < 20; i++) {
		uint32_t failed = must("connect", CAP(stream_connect, port, 1));
		while (CAP(stream_recv, failed, &byte, 1, 0) == -EAGAIN)
			CAP(cap_wait, failed, CAP_READABLE, 10000000);
		CAP(cap_close, failed);
		uint32_t fresh = must("connect", CAP(stream_connect, port, 0));
		if (CAP(stream_map, fresh, at))
			breach("cannot map the ring");
		for (size_t k = 0; k < 2 * CAP_STREAM_RING; k++)
			if (at[k])
				breach("byte %zu of a new connection's ring is %#x", k, at[k]);
		CAP(cap_close, fresh);
	}
	refused("zeros");
}
