/* Thread creation as clone and exec need it; for sys/sys_thread.c and process/. */
#ifndef LIBOS_THREAD_CREATE_H
#define LIBOS_THREAD_CREATE_H

#include "thread/thread.h"

struct clone_request;

/* thread_create with `prepare`, which runs before the new thread does (its tid is known), p->lock held. The thread may be
 * gone when this returns: its number is in *tid. NULL with *error if there is none. */
struct thread *thread_create_prepared(struct process *p, const struct regs *regs, uint64_t fs_base,
				      void (*prepare)(struct thread *t, void *data), void *data, int32_t *tid, int *error);
/* For `prepare`: what clone's flags say of the new thread's number. */
void thread_prepare(struct thread *t, const struct clone_request *c);
/* The first thread of a process, which runs `main` until that enters a program. */
nodiscard bool thread_start_first(struct process *p, void (*main)(void *arg), void *arg, int *error);
/* Robust futexes, and the word of set_tid_address. */
void thread_tell_joiners(struct thread *t);

#endif
