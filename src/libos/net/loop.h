/*
 * Connections to other cVMs of the same Intravisor behind the sockets that programs know: a TCP port on a loopback
 * address is the capability name "tcp/PORT", the path of a Unix stream socket is "unix/PATH" (abi/capability.h). What a
 * cVM was not granted, and what nobody listens on, stays with the host's sockets (net/inet.c) or this cVM's own (net/unix.c).
 *
 * A socket becomes one of these by listen or connect: its file gets other operations, its data stays what it was and
 * points here from its struct socket. Accepted ones are born here.
 *
 * Readiness: every capability has a bit in the monitor's event bitmap. Whoever is about to look or to sleep fetches the
 * bits (loop_collect) and wakes the wait queues of the files they stand for; whoever sleeps in the host arms the cVM's
 * doorbell first. `state` remembers what the monitor said last, so that looking at a quiet connection costs nothing:
 * a reader that took all there was hears of every later byte, a writer that found no room hears of room.
 */
#ifndef LIBOS_LOOP_H
#define LIBOS_LOOP_H

#include "abi/capability.h"
#include "net/socket.h"

#include <linux/eventpoll.h>

enum loop_kind { LOOP_STREAM, LOOP_CONNECTING, LOOP_FAILED, LOOP_LISTENER };

/* In `state`: CAP_READABLE, CAP_ENDED, CAP_BROKEN, CAP_RESET as last told, and */
#define LOOP_FULL 0x20u	    /* a send found no room: there will be an event */
#define LOOP_CHECK 0x40u    /* ask the monitor before the next answer */
#define LOOP_VERSION 0x100u /* counted up by whoever asks, or makes an answer to others old */

#define LOOP_SHUT_RECEIVE 1u
#define LOOP_SHUT_SEND 2u
#define LOOP_OPTIONS_MAX 12u

struct loop_option {
	int level, name, value;
};

struct loop {
	struct socket socket; /* first, as in every socket's data: used by accepted ones */
	uint8_t kind;	      /* enum loop_kind; atomic: CONNECTING to one of its neighbours */
	uint8_t shutdown;     /* LOOP_SHUT_*, atomic */
	bool reset_told;      /* the program knows of the reset */
	bool hung_up;	      /* a send found the reader gone */
	uint32_t cap;	      /* handle of the stream or listener */
	uint32_t state;	      /* atomic */
	uint32_t room;	      /* at least so much can be sent, as far as we know; a hint */
	int error;	      /* SO_ERROR of a connect that failed, positive */
	struct waitq own_wait, *wait; /* its own, or that of the Unix socket it came from */
	const struct file_ops *origin; /* of the family whose data the file has; NULL: born here */
	int64_t send_timeout, receive_timeout; /* ns, -1: none */
	uint64_t inode;
	struct sockaddr_any local, peer; /* size 0: none */
	unsigned options;
	struct loop_option option[LOOP_OPTIONS_MAX]; /* what the program set, to be told back */
	struct mutex lock;    /* options, error; a listener's end, and its sleepers */
	struct list sleepers; /* struct sleeper: threads that wait for a listener in the monitor */
	/* A listener that is on the host too: one host epoll stands for both. */
	int host, both, signal; /* handles: host socket, host epoll with it and the eventfd `signal`; -1: none */
	struct mutex signal_lock; /* below `lock` and the table's: signaled, which is that `signal` was written */
	bool signaled;
	struct list pending;  /* CONNECTING: loop_connect.c */
	char name[CAP_NAME_MAX];
	uint64_t word;
	/* A listener: what decides whether another one may have the port, too, and one that has it, or NULL (loop_poll.c). */
	bool only_six, reuse_port;
	struct loop *sibling;
};

#define LOOP_WORD_IPV6 (1ull << 16) /* in the word of a connection; below it the client's port */

static inline struct loop *loop_of(struct file *f)
{
	return ((struct socket *)f->data)->loop;
}

