/*
 * Pipes and FIFOs: one byte ring, two kinds of ends. A libOS object: no host descriptor stands behind it.
 */
#ifndef LIBOS_PIPE_H
#define LIBOS_PIPE_H

#include "fs/file.h"
#include <linux/limits.h> /* PIPE_BUF */

#define PIPE_SIZE_DEFAULT 65536u
#define PIPE_SIZE_MAX 1048576u

/* pipe2(2): two files of one reference each. flags: O_NONBLOCK. 0 or negative errno. */
nodiscard int pipe_create(struct file *end[2], uint32_t flags);
/* One more end, of the same or the other kind: /proc/self/fd/N. Waits for nobody, unlike a FIFO. `end` has no path. */
nodiscard struct file *pipe_reopen(struct file *end, int flags, int *error);
bool file_is_pipe(const struct file *f);
uint32_t pipe_end_events(const struct file *f); /* EPOLL* bits that this end may ever report; 0: no pipe */
/* The same with O_PATH, which keeps neither end open; of such a file, too. */
nodiscard struct file *pipe_open_path(struct file *end, int flags, int *error);
bool file_is_pipe_path(const struct file *f);
/* For splice, tee and vmsplice, on an end of a pipe; `nonblock` besides the file's own flag. */
/* Copies what comes next and leaves it there: bytes, 0 at the end, or as read(2). */
nodiscard ssize_t pipe_peek(struct file *f, void *buf, size_t size, bool nonblock);
/* The same, and if there is something, nobody else reads until pipe_skip. */
nodiscard ssize_t pipe_hold(struct file *f, void *buf, size_t size, bool nonblock);
void pipe_skip(struct file *f, size_t size); /* so much of it is taken; behind pipe_hold also if that is 0 */
/* Writes what there is room for, and waits until there is some: bytes, or as write(2). */
nodiscard ssize_t pipe_put(struct file *f, const struct iovec *iov, unsigned count, bool nonblock);
/* As readv(2). */
nodiscard ssize_t pipe_take(struct file *f, const struct iovec *iov, unsigned count, bool nonblock);
/* Bytes that can be written at once, at least 1, or as write(2). */
nodiscard ssize_t pipe_room(struct file *f, bool nonblock);
bool pipe_same(const struct file *a, const struct file *b);
/* fcntl F_GETPIPE_SZ and F_SETPIPE_SZ: bytes, or -EBADF if f is no pipe, -EBUSY, -EPERM (over the limit), -EINVAL. */
nodiscard long pipe_get_size(struct file *f);
nodiscard long pipe_set_size(struct file *f, unsigned long size);

#endif
