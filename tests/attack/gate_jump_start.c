/*
 * Question: can a cVM keep the monitor's rights by jumping to the WRPKRU that starts threads and upcalls, with eax = 0
 * and its own code as the entry?
 * Expect: REFUSED: SIGILL
 * Control: --insecure-no-gate-check
 */
#include "attack.h"

static void arrive(void)
{
	(void)*(volatile uint64_t *)g_victim.pattern;
	breach("arrived with all rights and read the victim");
}

static void jump(void *target)
{
	register void *entry __asm__("r9") = (void *)arrive;
	__asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\tand $-16, %%rsp\n\tsub $128, %%rsp\n\tcall *%0"
			 ::"b"(target), "r"(entry)
			 : "rax", "rcx", "rdx", "memory");
	__builtin_unreachable();
}

static void attack(void)
{
	struct outcome o = guarded(jump, (void *)monitor_symbol("enter_wrpkru"));

	if (!guarded(load_byte, (void *)g_victim.pattern).signal)
		breach("kept the rights through the fault");
	refused("%s", signal_text(o));
}
