/*
 * Question: can a cVM pass on what was not granted for passing, through a stream or with a call?
 * Expect: REFUSED: EACCES for each
 * Control: --insecure-no-cap-check
 * Native: passing needs CAP_GRANT
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static void companion(void)
{
	own();
	serve_beside(g_service, owner_handler);
	while (CAP(cap_wait, g_port, CAP_READABLE, -1) < 0)
		;
	must("accept", CAP(stream_accept, g_port));
	owner_until_stop();
}

static void attack(void)
{
	uint32_t file = open_named(CAP_MEMORY, "shared", CAP_LOAD), service = open_named(CAP_CALL, "service", CAP_USE);
	uint32_t port = open_named(CAP_CONNECT, "port", CAP_USE);
	uint32_t stream = must("connect", CAP(stream_connect, port, 0));
	uint32_t type = must("type", CAP(cap_create, CAP_TYPE, 0, 0, 0));
	uint32_t mine[] = { file, service, stream, CAP(cap_derive, type, 0, 0, CAP_USE), CAP(cap_seal, file, type, 1) };
	uint8_t byte = 1;
	long result;

	for (size_t i = 0; i < sizeof mine / sizeof mine[0]; i++) {
		struct call_message m = { .cap = { mine[i] }, .caps = 1 };
		while ((result = CAP(stream_send, stream, &byte, 1, mine[i])) == -EAGAIN)
			usleep(1000); /* not accepted yet */
		if (result != -EACCES)
			breach("passing %zu through the stream gave %ld", i, result);
		while ((result = call_message(service, &m)) == -EAGAIN)
			usleep(1000);
		if (result != -EACCES)
			breach("passing %zu with a call gave %ld", i, result);
	}
	refused("EACCES for each");
}
