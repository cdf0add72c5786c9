/* Thread creation as clone needs it; for sys/sys_thread.c. */
#ifndef LIBOS_THREAD_CREATE_H
#define LIBOS_THREAD_CREATE_H

#include "thread/thread.h"

/* thread_create with `prepare`, which runs before the new thread does (its tid is known), p->lock held. The thread may be
 * gone when this returns: its number is in *tid. NULL with *error if there is none. */
struct thread *thread_create_prepared(struct process *p, const struct regs *regs, uint64_t fs_base,
				      void (*prepare)(struct thread *t, void *data), void *data, int32_t *tid, int *error);

#endif
