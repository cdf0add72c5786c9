/* A descriptor that must be a socket: how every socket system call begins. */
#ifndef LIBOS_NET_GET_H
#define LIBOS_NET_GET_H

#include "net/socket.h"

/* 0 and a reference in *f, -EBADF or -ENOTSOCK. */
static inline int socket_get(int fd, struct file **f, struct socket **s)
{
	*f = fd_get_open(fd);
	if (!*f)
		return -EBADF;
	*s = socket_of(*f);
	if (*s)
		return 0;
	file_put(*f);
	return -ENOTSOCK;
}

#endif
