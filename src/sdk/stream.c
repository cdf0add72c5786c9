/*
 * CP_Streams (cvm/stream.h). A side that finds no bytes or no room looks again some times before it sleeps: a peer on
 * another processor that is awake answers within the time that sleeping and waking would cost. How often follows what
 * the last sleeps were worth, as in the Linux kernel's halt polling (virt/kvm/halt-polling.rst): more often after a
 * short one, in which the peer did no more than wake up, less after a long one.
 */
#include "cvm/stream.h"
#include "sdk/sdk.h"

#define LOOKS_MIN 20u  /* gate calls before sleeping: about a microsecond */
#define LOOKS_MAX 640u /* more than waking somebody takes, also in a virtual machine */
#define LOOKS_AWAKE 8u /* a peer that is at work on another processor has answered by then: this one may stand behind us */
#define LOOKS_YIELD 160u /* and so may any other thread, again and again */
#define SHORT_CYCLES 200000u /* a sleep of less than some 70 microseconds */

_Static_assert(CP_STREAM_RING == CAP_STREAM_RING, "ring");

int cp_listen(const char *name, unsigned backlog)
{
	return (int)sdk_create(CAP_LISTENER, name, backlog ? backlog : 1);
}

int cp_accept(int listener, int64_t timeout_ns)
{
	uint64_t end = timeout_ns > 0 ? platform_now() + (uint64_t)timeout_ns : 0;

	for (;;) {
		long r = gate(HC_stream_accept, listener);
		if (r != -EAGAIN)
			return (int)r;
		r = sdk_wait(listener, CAP_READABLE, 0, timeout_ns);
		if (r < 0)
			return (int)r;
		/* another thread may be faster: then again, for what is left */
		int64_t left = end ? (int64_t)(end - platform_now()) : timeout_ns;
		timeout_ns = end && left < 0 ? 0 : left;
	}
}

int cp_connect_open(const char *name, unsigned perms)
{
	return (int)sdk_open(CAP_CONNECT, name, perms);
}

int cp_connect_with(int connect, uint64_t word)
{
	return (int)gate(HC_stream_connect, connect, g_sdk_present == SDK_LIBOS ? (uint64_t)&word : word);
}

int cp_connect(const char *name, uint64_t word)
{
	int right = cp_connect_open(name, CP_USE);

	if (right < 0)
		return right;
	int stream = cp_connect_with(right, word);
	cp_close(right);
	return stream;
}

static unsigned g_looks = LOOKS_MIN; /* relaxed: a lost change is no harm */

/* 0 when it may be worth looking again, or why not. */
static long again(int stream, unsigned events, unsigned flags, unsigned *looks)
{
	unsigned most = __atomic_load_n(&g_looks, __ATOMIC_RELAXED);

	if (flags & CP_DONTWAIT)
		return -EAGAIN;
	if (++*looks < most) {
		if (*looks == LOOKS_AWAKE || *looks % LOOKS_YIELD == 0)
			platform_yield();
		else
			__builtin_ia32_pause();
		return 0;
	}
	uint64_t start = __builtin_ia32_rdtsc();
	long r = sdk_wait(stream, events, 0, CP_FOREVER);
	if (__builtin_ia32_rdtsc() - start < SHORT_CYCLES)
		most = most * 2 < LOOKS_MAX ? most * 2 : LOOKS_MAX;
	else
		most = most / 2 > LOOKS_MIN ? most / 2 : LOOKS_MIN;
	__atomic_store_n(&g_looks, most, __ATOMIC_RELAXED);
	return r < 0 ? r : 0;
}

ssize_t cp_stream_send(int stream, const void *buffer, size_t size, unsigned flags)
{
	size_t done = 0;
	unsigned looks = 0;
	long n;

	do {
		n = gate(HC_stream_send, stream, (const char *)buffer + done, size - done, 0);
		if (n >= 0) {
			done += (size_t)n;
			looks = 0;
			n = 0;
		} else if (n == -EAGAIN) {
			n = again(stream, CAP_WRITABLE, flags, &looks);
		}
	} while (done < size && !n);
	return done ? (ssize_t)done : n;
}

