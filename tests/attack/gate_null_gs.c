/*
 * Question: what does calling the gate with a null or flat GS selector (base 0) gain?
 * Expect: REFUSED: SIGSEGV SIGSEGV and GS is right again
 * Control: none: nothing can be mapped at address 0, with no option
 */
#include "attack.h"

static void call_gate(void *selector)
{
	struct vcpu_page *page = vcpu();

	__asm__ volatile("mov %w0, %%gs\n\txor %%r11d, %%r11d\n\tsub $128, %%rsp\n\tcall *%1\n\tadd $128, %%rsp" ::"r"(selector), "b"(page->gate)
			 : "rax", "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "r11", "memory");
}

static void attack(void)
{
	struct vcpu_page *before = vcpu();
	struct outcome null = guarded(call_gate, (void *)0), flat = guarded(call_gate, (void *)0x2b);

	if (!null.signal || !flat.signal)
		breach("the gate worked without a vCPU");
	if (vcpu() != before || hostcall(HC_null, 0, 0, 0, 0, 0, 0))
		breach("GS was not put back");
	if (!guarded(load_byte, (void *)g_victim.pattern).signal)
		breach("kept the gate's rights");
	refused("%s %s and GS is right again", null.signal == SIGSEGV ? "SIGSEGV" : "?", flat.signal == SIGSEGV ? "SIGSEGV" : "?");
}
