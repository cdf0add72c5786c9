/*
 * Host system calls with the calling thread's cookie, each form written once (see syscall.h). The cookie is in the
 * argument registers only between its load and the instruction behind `syscall`. cVM code that jumps into these
 * functions faults at the load: the cookie lies in key-0 memory.
 */
#include "host/syscall.h"

#include "abi/vcpu.h"
#include "monitor/x86_64/offsets.h"

static inline uint64_t cookie(unsigned offset)
{
	uint64_t thread;

	__asm__("mov %%gs:%c1, %0" : "=r"(thread) : "i"(VCPU_MONITOR_THREAD));
	return *(const uint64_t *)(thread + offset);
}

long host4(long nr, long a0, long a1, long a2, long a3)
{
	long ret;
	register long r10 __asm__("r10") = a3;
	register uint64_t r8 __asm__("r8") = cookie(THREAD_COOKIE0);
	register uint64_t r9 __asm__("r9") = cookie(THREAD_COOKIE1);

	__asm__ volatile("syscall\n\txor %%r8d, %%r8d\n\txor %%r9d, %%r9d"
			 : "=a"(ret), "+r"(r8), "+r"(r9)
			 : "0"(nr), "D"(a0), "S"(a1), "d"(a2), "r"(r10)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}

long host5(long nr, long a0, long a1, long a2, long a3, long a4)
{
	long ret;
	register long r10 __asm__("r10") = a3;
	register uint64_t r8 __asm__("r8") = (uint64_t)a4;
	register uint64_t r9 __asm__("r9") = cookie(THREAD_COOKIE1);

	__asm__ volatile("syscall\n\txor %%r8d, %%r8d\n\txor %%r9d, %%r9d"
			 : "=a"(ret), "+r"(r8), "+r"(r9)
			 : "0"(nr), "D"(a0), "S"(a1), "d"(a2), "r"(r10)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}

long host_mmap(uint64_t addr, uint64_t size, uint32_t prot, uint32_t flags, int fd, uint64_t offset)
{
	uint64_t c0 = cookie(THREAD_COOKIE0), c1 = cookie(THREAD_COOKIE1), rdx = (c0 << 32) | prot;
	long ret;
	register uint64_t r10 __asm__("r10") = (c0 & ~0xffffffffull) | flags;
	register uint64_t r8 __asm__("r8") = (c1 << 32) | (uint32_t)fd;
	register uint64_t r9 __asm__("r9") = offset;

	__asm__ volatile("syscall\n\txor %%r8d, %%r8d\n\txor %%r10d, %%r10d\n\txor %%edx, %%edx"
			 : "=a"(ret), "+r"(r8), "+r"(r10), "+d"(rdx)
			 : "0"(__NR_mmap), "D"(addr), "S"(size), "r"(r9)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}
