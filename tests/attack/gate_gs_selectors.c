/*
 * Question: the monitor trusts GS. Can its base be changed by loading any selector there is, in 64-bit or 32-bit mode, by LGS
 * or SWAPGS, and then a hostcall, a trap or a kick be had with it (PKU Pitfalls 4.2: segments)?
 * Expect: REFUSED: GS is its own again after every trap
 * Control: none: putting GS back has no option
 * Native: gs_load in trap_entry
 */
#include "raw.h"

static struct raw_thread *g_thread;
static volatile uint32_t g_selector;
static volatile uint64_t g_wrong, g_loaded, g_faulted;
static uint64_t g_gate;
static volatile bool g_stop;

static void load_and_call(void *how)
{
	/* the gate by its address, as %gs:16 may lead nowhere now */
	if (how)
		__asm__ volatile("mov %0, %%gs\n\txor %%r11d, %%r11d\n\tsub $128, %%rsp\n\tcall *%1\n\tadd $128, %%rsp"
				 ::"r"(g_selector), "b"(g_gate)
				 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	else
		__asm__ volatile("mov %0, %%gs\n\tud2" ::"r"(g_selector));
}

static void load_and_wait(void *unused)
{
	(void)unused;
	__asm__ volatile("mov %0, %%gs" ::"r"(g_selector));
	for (volatile int i = 0; i < 20000; i++) /* kicks come here */
		;
	__asm__ volatile("ud2");
}

static void swaps(void *unused)
{
	(void)unused;
	__asm__ volatile("swapgs");
}

static void lgs(void *unused)
{
	static const struct __attribute__((packed)) {
		uint64_t offset;
		uint16_t selector;
	} pointer = { 0x1234, 0x2b };

	(void)unused;
	__asm__ volatile(".byte 0x48, 0x0f, 0xb5, 0x00\n\tud2" ::"a"(&pointer) : "memory"); /* lgs (%rax), %rax */
}

static void right(void)
{
	const struct vcpu_page *page = vcpu();

	if (page->self != (uint64_t)page || page->gate != g_gate || hostcall(HC_null, 0, 0, 0, 0, 0, 0))
		g_wrong++;
}

static void body(void *unused)
{
	(void)unused;
	for (g_selector = 0; g_selector < 0x10000 && !g_wrong; g_selector += g_selector < 0x200 ? 1 : 0x3f9) {
		for (uint64_t how = 0; how < 2; how++) {
			if (raw_try(g_thread, load_and_call, (void *)how))
				g_thread->last.signal == SIGILL ? g_loaded++ : g_faulted++;
			else
				g_loaded++; /* the processor kept the base: the hostcall was an ordinary one */
			right();
		}
		if (g_selector < 0x30) {
			raw_try(g_thread, load_and_wait, NULL);
			right();
		}
	}
	if (!raw_try(g_thread, swaps, NULL))
		g_wrong++;
	right();
	raw_try(g_thread, lgs, NULL);
	right();
	g_stop = true;
}

static void attack(void)
{
	g_gate = vcpu()->gate;
	g_thread = raw_new(body, NULL);
	uint64_t id = (uint64_t)raw_start(g_thread);
	while (!g_stop && !g_thread->done) {
		hostcall(HC_thread_kick, id, 0, 0, 0, 0, 0);
		usleep(100);
	}
	raw_wait(g_thread);
	if (g_wrong)
		breach("after selector %#x the vCPU page or the gate is another", g_selector);
	if (!g_loaded || !g_faulted)
		breach("%lu selectors were loaded, %lu not: the attack shows nothing", g_loaded, g_faulted);
	refused("GS is its own again after every trap");
}
