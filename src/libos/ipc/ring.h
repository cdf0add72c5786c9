/*
 * A byte ring in libOS memory: what pipes and Unix stream sockets keep their data in. Sizes are powers of two; the
 * ring starts small and grows towards its limit when it is full. Not locked: the owner's lock covers it.
 */
#ifndef LIBOS_RING_H
#define LIBOS_RING_H

#include "ipc/iter.h"

struct ring {
	uint8_t *data;	     /* NULL until the first write */
	uint64_t head, tail; /* bytes ever read, ever written */
	uint32_t size;	     /* of data */
	uint32_t limit;	     /* largest size */
};

static inline uint32_t ring_used(const struct ring *r)
{
	return (uint32_t)(r->tail - r->head);
}

static inline uint32_t ring_free(const struct ring *r)
{
	return r->limit - ring_used(r);
}

/* Bytes moved: fewer than asked for when the ring is full or empty, a buffer is bad (*fault), or (write) memory is
 * short (*fault = false and 0 bytes although there was room). */
size_t ring_write(struct ring *r, struct iter *it, size_t size, bool *fault);
size_t ring_read(struct ring *r, struct iter *it, size_t size, bool *fault);
/* As ring_read from `at` bytes behind the head, without consuming. */
size_t ring_peek(const struct ring *r, size_t at, struct iter *it, size_t size, bool *fault);
/* Change the limit (a power of two of at least a page): 0, -EBUSY if more is in it, -ENOMEM. */
nodiscard int ring_set_limit(struct ring *r, uint32_t limit);
void ring_free_data(struct ring *r);

#endif
