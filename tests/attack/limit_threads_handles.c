/*
 * Question: can a cVM make more threads, handles or timers than its limits, or use the process's last descriptor?
 * Expect: REFUSED: stopped at the limits
 * Control: --insecure-no-limits
 * Native: the limits
 * Options: threads=16 handles=128
 */
#include "attack.h"

static uint8_t g_stack[64][4096] __attribute__((aligned(4096)));
static struct upcall_frame g_frame[64] __attribute__((aligned(64)));
static volatile uint32_t g_never;

static void sleeper(void)
{
	for (;;)
		hostcall(HC_futex_wait, (uint64_t)&g_never, 0, ~0ull, 0, 0, 0);
}

static void attack(void)
{
	int handles = 0, threads = 0;

	while (handles < 1000 && hostcall(HC_eventfd_create, 0, 0, 0, 0, 0, 0) >= 0)
		handles++;
	for (; threads < 64; threads++) {
		struct hc_thread t = { .entry = (uint64_t)sleeper, .stack = (uint64_t)g_stack[threads] + 2040, .upcall_entry = (uint64_t)sleeper,
				       .upcall_stack = (uint64_t)g_stack[threads] + 4088, .upcall_frame = (uint64_t)&g_frame[threads] };
		if (hostcall(HC_thread_create, (uint64_t)&t, 0, 0, 0, 0, 0) < 0)
			break;
	}
	if (handles >= 128 || threads >= 16)
		breach("made %d handles and %d threads", handles, threads);
	refused("stopped at the limits");
}
