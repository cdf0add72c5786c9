/*
 * Pipes and FIFOs: one byte ring, two kinds of ends. A libOS object: no host descriptor stands behind it.
 */
#ifndef LIBOS_PIPE_H
#define LIBOS_PIPE_H

#include "fs/file.h"

#define PIPE_BUF 4096u
#define PIPE_SIZE_DEFAULT 65536u
#define PIPE_SIZE_MAX 1048576u

/* pipe2(2): two files of one reference each. flags: O_NONBLOCK. 0 or negative errno. */
nodiscard int pipe_create(struct file *end[2], uint32_t flags);
bool file_is_pipe(const struct file *f);
/* fcntl F_GETPIPE_SZ and F_SETPIPE_SZ: bytes, or -EBADF if f is no pipe, -EBUSY, -EPERM (over the limit), -EINVAL. */
nodiscard long pipe_get_size(struct file *f);
nodiscard long pipe_set_size(struct file *f, unsigned long size);

#endif
