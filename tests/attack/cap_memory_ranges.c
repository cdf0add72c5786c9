/*
 * Question: can a cVM make a capability on memory that is not its own, or have the monitor copy from or to it in its
 * place (confused deputy: Hardy 1988), by every operation that takes an address?
 * Expect: REFUSED: EFAULT for each
 * Control: --insecure-no-slot-check
 * Native: addresses are checked against the slot
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static void companion(void)
{
	own_with_service();
}

static void attack(void)
{
	uint32_t file = open_named(CAP_MEMORY, "shared", CAP_LOAD | CAP_STORE);
	uint32_t mine = must("memory", CAP(cap_memory, &g_victim, sizeof g_victim, CAP_LOAD | CAP_STORE));
	uint32_t port = open_named(CAP_CONNECT, "port", CAP_USE);
	uint32_t stream = must("connect", CAP(stream_connect, port, 0));
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE);
	uint64_t slot = (uint64_t)&g_victim & SLOT_MASK;
	const uint64_t places[] = { g_victim.pattern, vcpu()->monitor_thread, vcpu()->gate, (uint64_t)vcpu(), slot - 8,
				    slot + SLOT_SIZE - 8, ~0ull - 8, 8 };
	uint64_t words[CALL_WORDS] = { service };

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		uint64_t p = places[i];
		const long results[] = {
			CAP(cap_memory, p, 16, CAP_LOAD), CAP(cap_memory, p - 8, ~0ull - 8, CAP_LOAD), CAP(cap_read, file, p, 16, 0),
			CAP(cap_write, file, p, 16, 0), CAP(cap_write, mine, p, 16, 0), CAP(stream_send, stream, p, 16, 0),
			CAP(cap_info, file, p), CAP(cap_open, CAP_MEMORY, p, 16, CAP_LOAD), CAP(cap_create, CAP_MEMORY, p, 16, PAGE),
			(words[0] = service, words[1] = p, gate_words(HC_call_invoke_msg, words)),
		};
		for (size_t n = 0; n < sizeof results / sizeof results[0]; n++)
			if (results[n] != -EFAULT)
				breach("place %zu, operation %zu gave %ld", i, n, results[n]);
	}
	refused("EFAULT for each");
}
