/*
 * Question: ten million operations from four threads on capabilities that the owner revokes and hands out again all the time: does any
 * give bytes it should not, an error that means nothing, or a list that leaks?
 * Expect: REFUSED: only the errors of revocation, and the list is empty in the end
 * Control: --insecure-no-revoke
 * Native: revocation is the monitor's
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

#define OPERATIONS 2500000 /* of each thread */

static void companion(void)
{
	own_with_service();
}

static volatile uint32_t g_file;
static volatile long g_odd;
static volatile int g_running = 4;

static void *use(void *seed)
{
	unsigned random = (unsigned)(uintptr_t)seed;
	uint8_t bytes[64];

	for (int i = 0; i < OPERATIONS; i++) {
		random = random * 1103515245 + 12345;
		uint32_t file = g_file;
		uint64_t offset = random >> 8 & 0xfff;
		long result;
		switch (random >> 28) {
		case 0: {
			long cap = CAP(cap_derive, file, offset, 64, CAP_LOAD);
			result = cap > 0 ? CAP(cap_read, cap, bytes, 64, 0) : cap;
			if (cap > 0)
				CAP(cap_close, cap);
			break;
		}
		case 1: result = CAP(cap_write, file, bytes, 64, offset); break;
		default: result = CAP(cap_read, file, bytes, 1 + offset % 64, offset); break;
		}
		if (result < 0 && result != -EKEYREVOKED && result != -EBADF)
			g_odd = result;
	}
	__atomic_sub_fetch(&g_running, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void attack(void)
{
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE);
	unsigned rounds = 0, alive = 0;
	pthread_t thread;
	uint8_t byte;

	g_file = open_named(CAP_MEMORY, "shared", CAP_LOAD | CAP_STORE);
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&thread, NULL, use, (void *)(i * 7919 + 1));
	for (; g_running; rounds++) {
		uint32_t old = g_file;
		if (call1(service, OWNER_REVOKE) != OWNER_REVOKE)
			breach("the owner does not answer");
		alive += CAP(cap_read, old, &byte, 1, 0) != -EKEYREVOKED;
		g_file = open_named(CAP_MEMORY, "shared", CAP_LOAD | CAP_STORE);
		CAP(cap_close, old);
	}
	CAP(cap_close, g_file);
	CAP(cap_close, service);
	if (alive || g_odd)
		breach("%u of %u revoked capabilities work, odd result %ld", alive, rounds, g_odd);
	/* what is left in the list: tombstones of derived ones that were revoked before they were closed are closed too */
	unsigned held = 0;
	struct cap_info info;
	for (uint64_t index = 1; index < CAPS_MAX; index++)
		for (uint64_t generation = 1; generation < 4; generation++)
			held += CAP(cap_info, generation * CAPS_MAX + index, &info) == 0;
	if (held)
		breach("%u capabilities are left", held);
	refused("only the errors of revocation, and the list is empty in the end");
}
