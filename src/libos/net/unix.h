/*
 * Unix sockets inside a cVM: libOS objects from end to end, no host descriptor. Stream sockets keep received bytes in a
 * ring with marks where ancillary data belongs; datagram and seqpacket sockets keep a list of messages.
 *
 * Locks: a socket's `lock` guards all of it but `wait`, `room` and `refs`; two sockets' locks are never held at once, and no wait
 * queue is woken under one. A `room` comes before a `wait`. g_names (unix_name.c) guards names and comes before no other lock but inode references.
 * A stream or seqpacket socket's `peer` never changes once set, so its owner may use it without the lock.
 */
#ifndef LIBOS_UNIX_H
#define LIBOS_UNIX_H

#include "ipc/block.h"
#include "ipc/ring.h"
#include "net/socket.h"

#include <linux/un.h>

#define UNIX_BUFFER_DEFAULT 212992u /* as Linux: net.core.wmem_default */
#define UNIX_RING_DEFAULT 262144u
#define UNIX_DATAGRAMS_MAX 11u /* queued from strangers: net.unix.max_dgram_qlen and one */
#define UNIX_PATH_OFFSET ((uint32_t)offsetof(struct sockaddr_un, sun_path))

enum unix_state { UNIX_IDLE, UNIX_LISTENING, UNIX_CONNECTED };
#define UNIX_SHUT_RECEIVE 1u
#define UNIX_SHUT_SEND 2u

struct inode;

/* A bound address; accepted sockets share their listener's. */
struct unix_name {
	struct list link;	  /* g_names */
	struct unix_sock *owner;  /* who is bound to it, NULL when that is gone; g_names */
	struct inode *inode;	  /* path names: owned reference; NULL for abstract ones */
	int type;		  /* SOCK_*: each has abstract names of its own */
	uint32_t refs;		  /* atomic */
	uint32_t size;		  /* of addr as getsockname tells it */
	union {
		uint16_t family;
		struct sockaddr_un addr;
		uint8_t bytes[sizeof(struct sockaddr_un) + 1];
	};
};

/* Ancillary data on its way: owned references to files. */
struct unix_scm {
	struct file **files; /* kmalloc'ed, NULL if none */
	unsigned count;
	bool has_cred;
	struct ucred cred;
};

struct unix_msg {
	struct list link;
	struct unix_scm scm;
	struct unix_name *from; /* owned reference or NULL */
	struct unix_sock *sender; /* datagram, seqpacket: of one that had no name yet; owned reference or NULL */
	uint64_t position;	/* stream: of the first byte it belongs to, in bytes ever received */
	size_t size;
	uint8_t data[]; /* datagram, seqpacket */
};

struct unix_sock {
	struct socket socket; /* first */
	uint32_t refs;	      /* atomic: the file, the peer, a queue it waits in */
	struct mutex lock;
	uint8_t state;	  /* enum unix_state */
	uint8_t shutdown; /* UNIX_SHUT_* */
	bool closed;	  /* the file is gone */
	bool passcred;
	uint8_t flags; /* options that are only remembered (unix_opt.c) */
	int receive_least, priority; /* SO_RCVLOWAT, SO_PRIORITY */
	struct { int on, seconds; } linger;
	int error; /* SO_ERROR, positive */
	struct unix_sock *peer; /* owned reference */
	struct unix_name *name; /* owned reference */

	struct ring ring;	  /* stream: received bytes */
	uint64_t received, consumed; /* stream: bytes ever */
	struct list messages;	  /* struct unix_msg: marks (stream) or messages */
	unsigned message_count;
	size_t queued; /* bytes in messages (not stream) */

	struct list backlog; /* listening: embryos by `embryo` */
	struct list embryo;  /* in a listener's backlog; the listener's lock */
	unsigned backlog_count, backlog_max;

	struct ucred peer_cred; /* of a listening one its own */
	uint32_t send_buffer, receive_buffer; /* as getsockopt tells them */
	int64_t send_timeout, receive_timeout; /* ns, -1 for none */
	uint64_t inode;
	struct waitq wait;
	struct waitq room;   /* datagrams: of those that are connected to it, by `relay` */
	struct waiter relay; /* in its peer's `room`: what is told there wakes `wait`, too; lock */
};

/* unix.c */
void unix_get(struct unix_sock *s);
void unix_put(struct unix_sock *s);
struct unix_sock *unix_peer_get(struct unix_sock *s); /* new reference or NULL */
static inline struct unix_sock *unix_of(struct file *f)
{
	return f->data;
}
static inline bool unix_is_stream(const struct unix_sock *s)
{
	return s->socket.type == SOCK_STREAM;
}
/* Connection-oriented: stream and seqpacket. */
static inline bool unix_connects(const struct unix_sock *s)
{
	return s->socket.type != SOCK_DGRAM;
}
static inline bool unix_nonblock(const struct file *f, uint32_t flags)
{
	return (flags & MSG_DONTWAIT) || (f->flags & O_NONBLOCK);
}

/* unix_opt.c */
int unix_getopt(struct file *f, int level, int name, void *user, uint32_t *user_size);
int unix_setopt(struct file *f, int level, int name, const void *user, uint32_t size);
int unix_error(struct file *f, int next); /* struct socket_ops */

/* unix_name.c */
nodiscard int unix_name_bind(struct unix_sock *s, const struct sockaddr_any *addr);
nodiscard int unix_name_for_credentials(struct unix_sock *s); /* who passes them gets a name when it connects or sends */
/* The socket of a type that is bound to an address: new reference, or NULL with *error. */
struct unix_sock *unix_name_lookup(const struct sockaddr_any *addr, int type, int *error);
void unix_name_unbind(struct unix_sock *s); /* the owner closes: the name is free again */
struct unix_name *unix_name_get(struct unix_name *n);
void unix_name_put(struct unix_name *n);
/* Sets addr to n's address (NULL: the unnamed one). */
void unix_name_address(const struct unix_name *n, struct sockaddr_any *addr);
/* Tells the program who sent, if it asked. */
nodiscard int unix_name_to_msg(const struct unix_name *n, struct socket_msg *msg);

/* unix_scm.c */
nodiscard int scm_from_user(struct unix_scm *scm, const struct socket_msg *msg);
void scm_own_cred(struct unix_scm *scm); /* the calling process's credentials */
/* Installs descriptors and writes control data; consumes scm. Sets control_size and MSG_CTRUNC. */
void scm_to_user(struct unix_scm *scm, struct socket_msg *msg, bool cloexec);
nodiscard int scm_dup(struct unix_scm *out, const struct unix_scm *scm);
void scm_free(struct unix_scm *scm);
void unix_msg_free(struct unix_msg *m);

/* unix_stream.c, unix_dgram.c: called without locks */
ssize_t unix_stream_send(struct file *f, struct socket_msg *msg, uint32_t flags, struct unix_scm *scm);
ssize_t unix_stream_recv(struct file *f, struct socket_msg *msg, uint32_t flags);
ssize_t unix_dgram_send(struct file *f, struct socket_msg *msg, uint32_t flags, struct unix_scm *scm);
/* `s` has another peer or none: what had come is lost, of which the old one learns if it was connected to it. */
void unix_dgram_left(struct unix_sock *s, struct unix_sock *old);
ssize_t unix_dgram_recv(struct file *f, struct socket_msg *msg, uint32_t flags);

#endif
