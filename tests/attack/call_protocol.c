/*
 * Question: what do calls and answers out of turn do: answering what nobody asked, capabilities without a call, serving an export of
 * another or none, calling what is no call, numbers of words and capabilities out of range, endless recursion?
 * Expect: REFUSED: an error for each, and recursion ends with ELOOP
 * Control: none: these are arguments that have no meaning, not a protection
 * Native: calls are checked by the monitor
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static uint32_t g_back;

static void recurse(uint64_t *words)
{
	uint64_t next[CALL_WORDS] = { words[0] + 1 };
	long status = gate_words(HC_call_invoke | (uint64_t)g_back << 32, next);

	words[1] = status ? (uint64_t)-status : next[1];
	words[0] = status ? words[0] : next[0];
}

static void companion(void)
{
	own();
	for (int i = 0; i < 8; i++)
		serve_beside(g_service, recurse);
	g_back = open_named(CAP_CALL, "evil", CAP_USE);
	owner_until_stop();
}

static void attack(void)
{
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE), file = open_named(CAP_MEMORY, "shared", CAP_LOAD);
	uint32_t evil = create_named(CAP_EXPORT, "evil", 0), handles[CAP_PASS_MAX] = { file };
	uint64_t words[CALL_WORDS] = { 0 };
	long result;

	if ((result = CAP(call_caps, handles, 0)) != -EINVAL || (result = CAP(call_caps, handles, 1)) != -EINVAL)
		breach("capabilities without a call gave %ld", result);
	const uint32_t wrong[] = { 0, service, file, evil + CAPS_MAX, 12345 };
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if ((result = gate_words(HC_call_serve | (uint64_t)wrong[i] << 32, words)) != -EBADF)
			breach("serving %zu gave %ld", i, result);
	const uint32_t no_call[] = { 0, evil, file, service + CAPS_MAX };
	for (size_t i = 0; i < sizeof no_call / sizeof no_call[0]; i++)
		if ((result = gate_words(HC_call_invoke | (uint64_t)no_call[i] << 32, words)) != -EBADF)
			breach("calling %zu gave %ld", i, result);
	struct call_message m = { .caps = CAP_PASS_MAX + 1 };
	if ((result = call_message(service, &m)) != -EINVAL)
		breach("too many capabilities gave %ld", result);
	m.caps = 0xffffffff;
	if ((result = call_message(service, &m)) != -EINVAL)
		breach("too many capabilities gave %ld", result);
	g_back = service;
	for (int i = 0; i < 8; i++)
		serve_beside(evil, recurse);
	do {
		usleep(20000);
		memset(words, 0, sizeof words);
		if ((result = call(service, words)))
			breach("the recursion gave %ld", result);
	} while (words[1] == EAGAIN || words[1] == EBADF);
	if (words[1] != ELOOP)
		breach("the recursion ended with %lu at %lu", words[1], words[0]);
	refused("an error for each, and recursion ends with ELOOP");
}
