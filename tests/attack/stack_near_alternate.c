/*
 * Question: does a stack pointer a little above the bottom of the alternate signal stack make the kernel kill everything?
 * Expect: REFUSED: every trap was delivered
 * Control: --insecure-no-autodisarm
 * Control-result: dead
 */
#include "attack.h"

static void fault_there(void *stack)
{
	__asm__ volatile("mov %0, %%rsp\n\tud2" ::"r"(stack));
	__builtin_unreachable();
}

static void attack(void)
{
	for (uint64_t offset = 0x1f00; offset < 0x9100; offset += 0x80) {
		struct outcome o = guarded(fault_there, (void *)(vcpu()->monitor_thread + offset));
		if (o.signal != SIGILL)
			breach("offset %#lx: signal %d", offset, o.signal);
	}
	refused("every trap was delivered");
}
