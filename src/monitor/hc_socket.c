/*
 * Socket hostcalls: IPv4 and IPv6, TCP and UDP, on host sockets. Where a socket may be bound and what it may talk to is
 * decided here by the grants of the launch description; addresses are copied once and checked before the kernel sees
 * the copy. What the kernel tells of a message goes straight to the caller; what it is told is made here: where the message goes, and
 * where from. No raw sockets, no options that reach beyond the socket itself. accept and getsockname are rows (hc_rows.c).
 */
#define _GNU_SOURCE
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

/* Does a grant of `c` cover this? An IPv4-mapped IPv6 address counts as the IPv4 address it means. */
static bool granted(const struct cvm *c, unsigned action, unsigned protocol, const struct address *address)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	uint16_t family = address->family, port = __builtin_bswap16(address->in.sin_port);
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

/* The message, its buffers and the flags of sock_send and sock_recv: number of buffers or negative errno. */
static long message_in(const struct cvm *c, const uint64_t *a, struct hc_msg *m, struct iovec *iov)
{
	if (user_in(c, m, (struct gaddr){ a[1] }, sizeof *m))
		return -EFAULT;
	return a[2] & ~(uint64_t)MSG_ALLOWED ? -EOPNOTSUPP : iov_in(c, iov, m->iov, m->iov_count);
}

/* One more thing that the kernel is told of a message. */
static void control_add(struct msghdr *msg, int level, int type, const void *data, uint64_t size)
{
	struct cmsghdr *k = (struct cmsghdr *)((char *)msg->msg_control + msg->msg_controllen);

	*k = (struct cmsghdr){ .cmsg_len = (socklen_t)CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type };
	memcpy(k + 1, data, size);
	msg->msg_controllen += (socklen_t)CMSG_SPACE(size);
}

/* The address that a datagram comes from must be one that the socket, with the port it has, could have been bound to. Which
 * interface it leaves by is the host's to say. */
static int source_in(const struct cvm *c, const struct handle *h, const struct hc_msg *m, struct msghdr *msg)
{
	struct address source, local = { 0 };
	uint32_t size = sizeof local.bytes;
	int error = address_in(c, &source, m->source, m->source_size) ?: (int)host(__NR_getsockname, h->fd, local.bytes, &size);

	source.in.sin_port = local.in.sin_port;
	if (error || !granted(c, LAUNCH_NET_BIND, protocol_of(h), &source))
		return error ?: -EACCES;
	if (source.family == AF_INET)
		control_add(msg, IPPROTO_IP, IP_PKTINFO, &(struct in_pktinfo){ .ipi_spec_dst = source.in.sin_addr }, sizeof(struct in_pktinfo));
	else
		control_add(msg, IPPROTO_IPV6, IPV6_PKTINFO, &(struct in6_pktinfo){ .ipi6_addr = source.in6.sin6_addr }, sizeof(struct in6_pktinfo));
	return 0;
}

HOSTCALL_ON_HANDLE(sock_send, HANDLE_SOCKET)
{
	struct iovec iov[HC_IOV_MAX];
	_Alignas(8) char control[128];
	struct address address;
	struct hc_msg m;
	long count = message_in(t->cvm, a, &m, iov);
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (uint64_t)count, .msg_control = control };
	int error = count < 0 ? (int)count : m.name ? address_in(t->cvm, &address, m.name, m.name_size) : 0;

	if (error || (m.source && (error = source_in(t->cvm, h, &m, &msg))))
		return error;
	if (m.hops)
		control_add(&msg, m.six ? IPPROTO_IPV6 : IPPROTO_IP, m.six ? IPV6_HOPLIMIT : IP_TTL, &(int){ m.hops - 2 }, sizeof(int));
	if (m.traffic_class)
		control_add(&msg, m.six ? IPPROTO_IPV6 : IPPROTO_IP, m.six ? IPV6_TCLASS : IP_TOS, &(int){ m.traffic_class - 2 }, sizeof(int));
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
	struct hc_msg m;
	long r = message_in(t->cvm, a, &m, iov);
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (uint64_t)r };

	if (r < 0 || (m.name_size && !in_slot(t->cvm, (struct gaddr){ m.name }, m.name_size)) ||
	    (m.control_size && !in_slot(t->cvm, (struct gaddr){ m.control }, m.control_size)))
		return r < 0 ? r : -EFAULT;
	msg.msg_name = (void *)m.name;
	msg.msg_namelen = m.name_size;
	msg.msg_control = (void *)m.control;
	msg.msg_controllen = m.control_size;
	r = host_blocking(__NR_recvmsg, h->fd, &msg, a[2]);
	m.name_size = msg.msg_namelen;
	m.control_size = (uint32_t)msg.msg_controllen;
	m.flags = (uint32_t)msg.msg_flags;
	return r >= 0 && user_out(t->cvm, (struct gaddr){ a[1] }, &m, sizeof m) ? -EFAULT : r;
}

/* Of level SOL_SOCKET by number: REUSEADDR TYPE ERROR DONTROUTE BROADCAST SNDBUF RCVBUF KEEPALIVE OOBINLINE LINGER REUSEPORT RCVLOWAT
 * SNDLOWAT RCVTIMEO SNDTIMEO TIMESTAMP ACCEPTCONN TIMESTAMPNS PROTOCOL DOMAIN; PRIORITY is only to be read. */
static bool option_allowed(uint64_t level, uint64_t name, bool set)
{
	static const struct {
		uint8_t level, read_only, name[20];
	} row[] = {
		{ SOL_SOCKET, false, { 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 15, 18, 19, 20, 21, 29, 30, 35, 38, 39 } },
		{ SOL_SOCKET, true, { 12 } },
		{ IPPROTO_TCP, false, { TCP_NODELAY, TCP_MAXSEG, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT,
			TCP_LINGER2, TCP_DEFER_ACCEPT, TCP_QUICKACK, TCP_USER_TIMEOUT, TCP_NOTSENT_LOWAT } },
		{ IPPROTO_TCP, true, { TCP_INFO, TCP_CONGESTION } },
		{ IPPROTO_IP, false, { IP_TOS, IP_TTL, IP_PKTINFO, IP_RECVERR, IP_MTU_DISCOVER, IP_RECVTTL, IP_RECVTOS } },
		{ IPPROTO_IPV6, false, { IPV6_V6ONLY, IPV6_TCLASS, IPV6_UNICAST_HOPS, IPV6_RECVERR, IPV6_RECVPKTINFO,
			IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS } },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(row); i++)
		if (row[i].level == level && !(set && row[i].read_only) && name - 1 < 255 &&
		    memchr(row[i].name, (int)name, sizeof row[i].name))
			return true;
	return false;
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
