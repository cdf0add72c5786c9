/*
 * CP_Stream: a connection is two rings in key-0 memory, one for each direction. The writer's gate copies into the
 * reader's ring; the reader copies out in its own gate, or maps its ring read-only and uses the bytes in place. A
 * byte in a ring does not change until the reader gave it back, whatever the writer does.
 */
#include <linux/fcntl.h>
#include <linux/mman.h>

#include "host/syscall.h"
#include "monitor/caps.h"
#include "monitor/hostcalls.h"

#define RING CAP_STREAM_RING
#define PART (RING / 2) /* copied before the other end hears of it; room for which a writer is woken */

static uint64_t ring_address(uint32_t object, unsigned end)
{
	return g_arena->rings + ((uint64_t)(object - OBJECTS_MAX) * 2 + end) * RING;
}

static void raise_end(struct object *s, unsigned end)
{
	uint32_t holder = __atomic_load_n(&s->stream.holder[end], __ATOMIC_ACQUIRE);

	if (holder)
		cap_raise(holder);
}

/* cap_lock held; nobody uses this end any more. */
void stream_end_closed(struct object *s, unsigned end)
{
	struct ring *out = &s->stream.ring[end], *in = &s->stream.ring[1 - end];

	__atomic_store_n(&s->stream.holder[end], 0, __ATOMIC_RELEASE);
	for (uint32_t i = in->passed; i; __atomic_store_n(&in->passed, --i, __ATOMIC_RELEASE)) {
		struct cap *k = cap_number(in->pass[i - 1]);
		while (k->kind != CAP_NONE && !cap_drop(k)) /* its holder, who knew no handle yet, has none to close */
			host(__NR_sched_yield);
	}
	__atomic_store_n(&in->reset, LOAD(in->head) != LOAD(in->tail), __ATOMIC_RELEASE);
	__atomic_store_n(&in->dead, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&out->ended, 1, __ATOMIC_RELEASE);
	raise_end(s, 1 - end);
}

/* Nothing of a connection may be seen in the next one that uses the same rings. */
void stream_free(uint32_t object)
{
	/* all of it: a send that faulted leaves bytes behind the head */
	for (unsigned end = 0; end < 2 && !insecure(LAUNCH_INSECURE_NO_CLEAN); end++)
		host(__NR_madvise, ring_address(object, end), RING, MADV_REMOVE);
}

HOSTCALL_ON_CAP_LOCKED(stream_connect, CAP_CONNECT, CAP_USE)
{
	struct object *l = &g_arena->object[k->object];

	if (l->listener.count >= l->listener.backlog)
		return -EAGAIN;
	long object = object_new(CAP_STREAM, t->cvm, 2 * RING); /* the reference is the queue's */
	if (object < 0)
		return object;
	struct object *s = &g_arena->object[object];
	s->stream.word = a[1];
	struct cap like = { .kind = CAP_STREAM, .perms = CAP_USE, .object = (uint32_t)object };
	struct cap *end = cap_new(t->cvm, &like, NULL);
	if (error_in(end)) {
		object_put((uint32_t)object);
		return error_in(end);
	}
	s->root = l->root;
	__atomic_store_n(&s->stream.holder[0], number_of(end), __ATOMIC_RELEASE);
	l->listener.queue[l->listener.count] = (uint16_t)object;
	__atomic_store_n(&l->listener.count, l->listener.count + 1, __ATOMIC_RELEASE);
	cap_raise(l->root);
	return cap_handle(end);
}

HOSTCALL_ON_CAP_LOCKED(stream_accept, CAP_LISTENER, 0)
{
	struct object *l = &g_arena->object[k->object];

	if (!l->listener.count)
		return -EAGAIN;
	struct cap like = { .kind = CAP_STREAM, .perms = CAP_USE, .end = 1, .object = l->listener.queue[0] };
	struct cap *end = cap_new(t->cvm, &like, NULL);
	if (error_in(end))
		return error_in(end);
	object_put(end->object); /* the queue's reference */
	__atomic_store_n(&g_arena->object[end->object].stream.holder[1], number_of(end), __ATOMIC_RELEASE);
	uint32_t left = l->listener.count - 1;
	memmove(l->listener.queue, l->listener.queue + 1, left * sizeof l->listener.queue[0]);
	__atomic_store_n(&l->listener.count, left, __ATOMIC_RELEASE);
	cap_raise(number_of(end)); /* bytes may be there already */
	return cap_handle(end);
}