/* What anybody was told so far, or is just being told, may be over. */
static inline void loop_must_check(struct loop *l)
{
	uint32_t old = __atomic_load_n(&l->state, __ATOMIC_SEQ_CST);

	while (!__atomic_compare_exchange_n(&l->state, &old, (old + LOOP_VERSION) | LOOP_CHECK, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

static inline bool loop_nonblock(const struct file *f, uint32_t flags)
{
	return (flags & MSG_DONTWAIT) || (f->flags & O_NONBLOCK);
}

extern const struct file_ops g_loop_file_ops, g_loop_listener_ops, g_loop_both_ops;
extern const struct socket_ops g_loop_socket_ops, g_loop_listener_socket_ops;

/* loop.c */
nodiscard struct loop *loop_alloc(enum loop_kind kind);
void loop_free(struct loop *l);
/* The capability arrived: events find the socket from now on. */
void loop_live(struct loop *l, uint32_t cap);
/* f becomes l's. */
void loop_become(struct file *f, struct loop *l, const struct file_ops *ops);
uint64_t loop_deadline(int64_t timeout);
/* Sleeps until one of the states: 0, -EAGAIN when the deadline (0: none) passed, or what a signal means. */
nodiscard int loop_wait(struct loop *l, uint32_t states, uint64_t deadline);
/* One sleep for that: as hostcall cap_wait; -EBADF too for a listener that was shut down, -EINTR if it is now. */
long loop_sleep(struct loop *l, uint32_t states, int64_t timeout);

/* loop_connect.c: names and connecting, as net/inet.c and net/unix.c call it */
/* Can `addr` be another cVM's? Its port. */
bool loop_port(const struct sockaddr_any *addr, uint16_t *port);
uint32_t loop_port_of(const struct sockaddr_any *addr); /* of any address of IPv4 or IPv6 */
/* Would Linux let only one of these two listeners have their port? */
bool loop_same_place(const struct loop *a, const struct loop *b);
/* A loopback address of the family; `four`: in IPv6 the IPv4 one. */
void loop_address(struct sockaddr_any *a, int domain, bool four, uint32_t port);
/* "unix" and the absolute path; false if that is no name. */
bool loop_unix_name(char *name, const char *path);
/* 0, -EINPROGRESS, ...; -ENOENT: nobody listens; -EACCES: not granted; in both cases nothing has changed. */
nodiscard int loop_connect_inet(struct file *f, const struct sockaddr_any *addr, const struct sockaddr_any *bound);
nodiscard int loop_connect_unix(struct file *f, struct waitq *wait, const char *path, const struct sockaddr_any *addr);
uint16_t loop_free_port(void); /* of those that a client gets */
/* A connection to any name, as a file: /cap/stream. */
struct file *loop_open(const char *name, uint32_t flags, int *error);
bool loop_retry_pending(void); /* connects that found a full backlog; true: there still are such */
void loop_forget_pending(struct loop *l);
bool loop_connects(struct file *f); /* it is one of these: who sleeps for it has to look again every now and then */

/* loop_listen.c: listening and accepting, as net/inet.c and net/unix.c call it */
struct inet_socket;
/* May this cVM provide the port of the address, which is the socket's? 0, -EADDRINUSE or -EACCES. */
nodiscard int loop_may_listen(const struct inet_socket *s, const struct sockaddr_any *addr);
/* `host`: the socket also listens there, or -1. */
nodiscard int loop_listen_inet(struct file *f, const struct sockaddr_any *local, int host, int backlog);
/* A Unix listener keeps its own operations: loop_accept_unix and loop_listener_ready complete them. */
void loop_listen_unix(struct file *f, struct waitq *wait, const char *path, int backlog);
struct file *loop_accept_now(struct file *f, uint32_t flags, int *error); /* NULL and -EAGAIN: none */
bool loop_listener_ready(struct loop *l);
void loop_signal(struct loop *l); /* `both` is ready */
void loop_unlisten(struct loop *l);

/* loop_poll.c */
extern unsigned g_loop_count; /* live ones; atomic */
static inline bool loop_active(void)
{
	return unlikely(__atomic_load_n(&g_loop_count, __ATOMIC_SEQ_CST) != 0);
}
void loop_one_more(void); /* in g_loop_count */
void loop_enter(struct loop *l); /* into and out of the table of event bits */
bool loop_leave(struct loop *l); /* true: nobody else has its capability */
/* A listener enters with the capability of those that have its name, if there are such and none has its address. */
bool loop_join(struct loop *l);
uint32_t loop_refresh(struct loop *l); /* asks the monitor: the new state */
/* Capabilities that somebody passed mean nothing to a program of bytes, but make the stream readable. */
void loop_drop_passed(const struct loop *l);
uint32_t loop_poll(struct file *f);
struct waitq *loop_waitq(struct file *f);
void loop_collect(void); /* fetches what happened and wakes whom it concerns */
/* Before a sleep: if other cVMs are at work, looks for a while whether one has something: for `l`, one of the states, or if that is NULL
 * for what fills `ready`, or if that is NULL too for the calling thread (thread_wake). True: it is not worth to sleep. */
bool loop_linger(struct loop *l, uint32_t states, const struct list *ready);
/* Around a sleep in the host that includes the doorbell. loop_sleep_begin shortens the timeout if need be. */
int loop_doorbell(void); /* host handle, or negative errno */
void loop_sleep_begin(int64_t *timeout);
void loop_sleep_end(void);
bool loop_watches(struct file *f); /* does waiting for f need the doorbell? */
/* Sleeps for one connection alone: as hostcall poll, or -ENOSYS if that cannot be done. */
long loop_sleep_one(struct file *f, uint32_t events, int64_t timeout);

/* loop_events.c: events of capabilities that are the program's own (abi/boot.h, BOOT_EVENTS_DEVICE) */
struct file *loop_events_open(int flags, int *error);
void loop_events_note(uint32_t index); /* by loop_poll.c for each that no socket stands for; not lost while somebody has it open */
extern const struct file_ops g_loop_events_ops;

/* loop_opt.c */
int loop_getopt(struct file *f, int level, int name, void *user, uint32_t *user_size);
int loop_setopt(struct file *f, int level, int name, const void *user, uint32_t size);

/* fs/epoll.c: the file's operations changed; every epoll that watches it starts anew. */
void epoll_reattach(struct file *f);

#endif
