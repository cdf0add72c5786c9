/*
 * Question: the signal handler returns to the monitor with the monitor's rights. If a trap comes in 32-bit mode and the frame
 * keeps that code segment, the address is cut to 32 bits: does the attacker's code in the low window, at the lower half of
 * trap_entry's address, then run with those rights?
 * Expect: REFUSED: all traps in 32-bit mode came back as faults
 * Control: none: the segment in the frame has no option
 */
#include "raw.h"

#define DATA 0x400000u /* saved rsp and rip, far pointer */
#define CODE 0x500000u

static struct raw_thread *g_thread;
static const uint8_t k_traps[][2] = { { 0x0f, 0x0b }, { 0xcd, 0x80 }, { 0xcc, 0x90 }, { 0xf4, 0x90 }, { 0xf7, 0xf1 /* div ecx */ } };
static int g_trap, g_came_back;

static void enter(void *unused)
{
	volatile uint64_t *data = (volatile uint64_t *)(uint64_t)DATA;

	(void)unused;
	data[2] = (0x23ull << 32) | (CODE + 16 * (uint32_t)g_trap);
	__asm__ volatile("push %%rbp\n\tmov %%rsp, (%[data])\n\tlea 1f(%%rip), %%r8\n\tmov %%r8, 8(%[data])\n\t"
			 "xor %%ecx, %%ecx\n\txor %%eax, %%eax\n\tljmpl *16(%[data])\n1:\tpop %%rbp"
			 :
			 : [data] "D"((uint64_t)DATA)
			 : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

static void body(void *unused)
{
	(void)unused;
	for (g_trap = 0; g_trap < 5; g_trap++)
		if (!raw_try(g_thread, enter, NULL))
			g_came_back++;
}

static void attack(void)
{
	uint32_t target = (uint32_t)(monitor_symbol("trap_entry")), page = target & ~4095u;
	static const uint8_t to_64bit[] = { 0xea, 0, 0, 0, 0, 0x33, 0 };
	static const uint8_t back[] = { 0x48, 0x8b, 0x24, 0x25, 0, 0, 0x40, 0, 0xff, 0x24, 0x25, 8, 0, 0x40, 0 };

	if (hostcall(HC_mem_low_window, 0, 0, 0, 0, 0, 0) || hostcall(HC_mem_commit, DATA, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0) ||
	    hostcall(HC_mem_commit, CODE, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0))
		breach("the low window cannot be had");
	if (target >= SLOT_LOW_BASE && target < SLOT_LOW_END && !hostcall(HC_mem_commit, page, 2 * PAGE, PROT_READ | PROT_WRITE, 0, 0, 0)) {
		const uint32_t landing = page;
		memset((void *)(uint64_t)page, 0x90, 2 * PAGE);
		memcpy((void *)(uint64_t)target, to_64bit, sizeof to_64bit);
		memcpy((void *)(uint64_t)(target + 1), &landing, 4);
		memcpy((void *)(uint64_t)page, back, sizeof back);
		if (hostcall(HC_mem_seal_code, page, 2 * PAGE, 0, 0, 0, 0))
			breach("harmless code was refused");
	}
	memset((void *)(uint64_t)CODE, 0xf4, PAGE);
	for (int i = 0; i < 5; i++)
		memcpy((void *)(uint64_t)(CODE + 16 * i), k_traps[i], 2);
	if (hostcall(HC_mem_seal_code, CODE, PAGE, 0, 0, 0, 0))
		breach("harmless code was refused");
	g_thread = raw_new(body, NULL);
	raw_run(g_thread);
	if (g_came_back)
		breach("%d traps came back to code of the attacker's", g_came_back);
	if (!guarded(load_byte, (void *)g_victim.pattern).signal)
		breach("the victim can be read");
	refused("all traps in 32-bit mode came back as faults");
}
