/*
 * Question: can thread_create start a thread with the monitor's rights, by an entry inside the gates, a stack or upcall
 * frame in foreign memory, or an FS base of the kernel's half?
 * Expect: REFUSED: foreign FS bases are errors, odd entries fault, a foreign frame is not written|killed
 * Control: none: the rights come from the vCPU page, with every option
 */
#include "attack.h"

static uint8_t g_stack[65536] __attribute__((aligned(64))), g_upcall_stack[65536] __attribute__((aligned(64)));
static struct upcall_frame g_frame __attribute__((aligned(64)));
static volatile int g_upcall, g_read;

static void end_thread(void)
{
	hostcall(HC_thread_exit, 0, 0, 0, 0, 0, 0);
}

static void upcall(void)
{
	g_upcall++;
	end_thread();
}

static long start(struct hc_thread t)
{
	static struct hc_thread thread;

	thread = t;
	return hostcall(HC_thread_create, (uint64_t)&thread, 0, 0, 0, 0, 0);
}

static void attack(void)
{
	struct hc_thread good = { .entry = (uint64_t)end_thread, .stack = (uint64_t)g_stack + sizeof g_stack - 8,
				  .upcall_entry = (uint64_t)upcall, .upcall_stack = (uint64_t)g_upcall_stack + sizeof g_upcall_stack - 8,
				  .upcall_frame = (uint64_t)&g_frame, .syscall_entry = vcpu()->syscall_entry };
	struct hc_thread bad;

	if (start(good) < 0)
		breach("thread_create does not work");
	bad = good, bad.fs_base = 0xffff888000000000ull;
	if (start(bad) >= 0)
		breach("an FS base of the kernel's half was accepted");
	bad = good, bad.fs_base = 1ull << 47;
	if (start(bad) >= 0)
		breach("an FS base that is not canonical was accepted");
	static const char *const entries[] = { "gate_commit", "gate_leave", "trap_entry", "gs_load", "user_copy", "thread_clone" };
	for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
		int before = g_upcall;
		bad = good, bad.entry = monitor_symbol(entries[i]), bad.stack = (uint64_t)g_stack + 4096;
		bad.libos_thread = (uint64_t)g_stack + 8192;
		if (start(bad) < 0)
			continue;
		for (int wait = 0; g_upcall == before && wait < 500; wait++)
			usleep(2000);
		if (g_upcall == before && i < 4)
			breach("a thread that started at %s did not fault", entries[i]);
	}
	/* last, as the monitor may end the cVM when it finds the frame unusable */
	bad = good, bad.entry = 16, bad.upcall_frame = g_victim.pattern;
	if (start(bad) >= 0)
		usleep(300000);
	refused("foreign FS bases are errors, odd entries fault, a foreign frame is not written");
}
