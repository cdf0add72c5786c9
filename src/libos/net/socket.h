/*
 * Sockets: what the system calls (sys/sys_net*.c) need from every kind of socket: host sockets (net/inet*.c), Unix
 * sockets (net/unix*.c) and netlink (net/netlink.c). A socket is a struct file whose data starts with a struct socket.
 */
#ifndef LIBOS_SOCKET_H
#define LIBOS_SOCKET_H

#include "fs/file.h"

#include <asm/socket.h>
#include <linux/mqueue.h>
#include <linux/socket.h>

/* Part of the system call ABI, but in no uapi header. */
enum { AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET = 17, AF_MAX = 46 };
enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_SEQPACKET = 5, SOCK_PACKET = 10, SOCK_TYPE_MASK = 0xf };
enum { SHUT_RD = 0, SHUT_WR = 1, SHUT_RDWR = 2 };
enum { SOL_SOCKET_SCM = 1, SCM_RIGHTS = 1, SCM_CREDENTIALS = 2 };
#define SOCK_CLOEXEC O_CLOEXEC
#define SOCK_NONBLOCK O_NONBLOCK
#define SOMAXCONN 4096
#define SCM_MAX_FD 253

#define MSG_OOB 0x1u
#define MSG_PEEK 0x2u
#define MSG_DONTROUTE 0x4u
#define MSG_CTRUNC 0x8u
#define MSG_TRUNC 0x20u
#define MSG_DONTWAIT 0x40u
#define MSG_EOR 0x80u
#define MSG_WAITALL 0x100u
#define MSG_CONFIRM 0x800u
#define MSG_ERRQUEUE 0x2000u
#define MSG_NOSIGNAL 0x4000u
#define MSG_MORE 0x8000u
#define MSG_WAITFORONE 0x10000u
#define MSG_CMSG_CLOEXEC 0x40000000u

struct user_msghdr {
	void *msg_name;
	int32_t msg_namelen;
	const struct iovec *msg_iov;
	uint64_t msg_iovlen;
	void *msg_control;
	uint64_t msg_controllen;
	uint32_t msg_flags;
};

struct user_mmsghdr {
	struct user_msghdr hdr;
	uint32_t len;
};

struct cmsghdr {
	uint64_t cmsg_len;
	int32_t cmsg_level;
	int32_t cmsg_type;
};

struct ucred {
	int32_t pid;
	uint32_t uid, gid;
};

#define SOCKET_CONTROL_MAX 20480u /* bytes of ancillary data that a program may send */
#define LOOPBACK_INDEX 1 /* of "lo", the only interface that a program knows */
#define SOCKADDR_MAX sizeof(struct __kernel_sockaddr_storage)

struct sockaddr_any {
	union {
		uint16_t family;
		struct __kernel_sockaddr_storage storage;
	};
	uint32_t size; /* 0: none */
};

/* One message. The iovec array is in libOS memory; name, control and the buffers are program addresses. */
struct socket_msg {
	void *name;	    /* or NULL */
	uint32_t name_size; /* in: room or size; recv sets the true size */
	unsigned count;
	const struct iovec *iov;
	void *control;
	size_t control_size; /* in: room or size; recv sets what it used */
	uint32_t flags;	     /* recv sets MSG_TRUNC ... */
};

/* All: 0, a count or negative errno. A missing operation is -EOPNOTSUPP. `flags` of send and recv: MSG_*;
 * O_NONBLOCK is in f->flags. */
