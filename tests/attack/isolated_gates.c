/*
 * Question: does a program get its isolated libOS's rights by jumping to a WRPKRU of the gates with the value that opens
 * the libOS's key?
 * Expect: REFUSED: every jump ended in SIGILL
 * Control: --insecure-no-gate-check
 * Options: isolate_libos=true
 */
#include "attack.h"
#include "isolated.h"

static uint32_t g_pkru;

static void jump(void *target)
{
	__asm__ volatile("xor %%ecx, %%ecx\n\txor %%edx, %%edx\n\t"
			 "sub $128, %%rsp\n\tlea 1f(%%rip), %%r9\n\tcall *%0\n1:\tmov %1, %%rsp" /* cvm_enter goes to r9 */
			 ::"b"(target), "r"((uint64_t)__builtin_frame_address(0) - 256), "a"(g_pkru)
			 : "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
	breach("came back from the gate with rights %#x and read the libOS: %d", g_pkru, *(volatile uint8_t *)libos_thread());
}

static void attack(void)
{
	static const char *const places[] = { "gate_wrpkru_out", "enter_wrpkru", "call_wrpkru", "gate_wrpkru_in" };

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		for (unsigned key = 0; key < 16; key++) {
			g_pkru = vcpu()->pkru & ~(3u << (2 * key));
			if (g_pkru == vcpu()->pkru)
				continue;
			struct outcome o = guarded(jump, (void *)monitor_symbol(places[i]));
			if (o.signal != SIGILL)
				breach("%s with key %u: %s", places[i], key, signal_text(o));
			if (!guarded(load_byte, (void *)libos_thread()).signal)
				breach("kept the rights through the fault");
		}
	refused("every jump ended in SIGILL");
}
