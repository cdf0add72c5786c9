/*
 * Question: does any instruction of the gates, entered at any byte with registers full of zeros or ones, give a cVM more
 * than a fault of its own?
 * Expect: REFUSED: every entry ended in a fault or an ordinary return
 * Control: none: the single gates' tests have theirs
 * Needs: a real CPU: a far return met in the middle of an instruction makes the emulator fault as its kernel
 */
#include <sys/time.h>

#include "attack.h"

/* Registers as given, rsp on a page whose every word is the address of landing. */
static uint64_t g_stack[2048] __attribute__((aligned(4096)));
static uint64_t g_fill;
static sigjmp_buf g_back;

static void landed(void)
{
	siglongjmp(g_back, 1);
}

static void jump(void *target)
{
	__asm__ volatile("mov %0, %%rax\n\tmov %1, %%rbx\n\tlea 8192(%2), %%rsp\n\tmov %%rbx, %%rcx\n\tmov %%rbx, %%rdx\n\t"
			 "mov %%rbx, %%rsi\n\tmov %%rbx, %%rdi\n\tmov %%rbx, %%rbp\n\tmov %%rbx, %%r8\n\tmov %%rbx, %%r9\n\t"
			 "mov %%rbx, %%r10\n\tmov %%rbx, %%r11\n\tmov %%rbx, %%r12\n\txchg %%rax, %%rbx\n\tpush %%rbx\n\tmov %%rax, %%rbx\n\tret"
			 ::"r"(target), "r"(g_fill), "r"(g_stack)
			 : "memory");
	__builtin_unreachable();
}

static void attack(void)
{
	uint64_t first = monitor_symbol("gate_enter"), last = monitor_symbol("_start");

	const struct itimerval second = { .it_value = { 1, 0 } }, never = { 0 };
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	sigaction(SIGALRM, &action, NULL);
	/* deliberately without sigaltstack's help: faults come back through siglongjmp, returns through landed() */
	for (int turn = 0; turn < 2; turn++) {
		g_fill = turn ? ~0ull : 0;
		for (uint64_t at = first; at < last; at++) {
			for (size_t i = 0; i < 2048; i++)
				g_stack[i] = (uint64_t)landed;
			setitimer(ITIMER_REAL, &second, NULL); /* a loop is a gain of nothing, too */
			if (sigsetjmp(g_back, 1) == 0)
				(void)guarded(jump, (void *)at);
			g_guarded = 0;
			setitimer(ITIMER_REAL, &never, NULL);
			if (!guarded(load_byte, (void *)g_victim.pattern).signal || !guarded(load_byte, (void *)vcpu()->monitor_thread).signal)
				breach("rights stayed open after entering at gate_enter+%#lx with %s", at - first, turn ? "ones" : "zeros");
		}
	}
	if (hostcall(HC_null, 0, 0, 0, 0, 0, 0))
		breach("the gate does not work any more");
	refused("every entry ended in a fault or an ordinary return");
}
