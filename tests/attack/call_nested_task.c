/*
 * Question: with the flag NT set a processor refuses IRETQ, by which libOSes go back to their programs behind a signal or a fault. Can
 * a caller leave it to its callee, or a callee to its caller, with its answer or by staying until the deadline, and so end the other?
 * Expect: REFUSED: NT stays where it was set
 * Control: --insecure-no-clean
 * Native: calls clear the flags
 * Companions: 1
 * Grants: capabilities
 */
#include "cap_registers.h"

#define NT 0x4000u

static struct dump g_dump;

static inline void nt(uint64_t value)
{
	__asm__ volatile("pushfq; andq $~0x4000, (%%rsp); orq %0, (%%rsp); popfq" : : "r"(value) : "memory", "cc");
}

/* One gate with the flag set or not: what it is behind. */
static bool gate_nt(uint64_t number, uint64_t *words, uint64_t before, long *status)
{
	nt(before);
	*status = gate_dump(number, words, &g_dump, 0);
	nt(0);
	return g_dump.general[15] & NT;
}

enum { NOTHING, ANSWER_WITH_NT, STAY_WITH_NT };

static void companion(void)
{
	uint64_t words[CALL_WORDS] = { 0 };
	long status;

	owner_stops();
	g_service = create_named(CAP_EXPORT, "service", 0);
	for (uint64_t what = NOTHING;; what = words[0]) {
		if (what == STAY_WITH_NT) {
			uint64_t end = __builtin_ia32_rdtsc() + (1ull << 30);
			nt(NT);
			while (__builtin_ia32_rdtsc() < end)
				;
			nt(0);
		}
		words[1] = gate_nt(HC_call_serve | (uint64_t)g_service << 32, words, what == ANSWER_WITH_NT ? NT : 0, &status);
	}
}

static void attack(void)
{
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE);
	uint64_t words[CALL_WORDS];
	bool came_back;
	long status;

	do {
		memset(words, 0, sizeof words);
		gate_nt(HC_call_invoke | (uint64_t)service << 32, words, NT, &status);
	} while (status == -EAGAIN);
	if (status || words[1])
		breach("status %ld, the callee has NT: %lu", status, words[1]);
	do {
		memset(words, 0, sizeof words);
		words[0] = ANSWER_WITH_NT;
		came_back = gate_nt(HC_call_invoke | (uint64_t)service << 32, words, 0, &status);
	} while (status == -EAGAIN);
	if (status || came_back)
		breach("status %ld, the caller has NT with the answer: %d", status, came_back);
	do {
		struct call_message m = { .word = { STAY_WITH_NT }, .deadline_ns = now_ns() + 20000000 };
		uint64_t message[CALL_WORDS] = { service, (uint64_t)&m };
		came_back = gate_nt(HC_call_invoke_msg, message, 0, &status);
	} while (status == -EAGAIN);
	if (status != -ETIMEDOUT || came_back)
		breach("status %ld, the caller has NT at its deadline: %d", status, came_back);
	refused("NT stays where it was set");
}
