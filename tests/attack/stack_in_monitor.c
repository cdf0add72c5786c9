/*
 * Question: does the monitor write through a stack pointer that a cVM aimed at the monitor's memory or at another cVM,
 * on a fault, and last on a hostcall, which may end the cVM?
 * Expect: REFUSED: faults of our own|killed
 * Control: none: the gate uses a stack of its own, with every option
 */
#include "attack.h"

static uint64_t g_target;

static void jump_to_gate(void *stack)
{
	__asm__ volatile("mov %%rsp, %%rbp\n\tmov %0, %%rsp\n\txor %%r11d, %%r11d\n\tjmp *%1" ::"r"(stack), "b"(g_target) : "rbp", "r11", "memory");
	__builtin_unreachable();
}

static void fault_there(void *stack)
{
	__asm__ volatile("mov %0, %%rsp\n\tud2" ::"r"(stack));
	__builtin_unreachable();
}

static void attack(void)
{
	const uint64_t stacks[] = { vcpu()->monitor_thread + 0xff00, vcpu()->monitor_thread + 0x100, g_victim.pattern + 512, 0, 8,
				    (uint64_t)vcpu() + 2048, 0x8000000000000000ull, ~7ull };

	g_target = vcpu()->gate;
	for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++) {
		struct outcome o = guarded(fault_there, (void *)stacks[i]);
		if (o.signal != SIGILL)
			breach("a fault with stack %zu became signal %d", i, o.signal);
		if (hostcall(HC_null, 0, 0, 0, 0, 0, 0))
			breach("the gate does not work any more");
	}
	if (!guarded(jump_to_gate, (void *)stacks[0]).signal)
		breach("a hostcall on the monitor's stack came back");
	refused("faults of our own");
}
