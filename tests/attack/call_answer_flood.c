/*
 * Question: how many capabilities can a callee pass with one answer, when it passes four again and again?
 * Expect: REFUSED: four, then EMFILE, and the caller gets four
 * Control: none: before there was a limit they overwrote the monitor behind the caller's four
 * Native: the monitor counts them
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static uint32_t g_give[CAP_PASS_MAX];
static long g_first, g_second;
static volatile uint64_t g_told[2];
static volatile bool g_is_told;

static void handler(uint64_t *words)
{
	if (words[0] == 1) {
		g_first = CAP(call_caps, g_give, CAP_PASS_MAX);
		for (int i = 0; i < 200 && !g_second; i++)
			g_second = CAP(call_caps, g_give, CAP_PASS_MAX);
	} else {
		g_told[0] = words[1];
		g_told[1] = words[2];
		g_is_told = true;
	}
}

/* Calls, and tells what came back. */
static void companion(void)
{
	uint32_t evil = open_named(CAP_CALL, "evil", CAP_USE);
	struct call_message m = { .word = { 1 } };
	long status;

	do {
		m = (struct call_message){ .word = { 1 } };
		status = call_message(evil, &m);
	} while (status == -EAGAIN && (CAP(cap_wait, evil, CAP_WRITABLE, -1) || 1));
	call(evil, (uint64_t[CALL_WORDS]){ 2, (uint64_t)status, m.caps });
	owner_until_stop();
}

static void attack(void)
{
	static uint8_t memory[PAGE];
	uint32_t evil = create_named(CAP_EXPORT, "evil", 0);

	for (unsigned i = 0; i < CAP_PASS_MAX; i++)
		g_give[i] = must("cap_memory", CAP(cap_memory, memory, PAGE, CAP_LOAD | CAP_GRANT));
	serve_beside(evil, handler);
	while (!g_is_told)
		usleep(1000);
	if (g_first || g_second != -EMFILE)
		breach("passing four gave %ld, four more %ld", g_first, g_second);
	if (g_told[0] || g_told[1] != CAP_PASS_MAX)
		breach("the caller's call gave %ld and %lu capabilities", (long)g_told[0], g_told[1]);
	refused("four, then EMFILE, and the caller gets four");
}
