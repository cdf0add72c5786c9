/*
 * Question: does a storm of kicks, faults and trapped system calls, on threads that are inside gates, copies, blocking and
 * allocating hostcalls, ever lose an upcall, leave rights open, or end the monitor?
 * Expect: REFUSED: every hostcall came back right and all rights are closed
 * Control: none: the windows of the gates have no option
 * Native: the labels of the gates; keys are tried by gate_jump_everywhere.c
 */
#include "raw.h"

#define THREADS 4

static volatile bool g_stop;
static struct raw_thread *g_thread[THREADS];
static volatile uint64_t g_wrong, g_calls, g_traps;
static uint64_t g_eventfd;
static uint32_t g_never;

static void own_call(void *code)
{
	__asm__ volatile("mov $39, %%eax\n\tsub $128, %%rsp\n\tcall *%0\n\tadd $128, %%rsp" ::"b"(code) : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
}

static void fault(void *unused)
{
	(void)unused;
	*(volatile uint8_t *)8 = 1;
}

static void *g_syscall;

static void right(bool condition)
{
	g_calls++;
	if (!condition)
		g_wrong++;
}

static void works(void *argument)
{
	struct raw_thread *t = g_thread[(uint64_t)argument];
	struct hc_info info;
	uint8_t bytes[128];
	int64_t now[2];

	while (!g_stop) {
		right(hostcall(HC_null, 0, 0, 0, 0, 0, 0) == 0);
		info.host_cpus = 0;
		right(hostcall(HC_cvm_info, (uint64_t)&info, 0, 0, 0, 0, 0) == 0 && info.host_cpus);
		right(hostcall(HC_cvm_info, 8, 0, 0, 0, 0, 0) == -EFAULT);
		right(hostcall(HC_random, (uint64_t)bytes, sizeof bytes, 0, 0, 0, 0) == sizeof bytes);
		long slept = hostcall(HC_futex_wait, (uint64_t)&g_never, 0, 20000, 0, 0, 0);
		right(slept == -ETIMEDOUT || slept == -EINTR);
		uint64_t one = 1;
		long n = hostcall(HC_file_write, g_eventfd, (uint64_t)&one, sizeof one, 0, 0, 0);
		right(n == sizeof one || n == -EAGAIN || n == -EINTR);
		n = hostcall(HC_file_read, g_eventfd, (uint64_t)bytes, 16, 0, 0, 0);
		right(n == sizeof one || n == -EAGAIN || n == -EINTR);
		long handle = hostcall(HC_eventfd_create, 0, 0, 0, 0, 0, 0);
		right(handle >= 0 && hostcall(HC_file_close, (uint64_t)handle, 0, 0, 0, 0, 0) == 0);
		right(hostcall(HC_thread_cputime, 0, (uint64_t)now, 0, 0, 0, 0) == 0);
		right(raw_try(t, fault, NULL) && t->last.signal == SIGSEGV && t->last.address == 8);
		right(raw_try(t, own_call, g_syscall) && t->last.trap == HC_TRAP_SYSCALL && t->last.rax == 39);
		g_traps += 2;
	}
}

static void attack(void)
{
	static const uint8_t code[] = { 0x0f, 0x05, 0xc3 };
	uint64_t id[THREADS];

	g_syscall = make_code(code, sizeof code);
	long eventfd = hostcall(HC_eventfd_create, 0, O_NONBLOCK, 0, 0, 0, 0);
	if (!g_syscall || eventfd < 0)
		breach("cannot prepare");
	g_eventfd = (uint64_t)eventfd;
	for (uint64_t i = 0; i < THREADS; i++)
		g_thread[i] = raw_new(works, (void *)i);
	for (int i = 0; i < THREADS; i++)
		id[i] = (uint64_t)raw_start(g_thread[i]);
	for (int i = 0; i < 100000 || !g_traps || !g_thread[0]->kicks; i++)
		hostcall(HC_thread_kick, id[i % THREADS], 0, 0, 0, 0, 0);
	g_stop = true;
	uint64_t kicks = 0;
	for (int i = 0; i < THREADS; i++) {
		raw_wait(g_thread[i]);
		kicks += g_thread[i]->kicks;
	}
	if (g_wrong)
		breach("%lu of %lu hostcalls gave something wrong", g_wrong, g_calls);
	if (!kicks || !g_traps)
		breach("%lu kicks, %lu traps: no storm", kicks, g_traps);
	if (vcpu()->pkru && (!guarded(load_byte, (void *)g_victim.pattern).signal || !guarded(load_byte, (void *)vcpu()->monitor_thread).signal))
		breach("rights are open");
	refused("every hostcall came back right and all rights are closed");
}
