/*
 * Question: what if the stack pointer is nowhere, when a trap or a kick comes: zero, not canonical, the kernel's half,
 * the last byte of the slot, read-only code, an address that is not aligned?
 * Expect: REFUSED: every trap was delivered with the stack pointer as it was
 * Control: none: the monitor's stacks have no option
 * Native: the alternate stack
 */
#include "raw.h"

static struct raw_thread *g_thread;
static uint64_t g_place;
static volatile bool g_stop;
static volatile uint64_t g_wrong;
static volatile int g_kind;

static void enter(void *unused)
{
	(void)unused;
	switch (g_kind) {
	case 0: __asm__ volatile("mov %0, %%rsp\n\tud2" ::"r"(g_place)); break;
	case 1: __asm__ volatile("mov %0, %%rsp\n\tpush %%rax" ::"r"(g_place)); break;
	case 2: __asm__ volatile("mov %0, %%rsp\n\tmov $39, %%eax\n\tint3" ::"r"(g_place) : "rax"); break;
	default: /* a kick has time to come */
		__asm__ volatile("mov %0, %%rsp\n\tmov $3000, %%ecx\n1:\tdec %%ecx\n\tjnz 1b\n\tud2" ::"r"(g_place) : "rcx");
	}
	__builtin_unreachable();
}

static void body(void *unused)
{
	uint64_t base = (uint64_t)&g_victim & SLOT_MASK;
	const uint64_t places[] = { 0, 8, 1, 0x7fffffffffff, 0x800000000000, 0xffff800000000000, ~0ull, ~7ull, base, base + SLOT_SIZE, base + SLOT_SIZE - 1,
				    base + 8, (uint64_t)body, (uint64_t)body + 3, 0xffffffffff600000, 0x7fffffffe000, 0x1000 };

	(void)unused;
	for (int turn = 0; turn < 20; turn++)
		for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
			for (g_kind = 0; g_kind < 4; g_kind++) {
				g_place = places[i];
				if (!raw_try(g_thread, enter, NULL) || g_thread->last.rsp != g_place)
					g_wrong++;
				if (hostcall(HC_null, 0, 0, 0, 0, 0, 0))
					g_wrong++;
			}
	g_stop = true;
}

/* A kick that interrupts without a usable stack: its frame is checked, but only the thread's own code can go on from there. */
static void on_kick(struct raw_thread *t)
{
	uint64_t rsp = t->frame.rsp;

	if (rsp > (uint64_t)t && rsp < (uint64_t)t + sizeof *t)
		return;
	/* as if the trap that is to end this try had come */
	t->last = t->frame;
	t->trapped = true;
	t->armed = false;
	__builtin_longjmp(t->resume, 1);
}

static void attack(void)
{
	g_thread = raw_new(body, NULL);
	g_thread->on_kick = on_kick;
	uint64_t id = (uint64_t)raw_start(g_thread);
	while (!g_stop && !g_thread->done) {
		hostcall(HC_thread_kick, id, 0, 0, 0, 0, 0);
		usleep(50);
	}
	raw_wait(g_thread);
	if (g_wrong)
		breach("%lu traps were lost or showed another stack pointer", g_wrong);
	refused("every trap was delivered with the stack pointer as it was");
}
