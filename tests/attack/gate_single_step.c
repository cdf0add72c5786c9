/*
 * Question: does single-stepping (TF) through the gate show a cVM monitor state, or stop the monitor?
 * Expect: REFUSED: no step was seen with the monitor's rights
 * Control: none: clearing flags has no option
 */
#include "attack.h"

static volatile sig_atomic_t g_seen_open, g_steps;

static void on_step(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)signal;
	(void)info;
	if (++g_steps > 50) /* never through the gate otherwise: each step restarts it */
		uc->uc_mcontext.gregs[REG_EFL] &= ~0x100ll;
	if (!guarded(load_byte, (void *)g_victim.pattern).signal)
		g_seen_open = 1;
}

static void attack(void)
{
	struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };
	long result;

	sigaction(SIGTRAP, &action, NULL);
	__asm__ volatile("sub $128, %%rsp\n\txor %%r11d, %%r11d\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tcall *%%gs:16\n\t"
			 "pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\tadd $128, %%rsp"
			 : "=a"(result)
			 :
			 : "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
	if (result)
		breach("the stepped hostcall gave %ld", result);
	if (g_seen_open || !g_steps)
		breach("a step was seen with the monitor's rights, or none at all (%d)", (int)g_steps);
	refused("no step was seen with the monitor's rights");
}
