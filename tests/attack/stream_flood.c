/*
 * Question: can a sender flood a receiver that does not take: bytes beyond the ring, capabilities that fill its list, connections beyond
 * the backlog?
 * Expect: REFUSED: EAGAIN at each limit
 * Control: none: rings, queues and backlogs are arrays of that size
 * Native: rings are bounded
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static void companion(void)
{
	own();
	while (CAP(cap_wait, g_port, CAP_READABLE, -1) < 0)
		;
	must("accept", CAP(stream_accept, g_port));
	owner_until_stop();
}

static void attack(void)
{
	static uint8_t bytes[CAP_STREAM_RING];
	uint32_t port = open_named(CAP_CONNECT, "port", CAP_USE), stream = must("connect", CAP(stream_connect, port, 0));
	uint32_t mine = must("memory", CAP(cap_memory, bytes, 1, CAP_LOAD | CAP_GRANT));
	uint64_t sent = 0, passed = 0, connected = 0;
	long n;

	while ((n = CAP(stream_send, stream, bytes, 0, mine)) == -EAGAIN && passed == 0)
		usleep(1000); /* not accepted yet */
	for (passed = n == 0; (n = CAP(stream_send, stream, bytes, 0, mine)) == 0; passed++)
		;
	if (n != -EAGAIN || passed != CAP_PASS_MAX)
		breach("%lu capabilities, then %ld", passed, n);
	while ((n = CAP(stream_send, stream, bytes, 3000, 0)) > 0)
		sent += (uint64_t)n;
	if (n != -EAGAIN || sent != CAP_STREAM_RING)
		breach("%lu bytes, then %ld", sent, n);
	while ((n = CAP(stream_connect, port, 0)) > 0)
		connected++;
	if (n != -EAGAIN || connected != 16)
		breach("%lu connections, then %ld", connected, n);
	refused("EAGAIN at each limit");
}
