/*
 * Question: what do the monitor's own `syscall` instructions do for a cVM that jumps to them?
 * Expect: REFUSED: every one lacks the cookie
 * Control: --insecure-no-cookie
 */
#include <sys/syscall.h>

#include "attack.h"

static struct {
	uint64_t target;
	long number;
	uint64_t a0, a1, a2;
	long result;
} g_call;

static void enter(void *unused)
{
	long result = g_call.number;
	register uint64_t r8 __asm__("r8") = 0, r9 __asm__("r9") = 0, r10 __asm__("r10") = 0;

	(void)unused;
	/* behind the instruction the code may do anything, so the stack holds many return addresses to `1:` */
	__asm__ volatile("mov %%rsp, %%r12\n\tlea 1f(%%rip), %%r13\n\tmov $64, %%ecx\n2:\tpush %%r13\n\tdec %%ecx\n\tjnz 2b\n\tjmp *%%rbx\n1:\tmov %%r12, %%rsp"
			 : "+a"(result)
			 : "b"(g_call.target), "D"(g_call.a0), "S"(g_call.a1), "d"(g_call.a2), "r"(r8), "r"(r9), "r"(r10)
			 : "rcx", "r11", "r12", "r13", "memory", "cc");
	g_call.result = result;
}

static void attack(void)
{
	static const char *const places[] = { "clone_syscall", "sigreturn_syscall" };

	for (size_t i = 0; i < 2; i++) {
		g_call.target = monitor_symbol(places[i]);
		g_call.number = SYS_getppid; /* 0 from the libOS, the command's number from a host that was reached */
		g_call.a0 = g_call.a1 = g_call.a2 = 0;
		g_call.result = -1;
		struct outcome o = guarded(enter, NULL);
		int64_t parent = o.signal ? (int64_t)o.rax : g_call.result;
		if (parent > 0 && parent != SYS_getppid)
			breach("getppid through %s", places[i]);
	}
	refused("every one lacks the cookie");
}
