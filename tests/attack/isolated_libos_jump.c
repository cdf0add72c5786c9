/*
 * Question: can a program make its isolated libOS's code work for it by jumping there, above all to the ways between the
 * two, which the libOS's upcalls treat specially?
 * Expect: REFUSED: every jump into the libOS faulted
 * Control: none: the way that is open without isolation is isolated_libos_code's
 * Options: isolate_libos=true
 */
#include "attack.h"
#include "isolated.h"

static uint64_t g_rsp;

static void jump(void *target)
{
	__asm__ volatile("mov %1, %%rsp\n\tjmp *%0" ::"b"(target), "r"(g_rsp), "D"(libos_thread()) : "memory");
}

static void attack(void)
{
	/* not slow_exit_iret: an iretq whose stack cannot be read makes the emulator fault as its kernel */
	static const char *const places[] = { "slow_exit_begin", "program_leave", "call_exit_begin", "vector_save_insn",
					      "upcall_entry", "libos_entered", "thread_entry", "syscall_entry", "fast_exit_begin",
					      "blocking_begin", "thread_leave_to", "libos_start", "kmalloc" };
	static uint64_t stack[1024];

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		const uint64_t stacks[] = { 16, (uint64_t)&stack[512], libos_thread() + 256 };
		for (size_t k = 0; k < sizeof stacks / sizeof stacks[0]; k++) {
			g_rsp = stacks[k];
			struct outcome o = guarded(jump, (void *)libos_symbol(places[i]));
			if (!o.signal)
				breach("%s came back", places[i]);
			if (!guarded(load_byte, (void *)libos_thread()).signal)
				breach("%s left rights open", places[i]);
		}
	}
	refused("every jump into the libOS faulted");
}
