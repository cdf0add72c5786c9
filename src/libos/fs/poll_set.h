/*
 * The common part of poll and select: a set of files and what is waited for on each (fs/poll.c).
 */
#ifndef LIBOS_POLL_SET_H
#define LIBOS_POLL_SET_H

#include "core/waitq.h"
#include "fs/poll.h"

struct poll_entry {
	struct file *file; /* reference held by the set's owner; NULL: ignored */
	uint32_t events;   /* POLL* bits asked for; EPOLLERR and EPOLLHUP always are */
	uint32_t revents;  /* result */
	int32_t handle;	   /* host handle to ask, -1 for a libOS object */
	struct waiter waiter;
};

#define POLL_SET_SMALL 8u /* entries that a caller keeps on its stack */

/* Fills in revents; returns the number of entries that have any, 0 after timeout_ns (-1: never), -ERESTARTNOHAND when
 * a signal came first, -ENOMEM. */
nodiscard long poll_set_wait(struct poll_entry *set, unsigned count, int64_t timeout_ns);
/* Readiness of a file that neither the host nor a wait queue watches (regular files). */
#define POLL_ALWAYS ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM))

#endif
