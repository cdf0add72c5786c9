/*
 * CP_Stream: ordered bytes between two cVMs, in both directions (CAP-VMs, OSDI'22, section 4.4).
 *
 * A sender's bytes are copied straight into the receiver's ring, 128 KiB for each direction, without a system call while
 * both ends are awake. The receiver copies them out, or maps its ring and uses them where they are: what lies there does
 * not change until the receiver gives it back, whatever the sender does. A full ring holds the sender back.
 *
 * A stream is made by connecting to a listener by name; both ends are handles (cvm/cap.h, also for the errors common to
 * all). Several threads may send and receive on one stream at once: each cp_stream_send that fits into the ring's free
 * space stays in one piece.
 */
#ifndef CVM_STREAM_H
#define CVM_STREAM_H

#include <sys/types.h>

#include "cap.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define CP_STREAM_RING (128u << 10) /* bytes that each direction buffers */

/* Flags of send and receive. */
#define CP_DONTWAIT 1u /* -EAGAIN instead of waiting */
#define CP_PEEK 2u     /* receive: leave the bytes there */
#define CP_ALL_BYTES 4u /* receive: wait for all of them, or the end */

/* Listens under a name, which needs a grant to provide it. backlog: connections that wait to be accepted, at most 128.
 * Returns the listener. -EEXIST: the name is taken. -EACCES: not granted. */
CP_NODISCARD int cp_listen(const char *name, unsigned backlog);

/* The next connection: its stream. Waits at most timeout_ns. -ETIMEDOUT. -EINTR: a signal was handled. */
CP_NODISCARD int cp_accept(int listener, int64_t timeout_ns);

/*
 * Connects by name and gives the accepting side a word (cp_info). Returns the stream at once: bytes can be sent before it
 * is accepted. -ENOENT: nobody listens (yet). -EACCES: not granted. -EAGAIN: the backlog is full.
 */
CP_NODISCARD int cp_connect(const char *name, uint64_t word);

/* The same in two steps, the first of which makes a capability that can be passed on. perms: CP_USE, CP_GRANT. */
CP_NODISCARD int cp_connect_open(const char *name, unsigned perms);
CP_NODISCARD int cp_connect_with(int connect, uint64_t word);

/*
 * Sends all bytes, or with CP_DONTWAIT what fits now. Returns the number of bytes; after an error in the middle those sent
 * so far. -EPIPE: nobody reads any more (no signal). -EAGAIN: no room. -EINTR: a signal was handled before any byte was
 * sent. -EFAULT: the buffer.
 */
CP_NODISCARD ssize_t cp_stream_send(int stream, const void *buffer, size_t size, unsigned flags);

/*
 * Receives at least one byte, at most `size`. 0: the peer will send no more. -ECONNRESET: the peer went and left bytes of
 * ours unread. -EAGAIN, -EINTR, -EFAULT as above.
 */
CP_NODISCARD ssize_t cp_stream_recv(int stream, void *buffer, size_t size, unsigned flags);

/*
 * Passes a capability (with CP_GRANT) to the other end, which takes it by cp_stream_recv_cap as a handle of its own.
 * They arrive in order, at most four unreceived, and not later than bytes sent afterwards. -EAGAIN: four wait there, or the
 * stream is not accepted yet. -EPIPE. -EMFILE: the receiver's quota is used up. recv: -EAGAIN: none there.
 */
CP_NODISCARD int cp_stream_send_cap(int stream, int cap);
CP_NODISCARD int cp_stream_recv_cap(int stream);

/* SHUT_WR: sends no more, the peer reads the rest and then the end. SHUT_RD: the peer gets -EPIPE. SHUT_RDWR: both.
 * (<sys/socket.h>; 1, 0, 2.) Returns 0. -EINVAL: another value. cp_close does both, and is a reset if bytes were left unread. */
CP_NODISCARD int cp_stream_shutdown(int stream, int how);

/*
 * Receiving without a copy. cp_stream_map maps the receive ring, read-only, until the stream is closed; it may be called
 * again, and gives the same address. cp_stream_window waits for bytes (as cp_stream_recv) and says where they lie, all in
 * one piece; cp_stream_release gives the first `size` of them back. One thread at a time may use the window of a stream, and
 * none may receive meanwhile. cp_stream_unmap gives the addresses back after the stream is closed.
 * window: bytes, 0 at the end. map: 0; -ENOMEM: no addresses. release: 0; -EINVAL: fewer bytes lay there,
 * all of which were given back. unmap: 0.
 */
CP_NODISCARD int cp_stream_map(int stream, const void **ring);
CP_NODISCARD ssize_t cp_stream_window(int stream, const void *ring, const void **bytes, unsigned flags);
CP_NODISCARD int cp_stream_release(int stream, size_t size);
int cp_stream_unmap(const void *ring);

/*
 * Many small messages at once. A batch gathers bytes in a buffer of the caller's and sends them in one go when it is full
 * or flushed, so that a message costs a few nanoseconds. Fill in stream, buffer and size (4096 is good), zero the rest. One
 * thread at a time. Flush before waiting for an answer. Nothing is sent by itself.
 * 0, or cp_stream_send's errors: what was gathered then stays there.
 */
struct cp_batch {
	int stream;
	void *buffer;
	size_t size, used;
};
CP_NODISCARD int cp_batch_send(struct cp_batch *batch, const void *message, size_t size);
CP_NODISCARD int cp_batch_flush(struct cp_batch *batch);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
