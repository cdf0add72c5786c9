/* Host sockets: what inet.c (state, names, options) and inet_msg.c (messages) share. */
#ifndef LIBOS_INET_H
#define LIBOS_INET_H

#include "net/socket.h"

struct inet_socket {
	struct socket socket; /* first */
	int handle;	      /* host socket, owned */
	bool receive_timeout, send_timeout; /* SO_RCVTIMEO, SO_SNDTIMEO are set */
	uint64_t inode;
};

ssize_t inet_send(struct file *f, struct socket_msg *msg, uint32_t flags);
ssize_t inet_recv(struct file *f, struct socket_msg *msg, uint32_t flags);
/* More buffers than one hostcall takes. */
ssize_t inet_write_many(struct file *f, const struct iovec *iov, unsigned count);

#endif
