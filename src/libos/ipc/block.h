/*
 * The blocking loop of every libOS object, once: try, and while the answer is -EAGAIN sleep on the object's wait queue. And
 * sleepers, for whom somebody else does what they wait for.
 */
#ifndef LIBOS_BLOCK_H
#define LIBOS_BLOCK_H

#include "core/waitq.h"
#include "fs/file.h"
#include <linux/eventpoll.h>

#define BLOCK_READ ((uint32_t)(EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
#define BLOCK_WRITE ((uint32_t)(EPOLLOUT | EPOLLWRNORM | EPOLLHUP | EPOLLERR))

/* Runs attempt(ctx) until it says anything but -EAGAIN. -EAGAIN after timeout_ns (-1: none), -ERESTARTSYS on a signal. */
ssize_t block_until(struct waitq *q, uint32_t events, int64_t timeout_ns, ssize_t (*attempt)(void *ctx), void *ctx);

/* Stands in a list of the object that it waits for, under the object's lock. Who ends the sleep does so with that lock held, having
 * done what the sleeper wanted: that saves a process a turn. */
struct sleeper {
	struct list link;
	struct thread *thread;
	int result; /* the lock */
};
#define SLEEPS 1 /* a sleeper's result until it has one */
void sleeper_init(struct sleeper *s); /* the calling thread, in no list */
/* The calling thread sleeps until s has a result; the lock is held before and after. -ERESTARTSYS on a signal, -ETIMEDOUT behind the
 * clock's deadline (-1: none): then it stands in no list any more. */
nodiscard int sleeper_wait(struct sleeper *s, struct mutex *lock, int clock, int64_t deadline);
void sleeper_wake(struct sleeper *s, int result); /* out of its list */

/* SIGPIPE to the calling thread; returns -EPIPE. */
ssize_t broken_pipe(void);
/* Inode numbers of objects without a file system. */
uint64_t anon_inode(void);
/* file_ops.stat of objects without any inode: /proc/self/fd shows them as anon_inode:[name]. */
int anon_stat(struct file *f, struct statx *st);
/* For file_ops.stat of pipes and sockets, which have a type and a number. 0. */
int numbered_stat(struct statx *st, uint32_t mode, uint64_t inode);

#endif
