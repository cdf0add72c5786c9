/*
 * Wait queues: how a libOS object (pipe, eventfd, Unix socket, child, epoll ...) wakes those who wait for it.
 *
 * A waiter is linked into a queue with a callback; waitq_wake runs the callbacks under the queue's lock, so they must
 * not block nor call back into the same queue. Threads sleep with thread_sleep(), which ends by a wake-up, a
 * timeout or a pending signal. poll, select and epoll wait for libOS objects and host descriptors together
 * (fs/poll.h).
 */
#ifndef LIBOS_WAITQ_H
#define LIBOS_WAITQ_H

#include "core/list.h"
#include "core/lock.h"

struct waitq {
	struct mutex lock;
	struct list waiters; /* of struct waiter; lock */
};

struct waiter {
	struct list link;
	struct waitq *queue; /* NULL when not linked */
	uint32_t events;     /* EPOLL* bits it cares about; 0 means all */
	void (*wake)(struct waiter *w, uint32_t events);
	void *data; /* the callback's own; for waiter_init_thread the struct thread to wake */
};

void waitq_init(struct waitq *q);
void waitq_add(struct waitq *q, struct waiter *w);
void waitq_remove(struct waiter *w); /* no callback runs after it returns; fine if not linked */
void waitq_wake(struct waitq *q, uint32_t events); /* events: EPOLLIN, EPOLLOUT ...; 0 for all */

/* A waiter that wakes the calling thread's thread_sleep(). */
void waiter_init_thread(struct waiter *w, uint32_t events);

/* The loop of a blocking operation:
 *	waiter_init_thread(&w, EPOLLIN);
 *	waitq_add(&pipe->readers, &w);
 *	while (!(ready = try_it()) && !(err = thread_sleep(-1)))
 *		;
 *	waitq_remove(&w);
 * thread_sleep consumes a wake-up that came since the last one, so a wake-up between try_it and sleep is not lost.
 * timeout in ns, -1 for none. Returns 0 (woken, maybe spuriously), -ETIMEDOUT, or -ERESTARTSYS (signal pending). */
nodiscard int thread_sleep(int64_t timeout_ns);

#endif
