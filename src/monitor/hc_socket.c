/*
 * Socket hostcalls: IPv4 and IPv6, TCP and UDP, on host sockets. Where a socket may be bound and what it may talk to is
 * decided here by the grants of the launch description; addresses are copied once and checked before the kernel sees
 * the copy. No ancillary data, no raw sockets, no options that reach beyond the socket itself.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "host/syscall.h"
#include "monitor/hostcalls.h"

#define ADDRESS_MAX 28
#define OPTION_MAX 64
/* OOB PEEK DONTROUTE TRUNC DONTWAIT EOR WAITALL NOSIGNAL MORE; not FASTOPEN, ERRQUEUE, ZEROCOPY, CMSG_* */
#define MSG_ALLOWED 0xc1e7u

struct address {
	union {
		uint16_t family;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		uint8_t bytes[ADDRESS_MAX];
	};
	uint32_t size;
};

static int address_in(const struct cvm *c, struct address *out, uint64_t user, uint64_t size)
{
	memset(out, 0, sizeof *out);
	if (size < 2 || size > 128)
		return -EINVAL;
	out->size = (uint32_t)MIN(size, (uint64_t)ADDRESS_MAX);
	if (user_in(c, out->bytes, (struct gaddr){ user }, out->size))
		return -EFAULT;
	if (out->family == AF_INET)
		return size >= sizeof out->in ? 0 : -EINVAL;
	if (out->family == AF_INET6)
		return size >= 24 ? 0 : -EINVAL;
	return out->family == AF_UNSPEC ? 0 : -EAFNOSUPPORT;
}

static bool prefix_matches(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	return !memcmp(a, b, bits / 8) && (bits % 8 == 0 || !((a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8)));
}

static uint16_t swap16(uint16_t x)
{
	return (uint16_t)(x << 8 | x >> 8);
}

/* Does a grant of `c` cover this? An IPv4-mapped IPv6 address counts as the IPv4 address it means. */
static bool granted(const struct cvm *c, unsigned action, unsigned protocol, const struct address *address)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	uint16_t family = address->family, port = swap16(address->in.sin_port);
	const uint8_t *bytes = (const uint8_t *)&address->in.sin_addr;

	if (insecure(LAUNCH_INSECURE_NO_NET_CHECK))
		return true;
	if (family == AF_INET6) {
		bytes = (const uint8_t *)&address->in6.sin6_addr;
		if (!memcmp(bytes, mapped, sizeof mapped)) {
			family = AF_INET;
			bytes += sizeof mapped;
		}
	}
	for (uint32_t i = 0; i < c->config->net_rules; i++) {
		const struct launch_net_rule *r = &c->config->net_rule[i];
		if (r->action == action && r->protocol == protocol && r->family == family && port >= r->port_first &&
		    port <= r->port_last && prefix_matches(bytes, r->address, r->prefix))
			return true;
	}
	return false;
}

static unsigned protocol_of(const struct handle *h)
{
	return LOAD(h->rights) & RIGHT_UDP ? IPPROTO_UDP : IPPROTO_TCP;
}

long hc_sock_create(struct thread *t, const uint64_t *a)
{
	uint64_t type = a[1] & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC);
	uint64_t protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;

	if (a[0] != AF_INET && a[0] != AF_INET6)
		return -EAFNOSUPPORT;
	if ((type != SOCK_STREAM && type != SOCK_DGRAM) || (a[2] && a[2] != protocol))
		return -EACCES;
	long fd = host(__NR_socket, a[0], a[1] | SOCK_CLOEXEC, protocol);
	return fd < 0 ? fd : handle_add(t->cvm, (int)fd, HANDLE_SOCKET, LAUNCH_RIGHT_READ | LAUNCH_RIGHT_WRITE | (type == SOCK_DGRAM ? RIGHT_UDP : 0));
}

HOSTCALL_ON_HANDLE(sock_bind, HANDLE_SOCKET)
{
	struct address address;
	int error = address_in(t->cvm, &address, a[1], a[2]);

	if (error)
		return error;
	if (address.family == AF_UNSPEC)
		address.family = AF_INET; /* Linux takes it for 0.0.0.0 */
	if (!granted(t->cvm, LAUNCH_NET_BIND, protocol_of(h), &address))
		return -EACCES;
	error = (int)host(__NR_bind, h->fd, address.bytes, address.size);
	if (!error)
		__atomic_or_fetch(&h->rights, RIGHT_LISTEN, __ATOMIC_RELAXED);
	return error;
}

