/*
 * Question: what does a jump to the WRPKRU of the entry gate gain, with rights of the attacker's choice in eax?
 * Expect: REFUSED: SIGILL
 * Control: --insecure-no-gate-check
 */
#include "attack.h"

static void jump(void *target)
{
	/* key 15 closed, everything else open: not the value that belongs there */
	__asm__ volatile("mov $0x40000000, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\txor %%r11d, %%r11d\n\t"
			 "sub $128, %%rsp\n\tcall *%0\n\tadd $128, %%rsp" ::"b"(target)
			 : "rax", "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "r11", "memory");
}

static void attack(void)
{
	struct outcome o = guarded(jump, (void *)monitor_symbol("gate_wrpkru_in"));

	if (!o.signal)
		breach("the gate went on with rights of our choice");
	if (hostcall(HC_null, 0, 0, 0, 0, 0, 0))
		breach("the gate does not work any more");
	refused("%s", signal_text(o));
}
