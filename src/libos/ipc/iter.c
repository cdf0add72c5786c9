/*
 * Copies between libOS memory and the program's scattered buffers (ipc/iter.h). Trusts nothing about the buffers'
 * addresses: uaccess answers for each piece.
 */
#include "ipc/iter.h"

/* The next contiguous piece, at most `size` bytes; 0 at the end. */
static size_t piece(struct iter *it, size_t size, char **at)
{
	while (it->count && it->offset == it->iov->iov_len) {
		it->iov++;
		it->count--;
		it->offset = 0;
	}
	if (!it->count)
		return 0;
	*at = (char *)it->iov->iov_base + it->offset;
	return MIN(size, it->iov->iov_len - it->offset);
}

static void advance(struct iter *it, size_t size)
{
	it->offset += size;
	it->left -= size;
}

size_t iter_take(struct iter *it, void *dst, size_t size)
{
	size_t done = 0, n;
	char *at;

	while (done < size && (n = piece(it, size - done, &at))) {
		if (copy_from_buffer((char *)dst + done, at, n))
			break;
		advance(it, n);
		done += n;
	}
	return done;
}

size_t iter_put(struct iter *it, const void *src, size_t size)
{
	size_t done = 0, n;
	char *at;

	while (done < size && (n = piece(it, size - done, &at))) {
		if (copy_to_buffer(at, (const char *)src + done, n))
			break;
		advance(it, n);
		done += n;
	}
	return done;
}