HOSTCALL_ON_HANDLE(sock_connect, HANDLE_SOCKET)
{
	struct address address;
	int error = address_in(t->cvm, &address, a[1], a[2]);

	if (error)
		return error;
	if (address.family != AF_UNSPEC && !granted(t->cvm, LAUNCH_NET_CONNECT, protocol_of(h), &address))
		return -EACCES;
	return host_blocking(__NR_connect, h->fd, address.bytes, address.size);
}

/* listen on an unbound socket binds it to a port of the kernel's choice: that needs the grant for it. Whether it is unbound cannot be
 * seen: one whose connection failed keeps showing the port it had, and another thread may disconnect it. */
HOSTCALL_ON_HANDLE(sock_listen, HANDLE_SOCKET)
{
	struct address address = { 0 };
	uint32_t size = sizeof address.family; /* no port, no address */

	if (!(LOAD(h->rights) & RIGHT_LISTEN) && (host(__NR_getsockname, h->fd, address.bytes, &size) ||
						   !granted(t->cvm, LAUNCH_NET_BIND, protocol_of(h), &address)))
		return -EACCES;
	return host(__NR_listen, h->fd, a[1]);
}

/* Gives an address back with its size, cut to the room there is. */
static int address_out(const struct cvm *c, const uint8_t *bytes, uint32_t size, uint64_t user, uint64_t user_size)
{
	uint32_t room;

	if (user_in(c, &room, (struct gaddr){ user_size }, sizeof room) ||
	    user_out(c, (struct gaddr){ user }, bytes, MIN(MIN(room, size), 128u)))
		return -EFAULT;
	return user_out(c, (struct gaddr){ user_size }, &size, sizeof size);
}

HOSTCALL_ON_HANDLE(sock_accept, HANDLE_SOCKET)
{
	uint8_t bytes[128];
	uint32_t size = sizeof bytes;

	if (a[3] & ~(uint64_t)SOCK_NONBLOCK)
		return -EINVAL;
	long fd = host_blocking(__NR_accept4, h->fd, bytes, &size, a[3] | SOCK_CLOEXEC);
	if (fd < 0)
		return fd;
	if (a[1] && address_out(t->cvm, bytes, size, a[1], a[2])) {
		host(__NR_close, fd);
		return -EFAULT;
	}
	return handle_add(t->cvm, (int)fd, HANDLE_SOCKET, LAUNCH_RIGHT_READ | LAUNCH_RIGHT_WRITE);
}

/* The message, its buffers and the flags of sock_send and sock_recv: number of buffers or negative errno. */
static long message_in(const struct cvm *c, const uint64_t *a, struct hc_msg *m, struct iovec *iov)
{
	if (user_in(c, m, (struct gaddr){ a[1] }, sizeof *m))
		return -EFAULT;
	return a[2] & ~(uint64_t)MSG_ALLOWED ? -EOPNOTSUPP : iov_in(c, iov, m->iov, m->iov_count);
}

HOSTCALL_ON_HANDLE(sock_send, HANDLE_SOCKET)
{
	struct iovec iov[HC_IOV_MAX];
	struct address address;
	struct hc_msg m;
	long count = message_in(t->cvm, a, &m, iov);
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (uint64_t)count };
	int error = count < 0 ? (int)count : m.name ? address_in(t->cvm, &address, m.name, m.name_size) : 0;

	if (error)
		return error;
	if (m.name) {
		msg.msg_name = address.bytes;
		msg.msg_namelen = address.size;
		if (address.family == AF_UNSPEC)
			address.family = AF_INET;
		if (!granted(t->cvm, LAUNCH_NET_CONNECT, protocol_of(h), &address))
			return -EACCES;
	}
	return host_blocking(__NR_sendmsg, h->fd, &msg, a[2] | MSG_NOSIGNAL);
}

