/*
 * The blocking loop of every libOS object, once: try, and while the answer is -EAGAIN sleep on the object's wait queue.
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
/* SIGPIPE to the calling thread; returns -EPIPE. */
ssize_t broken_pipe(void);
/* Inode numbers of objects without a file system. */
uint64_t anon_inode(void);
/* file_ops.stat of objects without any inode: /proc/self/fd shows them as anon_inode:[name]. */
int anon_stat(struct file *f, struct statx *st);
/* For file_ops.stat of pipes and sockets, which have a type and a number. 0. */
int numbered_stat(struct statx *st, uint32_t mode, uint64_t inode);

#endif
