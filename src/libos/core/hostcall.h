/*
 * The libOS's side of the gate: hostcall(), and hostcall_blocking() for calls that a kick must be able to interrupt.
 *
 * hostcall_blocking() returns -EINTR at once if the thread has work pending (a signal), without a window in which a
 * kick could be lost: entry.S checks `thread->work` and calls the gate between two labels, and an upcall that
 * interrupts code between them continues at the -EINTR exit (see signal/upcall.c).
 */
#ifndef LIBOS_HOSTCALL_H
#define LIBOS_HOSTCALL_H

#include "abi/hostcall.h"
#include "abi/vcpu.h"
#include "core/types.h"

static inline long hostcall6(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
{
	long ret;
	register long r8 __asm__("r8") = a2;
	register long r9 __asm__("r9") = a3;
	register long r10 __asm__("r10") = a4;
	register long r11 __asm__("r11") = nr;
	register long r12 __asm__("r12") = a5;

	__asm__ volatile("call *%%gs:%c[gate]"
			 : "=a"(ret), "+D"(a0), "+S"(a1), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r11)
			 : [gate] "i"(VCPU_GATE), "r"(r12)
			 : "rcx", "rdx", "cc", "memory");
	return ret;
}

/* The same for up to four arguments; the monitor looks at no others. */
static inline long hostcall4(long nr, long a0, long a1, long a2, long a3)
{
	long ret;
	register long r8 __asm__("r8") = a2;
	register long r9 __asm__("r9") = a3;
	register long r11 __asm__("r11") = nr;

	__asm__ volatile("call *%%gs:%c[gate]"
			 : "=a"(ret), "+D"(a0), "+S"(a1), "+r"(r8), "+r"(r9), "+r"(r11)
			 : [gate] "i"(VCPU_GATE)
			 : "rcx", "rdx", "r10", "cc", "memory");
	return ret;
}

static inline void handle_close(long handle)
{
	if (handle >= 0)
		(void)hostcall4(HC_file_close, handle, 0, 0, 0);
}

/* In thread/entry.S; same arguments. hostcall_last jumps to the gate: for the end of a function whose caller shall get the
 * result without another return, which is mispredicted behind a visit to the host's kernel. */
long hostcall_last(long nr, long a0, long a1, long a2, long a3);
long gate_words_blocking(uint64_t nr_and_cap, uint64_t word[6]);
long hostcall_blocking6(long nr, long a0, long a1, long a2, long a3, long a4, long a5);
/* sys/trace.c: with --trace, says first that the system call is unfinished if it is going to wait. */
long hostcall_traced6(long nr, long a0, long a1, long a2, long a3, long a4, long a5);
extern bool g_tracing;

#define HC_ARG_(x) ((long)(x))
#define HC_CALL_(f, nr, a, b, c, d, e, g, ...) \
	f(nr, HC_ARG_(a), HC_ARG_(b), HC_ARG_(c), HC_ARG_(d), HC_ARG_(e), HC_ARG_(g))
/* hostcall(HC_file_read, handle, buf, size): missing arguments are 0 */
#define HC_CALL4_(f, nr, a, b, c, d, ...) hostcall4(nr, HC_ARG_(a), HC_ARG_(b), HC_ARG_(c), HC_ARG_(d))
#define HC_PICK_(nr, a, b, c, d, e, g, pick, ...) pick
#define hostcall(...)                                                                                                  \
	HC_PICK_(__VA_ARGS__, HC_CALL_, HC_CALL_, HC_CALL4_, HC_CALL4_, HC_CALL4_, HC_CALL4_, HC_CALL4_)               \
	(hostcall6, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
/* Two calls, not one through a pointer: this is the servers' hot path. */
#define hostcall_blocking(nr, ...)                                                                   \
	(unlikely(g_tracing) ? HC_CALL_(hostcall_traced6, nr, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0) :         \
			       HC_CALL_(hostcall_blocking6, nr, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0))

#endif
