/*
 * The only way the monitor makes host system calls: raw, with the thread's cookie in r8 and r9 (mmap: in the upper
 * halves of prot, flags and fd, which the kernel ignores). monitor/seccomp.c lists which calls may carry which cookie.
 * No errno, no thread-local storage: FS belongs to the program. Results are the kernel's: >= 0 or negative errno.
 */
#ifndef HOST_SYSCALL_H
#define HOST_SYSCALL_H

#include <asm/unistd_64.h>

#include "base/bits.h"

#ifndef __NR_fchmodat2 /* newer than Debian 12's headers */
#define __NR_fchmodat2 452
#endif

struct thread;

/* Up to four arguments: the full cookie. Five: half of it, in r9. */
long host4(long nr, long a0, long a1, long a2, long a3);
long host5(long nr, long a0, long a1, long a2, long a3, long a4);
long host_mmap(uint64_t addr, uint64_t size, uint32_t prot, uint32_t flags, int fd, uint64_t offset);

/* In gate.S. -EINTR if a kick comes before or during the call. */
long host_syscall_interruptible(long nr, long a0, long a1, long a2, long a3);

#define HOST_ARG_(x) ((long)(x))
#define HOST4_(nr, a, b, c, d, ...) host4(nr, HOST_ARG_(a), HOST_ARG_(b), HOST_ARG_(c), HOST_ARG_(d))
/* host(__NR_read, fd, buf, size): missing arguments are 0 */
#define host(nr, ...) HOST4_(nr, ##__VA_ARGS__, 0, 0, 0, 0)
/* The same for calls that may block and shall end when the thread is kicked. */
#define HOSTB_(nr, a, b, c, d, ...)                                                                                   \
	host_syscall_interruptible(nr, HOST_ARG_(a), HOST_ARG_(b), HOST_ARG_(c), HOST_ARG_(d))
#define host_blocking(nr, ...) HOSTB_(nr, ##__VA_ARGS__, 0, 0, 0, 0)

#endif
