/* RLIMIT_FSIZE (fs/limit.c): how large a file may become by what a process does. */
#ifndef LIBOS_FS_LIMIT_H
#define LIBOS_FS_LIMIT_H

#include "fs/file.h"

/* Some process of the cVM had a limit once: only then is it looked for. Atomic; never false again. */
extern bool g_file_limits;

/* As f->ops->write, but not beyond the calling process's limit: what fits is written, and if nothing does, SIGXFSZ and -EFBIG. */
nodiscard ssize_t write_within_limit(struct file *f, const struct iovec *iov, unsigned count, off_t *pos);
/* For truncate and fallocate, which make a file of `old` bytes one of `size`: 0, or SIGXFSZ and -EFBIG. */
nodiscard int grow_within_limit(off_t old, off_t size);

static inline ssize_t file_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	if (unlikely(__atomic_load_n(&g_file_limits, __ATOMIC_RELAXED)))
		return write_within_limit(f, iov, count, pos);
	return f->ops->write(f, iov, count, pos);
}

#endif
