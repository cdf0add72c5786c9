/*
 * Question: can a cVM keep the monitor's rights by jumping to the WRPKRU of the leaving gate with eax = 0?
 * Expect: REFUSED: SIGILL
 * Control: --insecure-no-gate-check
 */
#include "attack.h"

static void jump(void *target)
{
	__asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\t"
			 "sub $128, %%rsp\n\tcall *%0\n\tadd $128, %%rsp" ::"b"(target)
			 : "rax", "rcx", "rdx", "memory");
	(void)*(volatile uint64_t *)g_victim.pattern;
}

static void attack(void)
{
	struct outcome o = guarded(jump, (void *)monitor_symbol("gate_wrpkru_out"));

	if (!o.signal)
		breach("came back with all rights and read the victim");
	struct outcome after = guarded(load_byte, (void *)g_victim.pattern);
	if (!after.signal)
		breach("kept the rights through the fault");
	refused("%s", signal_text(o));
}
