/* Host sockets: what inet.c (state, names, options) and inet_msg.c (messages) share. */
#ifndef LIBOS_INET_H
#define LIBOS_INET_H

#include "abi/hostcall.h"
#include "net/socket.h"

struct inet_multicast {
	uint8_t ttl, loop, hops6, loop6;
};

struct inet_socket {
	struct socket socket; /* first */
	int handle;	      /* host socket, owned; -1 until inet_host() makes it */
	bool host_used;	      /* connect or listen went to the host: it stays there */
	int64_t receive_timeout, send_timeout; /* SO_RCVTIMEO, SO_SNDTIMEO in ns; 0: none */
	bool priority_set;    /* SO_PRIORITY is ours, the host's does not change: it would speak for all cVMs */
	int priority;
	struct inet_multicast multicast; /* inet_multicast.c */
	uint64_t inode;
	struct sockaddr_any bound; /* the host may not bind it, but other cVMs may reach it there (net/loop.h); size 0: not so */
};

/* The host's socket of a file, made when it is first needed: many only ever reach other cVMs. Handle or negative errno. */
long inet_make_host(struct file *f);
static inline long inet_host(struct file *f)
{
	const struct inet_socket *s = f->data;

	return likely(s->handle >= 0) ? s->handle : inet_make_host(f);
}

/* A hostcall on it. */
#define inet_call(f, number, ...)                                                                                     \
	({                                                                                                            \
		long host_ = inet_host(f);                                                                            \
		host_ < 0 ? host_ : hostcall(number, host_, __VA_ARGS__);                                              \
	})

/* The file of a connection that was accepted on a host socket; owns the handle from now on, also on failure. */
struct file *inet_accepted(long handle, struct file *listener, uint32_t flags, int *error);

ssize_t inet_send(struct file *f, struct socket_msg *msg, uint32_t flags);
ssize_t inet_recv(struct file *f, struct socket_msg *msg, uint32_t flags);
/* inet_control.c: what msg says besides where it goes, in m; `source` is m's from now on. 0 or negative errno. */
nodiscard int inet_control_send(const struct inet_socket *s, const struct socket_msg *msg, struct hc_msg *m, struct sockaddr_any *source);
/* Control data that came from the host, of which there is room in msg. */
nodiscard int inet_control_received(struct socket_msg *msg, uint8_t *control, size_t size);
/* inet_multicast.c: getsockopt and setsockopt of what concerns groups; -ENOPROTOOPT: another option. */
void inet_multicast_init(struct inet_socket *s);
nodiscard int inet_multicast_get(struct inet_socket *s, int level, int name, void *user, uint32_t *user_size);
nodiscard int inet_multicast_set(struct inet_socket *s, int level, int name, const void *user, uint32_t size);
/* More buffers than one hostcall takes. */
ssize_t inet_write_many(struct file *f, const struct iovec *iov, unsigned count);

#endif
