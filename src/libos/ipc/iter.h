/*
 * A cursor over the buffers of one read or write call. The iovec array is in libOS memory, the buffers are program
 * addresses: copies stop at the first bad one. Used by everything that keeps bytes inside the libOS (pipes, Unix
 * sockets, eventfd ...).
 */
#ifndef LIBOS_ITER_H
#define LIBOS_ITER_H

#include "core/types.h"
#include "core/uaccess.h"

struct iter {
	const struct iovec *iov; /* first buffer that is not used up */
	unsigned count;		 /* buffers from there on */
	size_t offset;		 /* bytes of it that are */
	size_t left;		 /* bytes until the end of the last buffer */
};

static inline struct iter iter_init(const struct iovec *iov, unsigned count)
{
	struct iter it = { .iov = iov, .count = count };

	for (unsigned i = 0; i < count; i++)
		it.left += iov[i].iov_len;
	return it;
}

/* Both return the bytes copied: fewer than `size` (which is at most it->left) if a buffer is bad. */
size_t iter_take(struct iter *it, void *dst, size_t size);	/* program -> libOS */
size_t iter_put(struct iter *it, const void *src, size_t size); /* libOS -> program */

#endif
