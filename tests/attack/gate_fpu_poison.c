/*
 * Question: does the floating point state that a cVM leaves (all exceptions unmasked and pending, a full x87 stack, odd rounding,
 * MMX mode, dirty upper halves) confuse the monitor behind the gate, its scanner, or another cVM?
 * Expect: REFUSED: the monitor computes the same, and leaves the state alone
 * Control: none: the monitor uses none of it
 * Native: general registers only
 */
#include "attack.h"

static uint8_t g_page_bytes[4096];

static void poison(int how)
{
	static const uint16_t control[] = { 0x0000, 0x0f7f, 0x0c00, 0x0300 };
	static const uint32_t mxcsr[] = { 0x0000 | 0x3f, 0xffbf & 0xffff, 0x6000 | 0x3f, 0x8040 };
	uint32_t m = mxcsr[how] & 0xffff;

	__asm__ volatile("fninit\n\tfldz\n\tfld1\n\tfldpi\n\tfldl2e\n\tfldz\n\tfld1\n\tfldpi\n\tfldl2e\n\tfldcw %0" ::"m"(control[how]));
	if (how == 3)
		__asm__ volatile("pcmpeqb %%mm0, %%mm0\n\tpcmpeqb %%mm7, %%mm7" ::: "memory");
	__asm__ volatile("ldmxcsr %0\n\tpcmpeqb %%xmm0, %%xmm0\n\tpcmpeqb %%xmm15, %%xmm15" ::"m"(m) : "xmm0", "xmm15", "memory");
}

static void state(uint16_t *control, uint32_t *mxcsr)
{
	__asm__ volatile("fnstcw %0\n\tstmxcsr %1" : "=m"(*control), "=m"(*mxcsr));
}

static void clean(void)
{
	static const uint32_t m = 0x1f80;

	__asm__ volatile("fninit\n\temms\n\tldmxcsr %0" ::"m"(m));
}

/* A pending x87 exception is raised by the next waiting instruction: none may be the monitor's. */
static void pending(void)
{
	static const uint16_t all = 0x0340;

	__asm__ volatile("fninit\n\tfldcw %0\n\tfldz\n\tfld1\n\tfdivp" ::"m"(all));
}

static long seal(uint64_t page, bool evil)
{
	static const uint8_t inverse[] = { 0xf0, 0xfe, 0x10 };

	hostcall(HC_mem_commit, page, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0);
	for (size_t i = 0; i < PAGE; i++)
		((volatile uint8_t *)page)[i] = 0x90;
	for (int i = 0; evil && i < 3; i++)
		((volatile uint8_t *)page)[1000 + i] = (uint8_t)~inverse[i];
	return hostcall(HC_mem_seal_code, page, PAGE, 0, 0, 0, 0);
}

static void attack(void)
{
	uint64_t page = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30);
	static struct hc_info info;
	uint16_t control[2];
	uint32_t mxcsr[2];
	long results[6];

	for (int how = 0; how < 5; how++) {
		how == 4 ? pending() : poison(how);
		state(&control[0], &mxcsr[0]);
		info.host_cpus = 0;
		results[0] = hostcall(HC_cvm_info, (uint64_t)&info, 0, 0, 0, 0, 0);
		results[1] = seal(page, false);
		results[2] = seal(page, true);
		results[3] = hostcall(HC_random, (uint64_t)g_page_bytes, 4096, 0, 0, 0, 0);
		results[4] = hostcall(HC_file_write, BOOT_HANDLE_LOG, (uint64_t) "tpoisoned", 9, 0, 0, 0);
		results[5] = hostcall(HC_thread_yield, 0, 0, 0, 0, 0, 0);
		state(&control[1], &mxcsr[1]);
		clean();
		if (results[0] || !info.host_cpus || results[1] || results[2] != -EPERM || results[3] != 4096 || results[4] != 9 || results[5])
			breach("state %d: %ld %ld %ld %ld %ld %ld", how, results[0], results[1], results[2], results[3], results[4], results[5]);
		if (control[0] != control[1] || mxcsr[0] != mxcsr[1])
			breach("state %d: control word %#x became %#x, MXCSR %#x became %#x", how, control[0], control[1], mxcsr[0], mxcsr[1]);
	}
	refused("the monitor computes the same, and leaves the state alone");
}
