/*
 * Question: does the monitor read an isolated libOS's memory for its program that jumped to a gate's last `ret` with a
 * stack pointer there, and show it as the faulting context's rip?
 * Expect: REFUSED: |killed
 * Control: isolate_libos=false
 * Options: isolate_libos=true
 */
#include "attack.h"
#include "isolated.h"

static void jump(void *target)
{
	__asm__ volatile("mov %1, %%rsp\n\tjmp *%0" ::"b"(target), "r"(libos_thread() + 256) : "memory");
}

static void attack(void)
{
	struct outcome o = guarded(jump, (void *)(monitor_symbol("gate_move_result")));

	breach("went on at %#lx after signal %d", o.rip, o.signal);
}
