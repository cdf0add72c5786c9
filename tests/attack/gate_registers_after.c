/*
 * Question: does a hostcall leave anything of the monitor (addresses, cookies) in registers?
 * Expect: REFUSED: registers hold nothing of the monitor and what must be kept is kept
 * Control: none: cleaning has no option
 */
#include "attack.h"

static uint64_t g_after[16];

static void call_and_look(enum hostcall number, uint64_t a0, uint64_t a1)
{
	register uint64_t r11 __asm__("r11") = (uint64_t)number;

	__asm__ volatile("sub $128, %%rsp\n\tpush %%rbx\n\tpush %%rbp\n\tpush %%r12\n\tpush %%r13\n\tpush %%r14\n\tpush %%r15\n\t"
			 "mov $0x1111, %%ebx\n\tmov $0x2222, %%ebp\n\tmov $0x3333, %%r12d\n\tmov $0x4444, %%r13d\n\tmov $0x5555, %%r14d\n\t"
			 "mov $0x6666, %%r15d\n\tmov $0x77, %%eax\n\tmovq %%rax, %%xmm7\n\tcall *%%gs:16\n\tpush %%rax\n\tlea g_after_address(%%rip), %%rax\n\t"
			 "mov (%%rax), %%rax\n\tmov %%rcx, 8(%%rax)\n\tmov %%rdx, 16(%%rax)\n\tmov %%rbx, 24(%%rax)\n\tmov %%rbp, 32(%%rax)\n\t"
			 "mov %%rsi, 40(%%rax)\n\tmov %%rdi, 48(%%rax)\n\tmov %%r8, 56(%%rax)\n\tmov %%r9, 64(%%rax)\n\tmov %%r10, 72(%%rax)\n\t"
			 "mov %%r11, 80(%%rax)\n\tmov %%r12, 88(%%rax)\n\tmov %%r13, 96(%%rax)\n\tmov %%r14, 104(%%rax)\n\tmov %%r15, 112(%%rax)\n\t"
			 "movq %%xmm7, 120(%%rax)\n\tpop (%%rax)\n\tpop %%r15\n\tpop %%r14\n\tpop %%r13\n\tpop %%r12\n\tpop %%rbp\n\tpop %%rbx\n\tadd $128, %%rsp"
			 : "+D"(a0), "+S"(a1), "+r"(r11)
			 :
			 : "rax", "rcx", "rdx", "r8", "r9", "r10", "memory", "cc", "xmm7");
}

uint64_t *g_after_address __attribute__((used, visibility("hidden"))) = g_after;

static bool harmless(uint64_t value)
{
	return value < 0x1000000 || value == (uint32_t)vcpu()->pkru || value > ~4095ull; /* r8 has the result */
}

static void check(const char *what)
{
	static const int scratch[] = { 1, 2, 5, 6, 7, 8, 9, 10 };
	static const uint64_t kept[][2] = { { 3, 0x1111 }, { 4, 0x2222 }, { 11, 0x3333 }, { 12, 0x4444 }, { 13, 0x5555 }, { 14, 0x6666 },
					    { 15, 0x77 } };

	for (size_t i = 0; i < sizeof scratch / sizeof scratch[0]; i++)
		if (!harmless(g_after[scratch[i]]))
			breach("%s: register %d holds %#lx", what, scratch[i], g_after[scratch[i]]);
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		if (g_after[kept[i][0]] != kept[i][1])
			breach("%s: register %lu was not kept: %#lx", what, kept[i][0], g_after[kept[i][0]]);
}

static void attack(void)
{
	static struct hc_info info;
	static char bytes[64];

	call_and_look(HC_null, 0, 0);
	check("null");
	call_and_look(HC_cvm_info, (uint64_t)&info, 0);
	check("cvm_info");
	call_and_look(HC_random, (uint64_t)bytes, sizeof bytes);
	check("random");
	call_and_look(HC_random, vcpu()->monitor_thread, 8);
	check("a failing random");
	call_and_look(HC_thread_yield, 0, 0);
	check("thread_yield");
	call_and_look((enum hostcall)100000, 0, 0);
	check("an unknown number");
	refused("registers hold nothing of the monitor and what must be kept is kept");
}
