/*
 * Question: what does a jump to the monitor's signal handler gain, with a forged frame on a stack of our own?
 * Expect: REFUSED: SIGSEGV
 * Control: none: the handler never widens rights, so there is nothing to switch off
 */
#include "attack.h"

static uint8_t g_stack[2 * 65536] __attribute__((aligned(65536)));
static uint8_t g_info[4096], g_context[8192];

static void jump(void *target)
{
	__asm__ volatile("lea 0x8f00(%0), %%rsp\n\tmov $11, %%edi\n\tmov %1, %%rsi\n\tmov %2, %%rdx\n\tjmp *%3" ::"r"(g_stack), "r"(g_info), "r"(g_context), "b"(target)
			 : "rdi", "rsi", "rdx", "memory");
	__builtin_unreachable();
}

static void attack(void)
{
	struct outcome o = guarded(jump, (void *)monitor_symbol("signal_entry"));
	struct outcome two = guarded(jump, (void *)monitor_symbol("trap_entry"));

	if (!guarded(load_byte, (void *)g_victim.pattern).signal || !two.signal)
		breach("rights stayed open");
	refused("%s", signal_text(o));
}