/* Queues a derived capability for the other end. */
static int pass(struct cvm *c, uint64_t stream, uint64_t handle)
{
	LOCKED(&g_arena->cap_lock);
	struct cap *k = cap_find(c, stream, CAP_STREAM, CAP_USE);
	if (error_in(k))
		return error_in(k);
	struct object *s = &g_arena->object[k->object];
	struct ring *r = &s->stream.ring[k->end];
	uint32_t reader = s->stream.holder[1 - k->end];
	if (LOAD(r->dead) || LOAD(r->ended))
		return -EPIPE;
	if (!reader || r->passed == CAP_PASS_MAX)
		return -EAGAIN;
	struct cap *passed = cap_pass(c, handle, holder_of(cap_number(reader)));
	if (error_in(passed))
		return error_in(passed);
	r->pass[r->passed] = number_of(passed);
	__atomic_store_n(&r->passed, r->passed + 1, __ATOMIC_RELEASE);
	raise_end(s, 1 - k->end);
	return 0;
}

/* One or two copies: the ring's end may come in between. */
static bool ring_copy(uint64_t ring, uint64_t position, uint64_t user, uint64_t size, bool store)
{
	uint64_t at = position % RING, first = MIN(size, RING - at);
	char *here = (char *)user, *there = (char *)ring;

	if (store)
		return !user_copy(there + at, here, first) && (first == size || !user_copy(there, here + first, size - first));
	return !user_copy(here, there + at, first) && (first == size || !user_copy(here + first, there, size - first));
}

/* How many of `size` bytes the ring can take. The reader's tail is only looked at if what it was last is not enough. */
static uint64_t room_for(struct ring *r, uint64_t size)
{
	if (r->limit - r->head < size)
		r->limit = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) + RING;
	return MIN(size, r->limit - r->head);
}

/* Bytes written; with none, why. The ring's write_lock is held. */
static long ring_write(struct ring *r, uint64_t ring, uint64_t user, uint64_t size)
{
	uint64_t room = room_for(r, size), done = 0;

	if (LOAD(r->dead) || LOAD(r->ended))
		return -EPIPE;
	if (!room && size) { /* the reader may have made some before it could know that it is waited for: see room_made */
		__atomic_exchange_n(&r->full, 1, __ATOMIC_SEQ_CST);
		room = room_for(r, size);
		if (!room)
			return -EAGAIN;
	}
	/* In parts, so that a reader that is awake is at work on the first while the last is copied. */
	for (uint64_t n; done < room; done += n) {
		n = MIN(room - done, PART);
		if (!ring_copy(ring, r->head, user + done, n, true))
			return done ? (long)done : -EFAULT;
		__atomic_store_n(&r->head, r->head + n, __ATOMIC_RELEASE);
	}
	return (long)done;
}

long hc_stream_send(struct thread *t, const uint64_t *a)
{
	int error = a[3] ? pass(t->cvm, a[0], a[3]) : 0;
	struct cap *k PINNED_CAP = error ? error_pointer(error) : cap_get(t, a[0], CAP_STREAM, CAP_USE);

	if (error_in(k))
		return error_in(k);
	if (!in_slot(t->cvm, (struct gaddr){ a[1] }, a[2]))
		return -EFAULT;
	struct object *s = &g_arena->object[k->object];
	lock_take(&s->stream.ring[k->end].write_lock);
	long n = ring_write(&s->stream.ring[k->end], ring_address(k->object, k->end), a[1], a[2]);
	lock_give(&s->stream.ring[k->end].write_lock);
	if (n > 0) /* also if bytes were left: who waits for edges hears of every arrival */
		raise_end(s, 1 - k->end);
	return n;
}

