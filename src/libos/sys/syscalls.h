/*
 * The one table of Linux system calls: number, name, handler, and how --trace prints it. A number that is not here, or
 * that stands in the table without a handler, is ENOSYS.
 *
 * SYS(name, args): args is one letter an argument: d int, u unsigned, x hex/flags, p pointer, s string, b buffer
 * (length is the next argument), r buffer that the result fills, f descriptor, h hostcall, m prot, o open flags, t timespec, a sockaddr, - nothing.
 * Which arguments are addresses is what an isolated libOS relies on: those with p, s, b, r, t and a are checked before the handler runs.
 * As capitals they are addresses in some of the call's modes only, and the handler checks them then: whoever calls it in another mode
 * leaves there what he likes. scripts/check-source compares handlers with their letters; tests/attack/isolated_calls.c tries every call,
 * and wants a line for each in tests/attack/syscall_shapes.h.
 * A handler is `long sys_NAME(struct regs *r)`; arguments by arg(r, n).
 */
#ifndef LIBOS_SYSCALLS_H
#define LIBOS_SYSCALLS_H

#include "thread/thread.h"

#ifndef __NR_fchmodat2 /* newer than Debian 12's headers */
#define __NR_fchmodat2 452
#endif

static inline long arg(const struct regs *r, int n)
{
	switch (n) {
	case 0: return (long)r->rdi;
	case 1: return (long)r->rsi;
	case 2: return (long)r->rdx;
	case 3: return (long)r->r10;
	case 4: return (long)r->r8;
	default: return (long)r->r9;
	}
}

/* Each family's list is in its own file, so that a family is added in one place:
 *   sys/table_fs.h (files, directories, descriptors), sys/table_poll.h (poll, select, epoll, eventfd, timerfd,
 *   signalfd, pipe), sys/table_net.h (sockets), sys/table_mm.h (memory), sys/table_ipc.h (System V IPC, POSIX message queues), sys/table_thread.h (threads, futex, signals,
 *   time, process, identity, limits, system information); and what Linux does not have in sys/table_private.h. */
#define SYSCALL_TABLE(SYS) \
	SYSCALLS_FS(SYS)   \
	SYSCALLS_POLL(SYS) \
	SYSCALLS_NET(SYS)  \
	SYSCALLS_MM(SYS)   \
	SYSCALLS_IPC(SYS)  \
	SYSCALLS_THREAD(SYS)

#include "sys/table_fs.h"
#include "sys/table_ipc.h"
#include "sys/table_mm.h"
#include "sys/table_net.h"
#include "sys/table_poll.h"
#include "sys/table_private.h"
#include "sys/table_thread.h"

#define SYS_DECLARE(name, args) long sys_##name(struct regs *r);
SYSCALL_TABLE(SYS_DECLARE)
SYSCALLS_PRIVATE(SYS_DECLARE)
#undef SYS_DECLARE

#endif