struct socket_ops {
	int (*bind)(struct file *f, const struct sockaddr_any *addr);
	int (*connect)(struct file *f, const struct sockaddr_any *addr);
	int (*listen)(struct file *f, int backlog);
	/* One reference, and the address of the other end. flags: O_NONBLOCK or 0. */
	struct file *(*accept)(struct file *f, struct sockaddr_any *peer, uint32_t flags, int *error);
	int (*name)(struct file *f, bool peer, struct sockaddr_any *addr);
	ssize_t (*send)(struct file *f, struct socket_msg *msg, uint32_t flags);
	ssize_t (*recv)(struct file *f, struct socket_msg *msg, uint32_t flags);
	int (*shutdown)(struct file *f, int how);
	int (*error)(struct file *f, int next); /* what SO_ERROR would tell, positive, and what it tells next */
	int (*getopt)(struct file *f, int level, int name, void *user, uint32_t *user_size);
	int (*setopt)(struct file *f, int level, int name, const void *user, uint32_t size);
};

struct loop;

struct socket {
	const struct socket_ops *ops;
	uint16_t domain, type;
	int32_t protocol;
	struct loop *loop; /* connects to or listens for other cVMs (net/loop.h), or NULL */
};

/* The socket behind f, or NULL. */
struct socket *socket_of(struct file *f);

/* Each family's socket(2): one reference, or NULL with *error negative. flags: O_NONBLOCK or 0. */
nodiscard struct file *inet_socket(int domain, int type, int protocol, uint32_t flags, int *error);
nodiscard struct file *unix_socket(int type, int protocol, uint32_t flags, int *error);
nodiscard int unix_socketpair(int type, int protocol, uint32_t flags, struct file *pair[2]);
nodiscard struct file *netlink_socket(int type, int protocol, uint32_t flags, int *error);
/* What mq_notify(2) says to who asked by SIGEV_THREAD: a datagram of an AF_NETLINK socket's. */
struct netlink_note {
	struct list link;
	uint8_t data[NOTIFY_COOKIE_LEN];
};
nodiscard int netlink_check(struct file *f); /* -ENOTSOCK, -EINVAL: of another family */
void netlink_deliver(struct file *f, struct netlink_note *note); /* takes the note, which is kmalloc'ed */
/* ioctl(2) on a socket of any family, SIOCGIFNAME to SIOCGIFINDEX: netdevice(7). */
long interface_ioctl(unsigned long request, void *user);
extern const struct file_ops g_inet_file_ops, g_unix_file_ops, g_netlink_file_ops;

/* Helpers of sys_net.c and the families. */
nodiscard int sockaddr_from_user(struct sockaddr_any *addr, const void *user, uint32_t size);
/* Writes at most *user_size bytes and the true size; as getsockname(2) does. */
nodiscard int sockaddr_to_user(const struct sockaddr_any *addr, void *user, uint32_t *user_size);
struct in6_addr;
/* Does it stand for an address of IPv4 (::ffff:1.2.3.4)? */
bool address_is_mapped(const struct in6_addr *a);
/* Answers a getsockopt with `size` bytes, cut to the program's room. */
nodiscard int option_to_user(const void *value, uint32_t size, void *user, uint32_t *user_size);
/* SO_RCVTIMEO and SO_SNDTIMEO as nanoseconds; -1: none. */
nodiscard int timeout_to_user(int64_t timeout, void *user, uint32_t *user_size);
nodiscard int timeout_from_user(int64_t *timeout, const void *user, uint32_t size);
/* The head of what is at *at in the ancillary data to send, and *at behind it. Where its bytes are; 0: there is no more; -EINVAL, ... */
nodiscard int control_next(const struct socket_msg *msg, size_t *at, struct cmsghdr *head);
/* Does a socket that is no Unix one ignore this type of SOL_SOCKET, as Linux does? */
bool control_ignored(int type);
/* Ancillary data to send where nothing comes of it: only what Linux ignores there. With refuse_rights descriptors are -EOPNOTSUPP. */
nodiscard int control_check(const struct socket_msg *msg, bool refuse_rights);
/* SOL_SOCKET options that the libOS knows itself (SO_TYPE, SO_DOMAIN, SO_PROTOCOL); -ENOPROTOOPT for others. */
nodiscard int socket_getopt_common(struct socket *s, int level, int name, void *user, uint32_t *user_size);

#endif
