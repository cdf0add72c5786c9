/*
 * Question: a kick can come at any instruction of the gates, also where registers still hold the monitor's values while the
 * thread counts as back in its cVM. Does an upcall frame show any of them, or a new thread's first frame?
 * Expect: REFUSED: a thousand upcalls showed only the cVM's own registers
 * Control: none: clearing registers has no option
 * Native: leave_gate_window
 */
#include "raw.h"

static volatile bool g_stop;
static volatile uint32_t g_bad;
static volatile uint64_t g_bad_value;
static volatile int g_bad_register;
static volatile uint64_t g_at_return, g_elsewhere;
extern char call_returns[] __asm__("call_returns");

/* All registers are known around this call. */
static void calls(void *unused)
{
	(void)unused;
	while (!g_stop)
		__asm__ volatile("push %%rbx\n\tpush %%rbp\n\tmov $0x1001, %%ebx\n\tmov $0x1002, %%ebp\n\tmov $0x1003, %%r12d\n\t"
				 "mov $0x1004, %%r13d\n\tmov $0x1005, %%r14d\n\tmov $0x1006, %%r15d\n\txor %%r11d, %%r11d\n\txor %%edi, %%edi\n\t"
				 "xor %%esi, %%esi\n\txor %%r8d, %%r8d\n\txor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\tcall *%%gs:16\n"
				 "call_returns:\n\tpop %%rbp\n\tpop %%rbx"
				 ::: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

static void look(struct raw_thread *t)
{
	const struct upcall_frame *f = &t->frame;
	const uint64_t all[] = { f->r15, f->r14, f->r13, f->r12, f->rbp, f->rbx, f->r11, f->r10, f->r9, f->r8, f->rax, f->rcx, f->rdx, f->rsi, f->rdi };

	if (f->rip != (uint64_t)call_returns) {
		g_elsewhere++;
		return;
	}
	g_at_return++;
	for (int i = 6; i < 15; i++)
		if (all[i] > 0xffff && !(i == 10 && all[i] > ~4095ull)) {
			g_bad++;
			g_bad_register = i;
			g_bad_value = all[i];
		}
	static const uint64_t kept[] = { 0x1006, 0x1005, 0x1004, 0x1003, 0x1002, 0x1001 };
	for (int i = 0; i < 6; i++)
		if (all[i] != kept[i]) {
			g_bad++;
			g_bad_register = i;
			g_bad_value = all[i];
		}
}

/* The first kick of a new thread may come before its first instruction. */
static void look_at_start(struct raw_thread *t)
{
	const struct upcall_frame *f = &t->frame;
	const uint64_t all[] = { f->r15, f->r14, f->r13, f->r12, f->rbp, f->rbx, f->r11, f->r10, f->r9, f->r8, f->rax, f->rcx, f->rdx, f->rsi };

	if (f->rip != t->start.entry)
		return;
	g_at_return++;
	for (int i = 0; i < 14; i++)
		if (all[i]) {
			g_bad++;
			g_bad_register = 100 + i;
			g_bad_value = all[i];
		}
}

static void nothing(void *unused)
{
	(void)unused;
}

static void attack(void)
{
	struct raw_thread *t = raw_new(calls, NULL);

	t->on_kick = look;
	uint64_t id = (uint64_t)raw_start(t);
	for (int i = 0; i < 1000 && !g_bad; i++) { /* the next one when the last was taken, at ever another distance */
		uint32_t before = t->kicks;
		hostcall(HC_thread_kick, id, 0, 0, 0, 0, 0);
		while (t->kicks == before)
			hostcall(HC_thread_yield, 0, 0, 0, 0, 0, 0);
		for (volatile int wait = i % 97; wait > 0; wait--)
			;
	}
	g_stop = true;
	raw_wait(t);
	if (g_bad)
		breach("register %d of an upcall frame was %#lx", g_bad_register, g_bad_value);
	if (g_at_return < 100)
		breach("only %lu of %lu upcalls came at the gate", g_at_return, g_at_return + g_elsewhere);
	for (int i = 0; i < 300 && !g_bad; i++) {
		t = raw_new(nothing, NULL);
		t->on_kick = look_at_start;
		id = (uint64_t)raw_start(t);
		for (int k = 0; k < 4; k++)
			hostcall(HC_thread_kick, id, 0, 0, 0, 0, 0);
		raw_wait(t);
		munmap(t, sizeof *t);
	}
	if (g_bad)
		breach("register %d of a new thread's frame was %#lx", g_bad_register, g_bad_value);
	refused("a thousand upcalls showed only the cVM's own registers");
}
