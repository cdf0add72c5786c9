/*
 * Question: do the three entries of the vsyscall page, which the kernel emulates at an address outside of every slot, reach
 * the host past the filter, or make it kill the process? (K23's P2: calls that no instruction of the process makes.)
 * Expect: REFUSED: trapped, or the page is not there
 * Control: --insecure-no-cookie
 * Control-if: \[vsyscall\]
 * Native: the filter
 */
#include "raw.h"

struct calls {
	struct raw_thread *thread;
	int index;
	bool reached;
	struct raw_call call;
};

static void body(void *argument)
{
	static const long numbers[] = { 96, 201, 309 };
	struct calls *c = argument;

	for (c->index = 0; c->index < 9 && !c->reached; c->index++) {
		int which = c->index % 3, where = c->index / 3;
		/* where the results go: here, to the victim, to the monitor */
		uint64_t place = where == 0 ? (uint64_t)&c->call.a[3] : where == 1 ? g_victim.pattern : vcpu()->monitor_thread + 0xa100;
		c->call = (struct raw_call){ .a = { place, 0 }, .instruction = (void *)(0xffffffffff600000ull + 0x400 * (uint64_t)which) };
		bool trapped = raw_try(c->thread, raw_call, &c->call);
		const struct upcall_frame *last = &c->thread->last;
		c->reached = !trapped || (last->trap == HC_TRAP_SYSCALL && (long)last->rax != numbers[which]);
	}
	/* the middle of an entry is no entry */
	c->call.instruction = (void *)0xffffffffff600009ull;
	c->reached |= !raw_try(c->thread, raw_call, &c->call) || c->thread->last.signal != SIGSEGV;
}

static void attack(void)
{
	static struct calls calls;

	calls.thread = raw_new(body, &calls);
	raw_run(calls.thread);
	if (calls.reached)
		breach("entry %d of the vsyscall page reached the host", calls.index % 3);
	refused("trapped, or the page is not there");
}