/* There is room again: who waits for it hears of it when it is worth it. */
static void room_made(struct object *s, unsigned end)
{
	struct ring *r = &s->stream.ring[end];

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&r->full, __ATOMIC_RELAXED) && RING - (LOAD(r->head) - r->tail) >= PART &&
	    __atomic_exchange_n(&r->full, 0, __ATOMIC_SEQ_CST))
		raise_end(s, end);
}

/* Bytes read; with none, why. To nowhere (0) they are only given back; with `keep` they stay. The ring's read_lock is held. */
static long ring_read(struct object *s, unsigned end, uint64_t ring, uint64_t user, uint64_t size, bool keep)
{
	struct ring *r = &s->stream.ring[end];
	bool ended = __atomic_load_n(&r->ended, __ATOMIC_ACQUIRE);
	uint64_t there = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) - r->tail, at = r->tail, done = 0;

	if (!there && size)
		return !ended && !LOAD(r->dead) ? -EAGAIN : LOAD(s->stream.ring[1 - end].reset) ? -ECONNRESET : 0;
	for (uint64_t n, all = MIN(size, there); done < all; done += n) {
		n = user ? MIN(all - done, PART) : all;
		if (user && !ring_copy(ring, at + done, user + done, n, false))
			return done ? (long)done : -EFAULT;
		if (keep)
			continue;
		__atomic_store_n(&r->tail, at + done + n, __ATOMIC_RELEASE);
		room_made(s, end);
	}
	return (long)done;
}

HOSTCALL_ON_CAP(stream_recv, CAP_STREAM, CAP_USE)
{
	if (a[1] && !in_slot(t->cvm, (struct gaddr){ a[1] }, a[2]))
		return -EFAULT;
	struct object *s = &g_arena->object[k->object];
	struct lock *lock = &s->stream.ring[1 - k->end].read_lock;
	lock_take(lock);
	long n = ring_read(s, 1 - k->end, ring_address(k->object, 1 - k->end), a[1], a[2], a[3] != 0);
	lock_give(lock);
	return n;
}

HOSTCALL_ON_CAP_LOCKED(stream_cap, CAP_STREAM, CAP_USE)
{
	struct ring *in = &g_arena->object[k->object].stream.ring[1 - k->end];

	if (!in->passed)
		return -EAGAIN;
	uint32_t number = in->pass[0];
	memmove(in->pass, in->pass + 1, __atomic_sub_fetch(&in->passed, 1, __ATOMIC_RELEASE) * sizeof in->pass[0]);
	return cap_fetch(number);
}

HOSTCALL_ON_CAP(stream_shutdown, CAP_STREAM, CAP_USE)
{
	struct object *s = &g_arena->object[k->object];

	if (a[1] > 2)
		return -EINVAL;
	if (a[1] != 0 /* SHUT_RD */)
		__atomic_store_n(&s->stream.ring[k->end].ended, 1, __ATOMIC_SEQ_CST);
	if (a[1] != 1 /* SHUT_WR */)
		__atomic_store_n(&s->stream.ring[1 - k->end].dead, 1, __ATOMIC_SEQ_CST);
	raise_end(s, 1 - k->end);
	raise_end(s, k->end);
	return 0;
}

HOSTCALL_ON_CAP(stream_map, CAP_STREAM, CAP_USE)
{
	uint64_t offset = ring_address(k->object, 1 - k->end) - g_arena->rings;

	return memory_check(t->cvm, a[1], 2 * RING, false) ?: cap_map_at(t, k, a[1], RING, PROT_READ, g_arena->rings_fd, offset);
}

HOSTCALL_ON_CAP(stream_window, CAP_STREAM, CAP_USE)
{
	struct ring *r = &g_arena->object[k->object].stream.ring[1 - k->end];
	uint64_t tail = LOAD(r->tail), window[2] = { tail % RING, LOAD(r->head) - tail };

	return user_out(t->cvm, (struct gaddr){ a[1] }, window, sizeof window);
}
