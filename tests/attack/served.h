/*
 * What attacks on served system calls share (abi/served.h): companion0 is served (Companion0-options), and a minimal server, which has
 * no call in its set, for whoever serves it.
 */
#ifndef TESTS_ATTACK_SERVED_H
#define TESTS_ATTACK_SERVED_H

#include "cap.h"

#include "abi/served.h"

#define SERVED_CALL "syscalls/companion0"

static uint32_t g_served_page, g_served_memory, g_served_export;
static uint64_t g_served_base, g_served_size;

static void served_handler(uint64_t *words)
{
	uint32_t cap[CAP_PASS_MAX] = { 0 };

	if ((words[0] & SERVED_NUMBER) == SERVED_ATTACH && words[4] && CAP(call_caps, cap, 0) == 1) {
		g_served_base = words[1];
		g_served_size = words[2];
		__atomic_store_n(&g_served_memory, cap[0], __ATOMIC_SEQ_CST);
		CAP(call_caps, &g_served_page, 1);
	}
	words[0] = SERVED_RESULT;
	words[1] = 0;
}

/* False: it is not granted. */
static bool served_begin(void)
{
	struct served_page page = { .version = SERVED_VERSION };
	long export = CAP(cap_create, CAP_EXPORT, SERVED_CALL, sizeof SERVED_CALL - 1, 0);

	if (export < 0)
		return false;
	g_served_export = (uint32_t)export;
	g_served_page = must("page", CAP(cap_create, CAP_MEMORY, 0, 0, sizeof page));
	CAP(cap_write, g_served_page, &page, sizeof page, 0);
	serve_beside(g_served_export, served_handler);
	return true;
}

#endif
