/*
 * The byte ring of ipc/ring.h. Data is in whole pages of the kernel heap; head and tail count bytes for ever and are
 * masked on use. Called by ipc/pipe.c and net/unix_stream.c under their locks.
 */
#include "ipc/ring.h"
#include "core/kheap.h"

#define RING_FIRST_SIZE 16384u

static void copy_out(const struct ring *r, uint8_t *dst)
{
	uint32_t used = ring_used(r), at = (uint32_t)r->head & (r->size - 1);
	uint32_t first = MIN(used, r->size - at);

	memcpy(dst, r->data + at, first);
	memcpy(dst + first, r->data, used - first);
}

static int resize(struct ring *r, uint32_t size)
{
	uint8_t *data = kpages_alloc(size / PAGE_SIZE);

	if (!data)
		return -ENOMEM;
	if (r->data) {
		uint32_t used = ring_used(r);

		copy_out(r, data);
		kpages_free(r->data, r->size / PAGE_SIZE);
		r->head = 0;
		r->tail = used;
	}
	r->data = data;
	r->size = size;
	return 0;
}

/* Make room for `size` more bytes if the limit allows; what room there is otherwise. */
static void reserve(struct ring *r, size_t size)
{
	uint64_t want = ring_used(r) + (uint64_t)size;
	uint32_t next = r->size ? r->size : MIN(RING_FIRST_SIZE, r->limit);

	if (r->data && want <= r->size)
		return;
	while (next < want && next < r->limit)
		next *= 2;
	if (next != r->size && resize(r, next) && !r->data)
		(void)resize(r, PAGE_SIZE);
}

size_t ring_write(struct ring *r, struct iter *it, size_t size, bool *fault)
{
	size_t done = 0;

	*fault = false;
	size = MIN(size, (size_t)ring_free(r));
	reserve(r, size);
	if (!r->data)
		return 0;
	size = MIN(size, (size_t)(r->size - ring_used(r)));
	while (done < size) {
		uint32_t at = (uint32_t)r->tail & (r->size - 1);
		size_t n = MIN(size - done, (size_t)(r->size - at));
		size_t got = iter_take(it, r->data + at, n);

		r->tail += got;
		done += got;
		if (got < n) {
			*fault = true;
			break;
		}
	}
	return done;
}

size_t ring_peek(const struct ring *r, size_t offset, struct iter *it, size_t size, bool *fault)
{
	size_t done = 0;

	*fault = false;
	if (offset >= ring_used(r))
		return 0;
	size = MIN(size, ring_used(r) - offset);
	while (done < size) {
		uint32_t at = (uint32_t)(r->head + offset + done) & (r->size - 1);
		size_t n = MIN(size - done, (size_t)(r->size - at));
		size_t put = iter_put(it, r->data + at, n);

		done += put;
		if (put < n) {
			*fault = true;
			break;
		}
	}
	return done;
}

size_t ring_read(struct ring *r, struct iter *it, size_t size, bool *fault)
{
	size_t n = ring_peek(r, 0, it, size, fault);

	r->head += n;
	if (r->head == r->tail)
		r->head = r->tail = 0; /* stay in the same cache lines */
	return n;
}

int ring_set_limit(struct ring *r, uint32_t limit)
{
	if (ring_used(r) > limit)
		return -EBUSY;
	if (r->size > limit) {
		int err = resize(r, limit);

		if (err)
			return err;
	}
	r->limit = limit;
	return 0;
}

void ring_free_data(struct ring *r)
{
	if (r->data)
		kpages_free(r->data, r->size / PAGE_SIZE);
	r->data = NULL;
	r->size = 0;
	r->head = r->tail = 0;
}