HOSTCALL_ON_HANDLE(sock_recv, HANDLE_SOCKET)
{
	struct iovec iov[HC_IOV_MAX];
	uint8_t name[128];
	struct hc_msg m;
	long count = message_in(t->cvm, a, &m, iov);
	struct msghdr msg = { .msg_name = name, .msg_namelen = sizeof name, .msg_iov = iov, .msg_iovlen = (uint64_t)count };
	long r = count < 0 ? count : host_blocking(__NR_recvmsg, h->fd, &msg, a[2]);

	if (r < 0)
		return r;
	uint32_t size = msg.msg_namelen;
	if (m.name && user_out(t->cvm, (struct gaddr){ m.name }, name, MIN(MIN(m.name_size, size), (uint32_t)sizeof name)))
		return -EFAULT;
	m.name_size = size;
	m.flags = (uint32_t)msg.msg_flags;
	return user_out(t->cvm, (struct gaddr){ a[1] }, &m, sizeof m) ? -EFAULT : r;
}

static bool option_allowed(uint64_t level, uint64_t name, bool set)
{
	/* REUSEADDR TYPE ERROR DONTROUTE BROADCAST SNDBUF RCVBUF KEEPALIVE OOBINLINE PRIORITY LINGER REUSEPORT RCVLOWAT
	 * SNDLOWAT RCVTIMEO SNDTIMEO ACCEPTCONN PROTOCOL DOMAIN */
	static const uint8_t socket[] = { 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 18, 19, 20, 21, 30, 38, 39 };

	switch (level) {
	case SOL_SOCKET:
		return memchr(socket, (int)name, sizeof socket) && name < 256 && (!set || name != 12);
	case IPPROTO_TCP:
		return name == TCP_NODELAY || name == TCP_MAXSEG || name == TCP_CORK || name == TCP_KEEPIDLE ||
		       name == TCP_KEEPINTVL || name == TCP_KEEPCNT || name == TCP_SYNCNT || name == TCP_LINGER2 ||
		       name == TCP_DEFER_ACCEPT || name == TCP_QUICKACK || name == TCP_USER_TIMEOUT ||
		       name == TCP_NOTSENT_LOWAT || (!set && (name == TCP_INFO || name == TCP_CONGESTION));
	case IPPROTO_IP:
		return name == IP_TOS || name == IP_TTL || name == IP_RECVERR || name == IP_MTU_DISCOVER;
	case IPPROTO_IPV6:
		return name == IPV6_V6ONLY || name == IPV6_TCLASS || name == IPV6_UNICAST_HOPS || name == IPV6_RECVERR;
	default:
		return false;
	}
}

HOSTCALL_ON_HANDLE(sock_getopt, HANDLE_SOCKET)
{
	uint32_t size;

	if (!option_allowed(a[1], a[2], false))
		return -ENOPROTOOPT;
	if (user_in(t->cvm, &size, (struct gaddr){ a[4] }, sizeof size) || !in_slot(t->cvm, (struct gaddr){ a[3] }, size))
		return -EFAULT;
	long r = host5(__NR_getsockopt, h->fd, (long)a[1], (long)a[2], (long)a[3], (long)&size);
	return r ? r : user_out(t->cvm, (struct gaddr){ a[4] }, &size, sizeof size);
}

HOSTCALL_ON_HANDLE(sock_setopt, HANDLE_SOCKET)
{
	int32_t linger[2] = { 0 };
	uint64_t value = a[3];

	if (!option_allowed(a[1], a[2], true))
		return -ENOPROTOOPT;
	if (a[4] > OPTION_MAX || !in_slot(t->cvm, (struct gaddr){ a[3] }, a[4]))
		return a[4] > OPTION_MAX ? -EINVAL : -EFAULT;
	if (a[1] == SOL_SOCKET && a[2] == SO_LINGER) { /* closing must not wait: the supervisor does that at the end */
		if (a[4] != sizeof linger || user_in(t->cvm, linger, (struct gaddr){ value }, sizeof linger))
			return -EINVAL;
		linger[0] = linger[1] ? 0 : linger[0];
		value = (uint64_t)linger;
	}
	return host5(__NR_setsockopt, h->fd, (long)a[1], (long)a[2], (long)value, (long)a[4]);
}

HOSTCALL_ON_HANDLE(sock_name, HANDLE_SOCKET | HANDLE_STDIO)
{
	uint8_t bytes[128];
	uint32_t size = sizeof bytes;
	long r = host(a[1] ? __NR_getpeername : __NR_getsockname, h->fd, bytes, &size);

	return r ? r : address_out(t->cvm, bytes, size, a[2], a[3]);
}
