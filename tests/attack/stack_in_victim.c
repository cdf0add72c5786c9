/*
 * Question: does the monitor write through a stack pointer that a cVM aimed at another cVM, on a hostcall or behind it?
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

static void attack(void)
{
	uint64_t stack = g_victim.pattern + 512;

	g_target = vcpu()->gate;
	if (!guarded(jump_to_gate, (void *)stack).signal)
		breach("a hostcall on the victim's memory came back");
	refused("faults of our own");
}
