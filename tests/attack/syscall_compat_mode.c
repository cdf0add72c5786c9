/*
 * Question: can code in the low window switch the processor to 32-bit mode, and there reach the host by INT 80, SYSENTER or
 * 32-bit SYSCALL, whose numbers mean other calls (PKU Pitfalls 4.3, Jenny 4.3: mode switches past the filter), or make the
 * monitor's handler return to its own code in 32-bit mode?
 * Expect: REFUSED: every 32-bit call ended in a signal
 * Control: --insecure-no-cookie
 * Native: the filter
 */
#include "raw.h"

#define CODE 0x20000u
#define DATA 0x40000u /* saved rsp and rip, far pointer */
#define LANDING 0x100u /* 64-bit, in the page of CODE */

static struct raw_thread *g_thread;
static uint8_t g_instruction[3][2] = { { 0xcd, 0x80 }, { 0x0f, 0x34 }, { 0x0f, 0x05 } };
static const struct {
	const char *name;
	uint32_t number, b, c, d;
} k_calls[] = {
	{ "getppid", 64, 0, 0, 0 },	       { "mprotect", 125, CODE, 4096, 7 }, { "mmap2", 192, 0x100000, 4096, 7 }, { "pkey_mprotect", 380, CODE, 4096, 7 },
	{ "arch_prctl", 384, 0x1001, DATA, 0 }, { "set_thread_area", 243, DATA, 0, 0 }, { "modify_ldt", 123, 17, DATA, 16 }, { "exit_group", 252, 0, 0, 0 },
};
static int g_kind, g_call;
static bool g_reached;

/* Saves where to return to, and far-jumps to CODE + 32 * kind with the call's registers. */
static void enter(void *unused)
{
	volatile uint64_t *data = (volatile uint64_t *)(uint64_t)DATA;

	(void)unused;
	data[2] = (0x23ull << 32) | (CODE + 32 * (uint32_t)g_kind);
	__asm__ volatile("push %%rbp\n\tmov %%rsp, (%[data])\n\tlea 1f(%%rip), %%r8\n\tmov %%r8, 8(%[data])\n\txor %%ebp, %%ebp\n\t"
			 "ljmpl *16(%[data])\n1:\tpop %%rbp"
			 :
			 : [data] "D"((uint64_t)DATA), "a"((uint64_t)k_calls[g_call].number), "b"((uint64_t)k_calls[g_call].b),
			   "c"((uint64_t)k_calls[g_call].c), "d"((uint64_t)k_calls[g_call].d)
			 : "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

static void body(void *unused)
{
	(void)unused;
	for (g_kind = 0; g_kind < 3; g_kind++)
		for (g_call = 0; g_call < (int)(sizeof k_calls / sizeof k_calls[0]); g_call++)
			if (!raw_try(g_thread, enter, NULL)) {
				g_reached = true;
				return;
			}
}

static void attack(void)
{
	uint8_t *code = (uint8_t *)(uint64_t)CODE;

	if (hostcall(HC_mem_low_window, 0, 0, 0, 0, 0, 0) || hostcall(HC_mem_commit, CODE, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0) ||
	    hostcall(HC_mem_commit, DATA, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0))
		breach("the low window cannot be had");
	memset(code, 0xf4, PAGE);
	for (int kind = 0; kind < 3; kind++) {
		uint8_t *p = code + 32 * kind;
		const uint32_t landing = CODE + LANDING;
		memcpy(p, g_instruction[kind], 2);
		p[2] = 0xea; /* jmp far 0x33:landing */
		memcpy(p + 3, &landing, 4);
		p[7] = 0x33, p[8] = 0;
	}
	static const uint8_t back[] = { 0x48, 0x8b, 0x24, 0x25, 0, 0, 4, 0, 0xff, 0x24, 0x25, 8, 0, 4, 0 }; /* mov DATA, %rsp; jmp *DATA+8 */
	memcpy(code + LANDING, back, sizeof back);
	if (hostcall(HC_mem_seal_code, CODE, PAGE, 0, 0, 0, 0))
		breach("harmless code was refused");
	g_thread = raw_new(body, NULL);
	raw_run(g_thread);
	if (g_reached)
		breach("%s by way %d returned to 64-bit code", k_calls[g_call].name, g_kind);
	refused("every 32-bit call ended in a signal");
}
