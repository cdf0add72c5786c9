/* Host files that are read over and over are mapped, and then read without a host call: see mapped.c. */
#ifndef LIBOS_MAPPED_H
#define LIBOS_MAPPED_H

#include "fs/file.h"

#define MAPPED_PATIENCE (1l << 20) /* bytes that a new file reads before anybody thinks of it */

struct mapped;

/* In mapped.c: the rest of mapped_read, and the end of a file. */
nodiscard ssize_t mapped_copy(struct file *f, struct mapped *m, void *to, size_t size, off_t at);
void mapped_consider(struct file *f);
void mapped_release(struct file *f);

/* As pread of a host file that is open for reading; -1: ask the host. */
nodiscard static inline ssize_t mapped_read(struct file *f, void *to, size_t size, off_t at)
{
	struct mapped *m = __atomic_load_n(&f->mapped, __ATOMIC_ACQUIRE);
	ssize_t n = m ? mapped_copy(f, m, to, size, at) : -1;

	if (n < 0) {
		int64_t left = __atomic_load_n(&f->patience, __ATOMIC_RELAXED) - (int64_t)size;

		__atomic_store_n(&f->patience, left, __ATOMIC_RELAXED);
		if (unlikely(left < 0))
			mapped_consider(f);
	}
	return n;
}

#endif