ssize_t cp_stream_recv(int stream, void *buffer, size_t size, unsigned flags)
{
	size_t done = 0;
	unsigned looks = 0;
	long n;

	do {
		n = gate(HC_stream_recv, stream, (char *)buffer + done, size - done, !!(flags & CP_PEEK));
		if (n == -EAGAIN) {
			n = again(stream, CAP_READABLE, flags, &looks);
			continue;
		}
		if (n <= 0)
			break;
		done += (size_t)n;
		if (!(flags & CP_ALL_BYTES) || flags & CP_PEEK)
			break;
		looks = 0;
		n = 0;
	} while (done < size && !n);
	return done ? (ssize_t)done : n;
}

int cp_stream_send_cap(int stream, int cap)
{
	static const char nothing;

	return (int)gate(HC_stream_send, stream, &nothing, 0, cap);
}

int cp_stream_recv_cap(int stream)
{
	return (int)gate(HC_stream_cap, stream);
}

int cp_stream_shutdown(int stream, int how)
{
	return (int)gate(HC_stream_shutdown, stream, how);
}

int cp_stream_map(int stream, const void **ring)
{
	void *at = platform_reserve(2 * CP_STREAM_RING);

	if (!at)
		return g_sdk_present ? -ENOMEM : -ENOSYS;
	long r = gate(HC_stream_map, stream, at);
	if (r)
		platform_unreserve(at, 2 * CP_STREAM_RING);
	else
		*ring = at;
	return (int)r;
}

ssize_t cp_stream_window(int stream, const void *ring, const void **bytes, unsigned flags)
{
	uint64_t window[2];
	unsigned looks = 0;
	long r;

	for (;;) {
		r = gate(HC_stream_window, stream, window);
		if (r < 0)
			return r;
		if (window[1])
			break;
		r = gate(HC_stream_recv, stream, 0, 1, 1);
		if (r == -EAGAIN)
			r = again(stream, CAP_READABLE, flags, &looks);
		else if (r <= 0)
			return r;
		if (r < 0)
			return r;
	}
	*bytes = (const char *)ring + window[0];
	return (ssize_t)window[1];
}

int cp_stream_release(int stream, size_t size)
{
	long r = gate(HC_stream_recv, stream, 0, size, 0);

	return r < 0 ? (int)r : (size_t)r == size ? 0 : -EINVAL;
}

int cp_stream_unmap(const void *ring)
{
	return platform_unmap((void *)(uintptr_t)ring, 2 * CP_STREAM_RING);
}

int cp_batch_flush(struct cp_batch *b)
{
	size_t done = 0;
	ssize_t n = 0;

	while (done < b->used && n >= 0) {
		n = cp_stream_send(b->stream, (const char *)b->buffer + done, b->used - done, 0);
		done += n > 0 ? (size_t)n : 0;
	}
	if (done && done < b->used)
		__builtin_memmove(b->buffer, (const char *)b->buffer + done, b->used - done);
	b->used -= done;
	return n < 0 ? (int)n : 0;
}

int cp_batch_send(struct cp_batch *b, const void *message, size_t size)
{
	if (size > b->size - b->used) {
		int r = cp_batch_flush(b);
		if (r)
			return r;
		if (size > b->size) { /* on its own */
			ssize_t n = 0;
			for (size_t done = 0; done < size; done += (size_t)n) {
				n = cp_stream_send(b->stream, (const char *)message + done, size - done, 0);
				if (n == -EINTR && done) /* a message is not left in the middle for a signal */
					n = 0;
				if (n < 0)
					return (int)n;
			}
			return 0;
		}
	}
	__builtin_memcpy((char *)b->buffer + b->used, message, size);
	b->used += size;
	return 0;
}
