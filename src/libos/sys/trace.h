/*
 * --trace: one line a system call to the command's log, as strace prints it: when it ends, or in two lines, "unfinished" and
 * "resumed", if other threads have something to say meanwhile or the call waits. Off unless BOOT_FLAG_TRACE.
 */
#ifndef LIBOS_TRACE_H
#define LIBOS_TRACE_H

#include "thread/thread.h"

/* Calls that do not return, or replace their own arguments, are printed before they run. */
void trace_enter(const struct regs *r);
void trace_exit(const struct regs *r, long ret);
void trace_thread_gone(struct thread *t); /* it ends inside a system call */
void trace_init(uint32_t boot_flags);
/* One letter an argument, as in sys/syscalls.h; NULL: not in the table. */
const char *trace_syscall_args(uint64_t nr);
const char *trace_syscall_name(uint64_t nr); /* "syscall_999" never: "?" if it has no name */
/* sys/errno_names.c: "ENOENT" and "No such file or directory", or NULL. */
const char *errno_name(int error);
const char *errno_text(int error);

#endif
