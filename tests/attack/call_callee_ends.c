/*
 * Question: what does a caller see, and keep, when its callee's thread ends, its program exits, or its export is closed in the
 * middle of a call?
 * Expect: REFUSED: a distinct error for each, and the caller is whole
 * Control: none: a caller that hangs or breaks fails the test
 * Native: calls are unwound by the monitor
 * Companions: 3
 * Grants: capabilities
 */
#include "cap.h"

enum { THREAD_ENDS, PROGRAM_EXITS, EXPORT_CLOSES };

static char g_name[] = "service0";

static void handler(uint64_t *words)
{
	if (words[0] != 1)
		return;
	switch (g_name[7] - '0') {
	case THREAD_ENDS: pthread_exit(NULL);
	case PROGRAM_EXITS: _exit(0);
	default: CAP(cap_close, g_service);
	}
}

static void companion(void)
{
	long export;

	for (;; g_name[7]++)
		if ((export = CAP(cap_create, CAP_EXPORT, g_name, 8, 0)) > 0)
			break;
	g_service = (uint32_t)export;
	serve_beside(g_service, handler);
	serve_beside(g_service, handler);
	owner_until_stop();
}

static void attack(void)
{
	static const struct {
		long during, after;
	} expected[] = { { -ECANCELED, 0 }, { -ESHUTDOWN, -EKEYREVOKED }, { 0, -EKEYREVOKED } };
	char name[] = "service0";
	volatile uint64_t kept = 0x1234567890abcdef;
	uint32_t services[3];
	long callee_saved;

	for (int i = 0; i < 3; i++) { /* all are there before the first ends and frees its name */
		name[7] = (char)('0' + i);
		services[i] = open_named(CAP_CALL, name, CAP_USE);
	}
	for (int i = 0; i < 3; i++) {
		uint32_t service = services[i];
		uint64_t ask[CALL_WORDS] = { 1 }, again[CALL_WORDS] = { 0 };
		long during = call(service, ask), after;
		do /* its cVM may need a moment to be gone */
			after = call(service, again);
		while (after == -ESHUTDOWN || after == -EAGAIN);
		if (during != expected[i].during || after != expected[i].after)
			breach("ending %d gave %ld, then %ld", i, during, after);
	}
	__asm__ volatile("mov %%fs:0, %0" : "=r"(callee_saved));
	if (kept != 0x1234567890abcdef || !callee_saved || !malloc(100) || access("/shared/victim", F_OK))
		breach("the caller is damaged");
	refused("a distinct error for each, and the caller is whole");
}
