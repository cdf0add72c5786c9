/*
 * Question: does the isolated libOS write signal frames to itself, or read them, or vector state, from itself, for its
 * program: by an alternate stack, a stack pointer, rt_sigreturn, a frame's fpstate?
 * Expect: REFUSED: every frame in the libOS gave SIGSEGV
 * Control: isolate_libos=false
 * Options: isolate_libos=true
 * Native: the libOS's checks of where frames lie
 */
#include <sys/syscall.h>

#include "attack.h"
#include "isolated.h"

#define FORCED 0x80 /* SI_KERNEL: the frame was refused */

static uint64_t g_at;

static void nothing(int signal)
{
	(void)signal;
}

static void use_alternate_stack(void *unused)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_ONSTACK };
	stack_t there = { .ss_sp = (void *)g_at, .ss_size = 65536 }, old;

	(void)unused;
	sigaction(SIGUSR1, &action, NULL);
	sigaltstack(&there, &old);
	raise(SIGUSR1); /* SIGSEGV comes to the ordinary stack: its handler is not SA_ONSTACK now */
	sigaltstack(&old, NULL);
}

static void use_stack_pointer(void *unused)
{
	(void)unused;
	__asm__ volatile("mov %0, %%rsp\n\tud2" ::"r"(g_at + 32768) : "memory");
}

static void use_sigreturn(void *unused)
{
	(void)unused;
	/* no argument register names the libOS: only the frame does */
	__asm__ volatile("mov %0, %%rsp\n\tmov $15, %%eax\n\txor %%edi, %%edi\n\tsyscall\n\tud2"
			 ::"b"(g_at + 64), "S"(0), "d"(0) : "memory", "rax", "rcx", "r8", "r9", "r10", "r11", "rdi");
}

static void change_vectors(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)signal, (void)info;
	uc->uc_mcontext.fpregs = (void *)(g_at + 1024);
}

static void use_vectors(void *unused)
{
	struct sigaction action = { .sa_sigaction = change_vectors, .sa_flags = SA_SIGINFO };

	(void)unused;
	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
}

static void must_fail(const char *what, void (*function)(void *))
{
	struct outcome o = guarded(function, NULL);

	if (o.signal != SIGSEGV || o.code != FORCED)
		breach("%s: signal %d, code %d", what, o.signal, o.code);
}

static void on_which_stack(int signal, int flags)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | flags };

	sigaction(signal, &action, NULL);
}

static void attack(void)
{
	g_at = libos_thread() & ~(PAGE - 1); /* behind the stacks of this thread */
	must_fail("fpstate", use_vectors);
	must_fail("rt_sigreturn", use_sigreturn);
	on_which_stack(SIGILL, 0);
	must_fail("stack pointer", use_stack_pointer);
	on_which_stack(SIGSEGV, 0);
	g_at -= 65536;
	must_fail("alternate stack", use_alternate_stack);
	refused("every frame in the libOS gave SIGSEGV");
}
