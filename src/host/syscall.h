/*
 * The only way the monitor makes host system calls: raw, with the thread's cookie in r8 and r9 (mmap: in the upper
 * halves of prot, flags and fd, which the kernel ignores). seccomp.c lists which calls may carry which cookie.
 * No errno, no thread-local storage: FS belongs to the program. Results are the kernel's: >= 0 or negative errno.
 */
#ifndef HOST_SYSCALL_H
#define HOST_SYSCALL_H

#include <asm/unistd_64.h>

#include "monitor/monitor.h"

struct host_args {
	long nr, a0, a1, a2, a3;
};
long host_syscall_interruptible(struct thread *t, const struct host_args *args);

/* Up to four arguments: the full cookie. */
static inline long host4(long nr, long a0, long a1, long a2, long a3)
{
	struct thread *t = current_thread();
	long ret;
	register long r10 __asm__("r10") = a3;
	register uint64_t r8 __asm__("r8") = t->cookie[0];
	register uint64_t r9 __asm__("r9") = t->cookie[1];

	__asm__ volatile("syscall\n\txor %%r8d, %%r8d\n\txor %%r9d, %%r9d"
			 : "=a"(ret), "+r"(r8), "+r"(r9)
			 : "0"(nr), "D"(a0), "S"(a1), "d"(a2), "r"(r10)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}

/* Five arguments: half of the cookie, in r9. */
static inline long host5(long nr, long a0, long a1, long a2, long a3, long a4)
{
	struct thread *t = current_thread();
	long ret;
	register long r10 __asm__("r10") = a3;
	register uint64_t r8 __asm__("r8") = (uint64_t)a4;
	register uint64_t r9 __asm__("r9") = t->cookie[1];

	__asm__ volatile("syscall\n\txor %%r8d, %%r8d\n\txor %%r9d, %%r9d"
			 : "=a"(ret), "+r"(r8), "+r"(r9)
			 : "0"(nr), "D"(a0), "S"(a1), "d"(a2), "r"(r10)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}

static inline long host_mmap(uint64_t addr, uint64_t size, uint32_t prot, uint32_t flags, int fd, uint64_t offset)
{
	struct thread *t = current_thread();
	long ret;
	register uint64_t r10 __asm__("r10") = (t->cookie[0] & ~0xffffffffull) | flags;
	register uint64_t r8 __asm__("r8") = (t->cookie[1] << 32) | (uint32_t)fd;
	register uint64_t r9 __asm__("r9") = offset;
	uint64_t rdx = (t->cookie[0] << 32) | prot;

	__asm__ volatile("syscall\n\txor %%r8d, %%r8d\n\txor %%r10d, %%r10d"
			 : "=a"(ret), "+r"(r8), "+r"(r10), "+d"(rdx)
			 : "0"(__NR_mmap), "D"(addr), "S"(size), "r"(r9)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}

#define HOST_ARG_(x) ((long)(x))
#define HOST4_(nr, a, b, c, d, ...) host4(nr, HOST_ARG_(a), HOST_ARG_(b), HOST_ARG_(c), HOST_ARG_(d))
/* host(__NR_read, fd, buf, size): up to four arguments */
#define host(nr, ...) HOST4_(nr, ##__VA_ARGS__, 0, 0, 0, 0)
/* The same for calls that may block: -EINTR if a kick comes, before or during. */
#define HOSTB_(nr, a, b, c, d, ...)                                                                                   \
	host_syscall_interruptible(current_thread(), &(struct host_args){ nr, HOST_ARG_(a), HOST_ARG_(b),            \
									  HOST_ARG_(c), HOST_ARG_(d) })
#define host_blocking(nr, ...) HOSTB_(nr, ##__VA_ARGS__, 0, 0, 0, 0)

#endif
