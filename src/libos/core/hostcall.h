/*
 * The libOS's side of the gate: hostcall(), and hostcall_blocking() for calls that a kick must be able to interrupt.
 *
 * hostcall_blocking() returns -EINTR at once if the thread has work pending (a signal), without a window in which a
 * kick could be lost: entry.S checks `thread->work` and calls the gate between two labels, and an upcall that
 * interrupts code between them continues at the -EINTR exit (see signal/upcall.c).
 */
#ifndef LIBOS_HOSTCALL_H
#define LIBOS_HOSTCALL_H

#include "abi/gate.h"
#include "abi/hostcall.h"
#include "core/types.h"

/* hostcall(HC_file_read, handle, buf, size): missing arguments are 0 */
#define hostcall(...) GATE_CALL(gate, __VA_ARGS__)

static inline void handle_close(long handle)
{
	if (handle >= 0)
		(void)hostcall(HC_file_close, handle);
}

/* In thread/entry.S; same arguments. hostcall_last jumps to the gate: for the end of a function whose caller shall get the
 * result without another return, which is mispredicted behind a visit to the host's kernel. */
long hostcall_last(long nr, long a0, long a1, long a2, long a3);
long gate_words_blocking(uint64_t nr_and_cap, uint64_t word[6]);
long hostcall_blocking6(long nr, long a0, long a1, long a2, long a3, long a4, long a5);
/* sys/trace.c: with --trace, says first that the system call is unfinished if it is going to wait. */
long hostcall_traced6(long nr, long a0, long a1, long a2, long a3, long a4, long a5);
extern bool g_tracing;

/* Two calls, not one through a pointer: this is the servers' hot path. */
#define hostcall_blocking(nr, ...)                                                                   \
	(unlikely(g_tracing) ? GATE_CALL6(hostcall_traced, nr, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0) :         \
			       GATE_CALL6(hostcall_blocking, nr, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0))

#endif
