/*
 * Question: can a forged signal frame with PKRU = 0 in it, and rt_sigreturn, open all memory?
 * Expect: REFUSED: the rights are those of the cVM
 * Control: --insecure-no-cookie
 */
#include <cpuid.h>
#include <sys/syscall.h>

#include "attack.h"

struct frame {
	uint64_t return_address;
	ucontext_t uc;
} __attribute__((aligned(64)));

static uint8_t g_area[16384] __attribute__((aligned(64)));
static uint8_t g_stack[65536] __attribute__((aligned(64)));
static struct frame g_frame;

static void arrived(void)
{
	if (guarded(load_byte, (void *)g_victim.pattern).signal)
		refused("the rights are those of the cVM");
	breach("came back from a forged frame and read the victim");
}

static void attack(void)
{
	unsigned a, b, c, d, offset = 0;
	__cpuid_count(0xd, 9, a, offset, c, d);
	__cpuid_count(0xd, 0, a, b, c, d);
	uint64_t mask = a & 0x2e7;

	__asm__ volatile("xsave (%0)" ::"r"(g_area), "a"(mask), "d"(0) : "memory");
	/* struct _fpx_sw_bytes in the reserved end of the FXSAVE area; magic 2 behind the whole */
	uint32_t *sw = (uint32_t *)(g_area + 464);
	sw[0] = 0x46505853, sw[1] = b + 4, *(uint64_t *)(sw + 2) = mask, sw[4] = b;
	*(uint32_t *)(g_area + b) = 0x46505845;
	*(uint64_t *)(g_area + 512) |= 0x200;
	*(uint32_t *)(g_area + offset) = 0;

	getcontext(&g_frame.uc);
	g_frame.uc.uc_flags = 1 | 2 | 4;
	g_frame.uc.uc_mcontext.fpregs = (void *)g_area;
	g_frame.uc.uc_mcontext.gregs[REG_RIP] = (greg_t)arrived;
	g_frame.uc.uc_mcontext.gregs[REG_RSP] = (greg_t)(g_stack + sizeof g_stack - 4096 - 8);
	g_frame.uc.uc_mcontext.gregs[REG_EFL] = 0x202;
	g_frame.uc.uc_mcontext.gregs[REG_CSGSFS] = 0x33 | 0x2bll << 48;
	static const uint8_t code[] = { 0x0f, 0x05, 0xc3 };
	void *instruction = make_code(code, sizeof code);
	__asm__ volatile("mov %0, %%rsp\n\tmov %2, %%eax\n\tjmp *%1" ::"r"(&g_frame.uc), "r"(instruction), "i"(SYS_rt_sigreturn) : "rax");
	__builtin_unreachable();
}
