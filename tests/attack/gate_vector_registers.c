/*
 * Question: do vector, mask and x87 registers hold anything that is not the cVM's own after each kind of crossing: a hostcall,
 * one that scans (the monitor's only use of vectors), a trapped system call, a fault, a kick, the start of a thread?
 * Expect: REFUSED: registers of every class are the cVM's own
 * Control: none: keeping registers has no option
 * Native: general registers only
 */
#include <cpuid.h>

#include "raw.h"

static uint8_t g_before[8192] __attribute__((aligned(64))), g_after[8192] __attribute__((aligned(64))), g_pattern[8192] __attribute__((aligned(64)));
static uint64_t g_mask;
static volatile int g_differs = -1;
static struct raw_thread *g_thread;
static void *g_syscall;
static uint64_t g_page;
static volatile bool g_restored;

/* memcmp without libc's vectors: legacy area but its reserved end, header, then the components. */
__attribute__((target("general-regs-only"))) static int difference(const uint8_t *a, const uint8_t *b)
{
	for (int i = 0; i < 416; i++)
		if (a[i] != b[i] && !(i >= 4 && i < 24)) /* not tag, opcode and pointers of x87: no instruction ran, but they may be cut */
			return i;
	for (int i = 576; i < (int)sizeof g_before; i++)
		if (a[i] != b[i])
			return i;
	return -1;
}

#define XSAVE(area) __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"((uint32_t)g_mask), "d"((uint32_t)(g_mask >> 32)) : "memory")

/* The pattern through XRSTOR is not to be had in a cVM but by the monitor's gate, which is one more crossing. */
__attribute__((target("general-regs-only"))) static void load_pattern(void)
{
	__asm__ volatile("sub $128, %%rsp\n\tcall *%%gs:24\n\tadd $128, %%rsp" ::"D"(g_pattern), "a"((uint32_t)g_mask), "d"((uint32_t)(g_mask >> 32)) : "memory", "cc");
}

__attribute__((target("general-regs-only"))) static void crossing(void *argument)
{
	switch ((uint64_t)argument) {
	case 0: hostcall(HC_null, 0, 0, 0, 0, 0, 0); break;
	case 1: hostcall(HC_mem_seal_code, g_page, 4 * PAGE, 0, 0, 0, 0); break;
	case 2: hostcall(HC_random, g_page + 8 * PAGE, PAGE, 0, 0, 0, 0); break;
	case 3: hostcall(HC_cvm_info, 8, 0, 0, 0, 0, 0); break;
	case 4: __asm__ volatile("ud2"); break;
	case 5: *(volatile uint8_t *)8 = 1; break;
	case 6: __asm__ volatile("mov $39, %%eax\n\tcall *%0" ::"b"(g_syscall) : "rax", "rcx", "r11", "memory"); break;
	case 7: hostcall(HC_thread_kick, vcpu()->id, 0, 0, 0, 0, 0); break;
	case 8: hostcall((enum hostcall)100000, 0, 0, 0, 0, 0, 0); break;
	case 9: hostcall(HC_call_serve, 0, 0, 0, 0, 0, 0); break;
	case 10: hostcall(HC_call_invoke, 0, 0, 0, 0, 0, 0); break;
	}
}

static volatile uint64_t g_which;

__attribute__((target("general-regs-only"))) static void crosses(void *unused)
{
	(void)unused;
	for (g_which = 0; g_which < 11; g_which++) {
		load_pattern();
		XSAVE(g_before);
		raw_try(g_thread, crossing, (void *)g_which);
		XSAVE(g_after);
		g_differs = difference(g_before, g_after);
		if (g_differs >= 0)
			return;
	}
}

/* A new thread's registers: the creator's or the initial ones, nothing third. */
__attribute__((target("general-regs-only"))) static void starts(void *unused)
{
	(void)unused;
	XSAVE(g_after);
}

__attribute__((target("general-regs-only"))) static bool own_bytes(int from, int to)
{
	for (int i = from; i < to; i++)
		if (g_after[i] && g_after[i] != g_pattern[i])
			return false;
	return true;
}

static void attack(void)
{
	static const uint8_t code[] = { 0x0f, 0x05, 0xc3 };
	unsigned a, b, c, d;

	__cpuid_count(0xd, 0, a, b, c, d);
	g_mask = a & 0xe7; /* x87, SSE, AVX, AVX-512's masks and registers */
	g_syscall = make_code(code, sizeof code);
	g_page = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30);
	hostcall(HC_mem_commit, g_page, 16 * PAGE, PROT_READ | PROT_WRITE, 0, 0, 0);
	memset((void *)g_page, 0x0f, 4 * PAGE); /* the scanner's candidates all along */
	/* a pattern in everything; exponents of x87 registers valid, control words the usual */
	for (int i = 0; i < (int)sizeof g_pattern; i++)
		g_pattern[i] = (uint8_t)(i * 7 + 1) | 1;
	memset(g_pattern + 512, 0, 64);
	*(uint64_t *)(g_pattern + 512) = g_mask;
	*(uint16_t *)g_pattern = 0x37f;
	memset(g_pattern + 2, 0, 22);
	*(uint32_t *)(g_pattern + 24) = 0x1f80;
	*(uint32_t *)(g_pattern + 28) = 0;
	g_thread = raw_new(crosses, NULL);
	raw_run(g_thread);
	if (g_differs >= 0)
		breach("crossing %lu changed byte %d of the state: %#x is %#x", g_which, g_differs, g_before[g_differs], g_after[g_differs]);
	struct raw_thread *created = raw_new(starts, NULL);
	load_pattern();
	raw_start(created);
	raw_wait(created);
	if (!own_bytes(32, 416) || !own_bytes(576, sizeof g_after))
		breach("a new thread's registers are neither its creator's nor initial");
	refused("registers of every class are the cVM's own");
}
