/*
 * Question: does SYSENTER, the 32-bit way into the kernel that 64-bit code may execute on some processors, reach the host or
 * leave the thread where no filter and no gate expects it?
 * Expect: REFUSED: a fault of one's own, three hundred times
 * Control: none: processors that do not know it in 64-bit mode have nothing to show
 * Native: the filter and the processor
 */
#include "raw.h"

static struct raw_thread *g_thread;
static void *g_code;
static int g_reached, g_trapped;

static void enter(void *argument)
{
	uint64_t stack = (uint64_t)argument;

	/* the kernel takes the stack pointer's lower half, the number from eax, arguments from ebp's stack */
	__asm__ volatile("push %%rbp\n\tmov %0, %%rbp\n\tcall *%1\n\tpop %%rbp" ::"c"(stack), "b"(g_code), "a"(20L /* getpid */)
			 : "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
}

static void body(void *unused)
{
	static const uint64_t stacks[] = { 0, 0x20000, ~0ull };

	(void)unused;
	for (int i = 0; i < 300; i++)
		if (raw_try(g_thread, enter, (void *)stacks[i % 3]) && g_thread->last.trap != HC_TRAP_KICK)
			g_trapped++;
		else
			g_reached++;
}

static void attack(void)
{
	static const uint8_t code[] = { 0x0f, 0x34, 0xc3 };

	g_code = make_code(code, sizeof code);
	if (!g_code)
		breach("own code: %s", strerror(errno));
	g_thread = raw_new(body, NULL);
	raw_run(g_thread);
	if (g_reached || g_trapped != 300)
		breach("%d of 300 came back", g_reached);
	refused("a fault of one's own, three hundred times");
}
