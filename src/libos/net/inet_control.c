/*
 * Control data of host sockets (ip(7), ipv6(7)). What a program says of one datagram, where it comes from, its hops and traffic class,
 * becomes fields of struct hc_msg; whether it may come from there is the monitor's to say. What the kernel says of one comes through as it
 * is, but for the interface: a program knows only "lo" (net/interface.c). Levels that are not the destination's are ignored, as in Linux.
 */
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "net/inet.h"

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ipv6.h>

struct piece {
	struct cmsghdr head;
	union {
		int32_t number;
		uint8_t byte;
		struct in_pktinfo four;
		struct in6_pktinfo six;
	};
};

/* Does the datagram go by IPv4? */
static bool goes_by_four(const struct inet_socket *s, const struct socket_msg *msg)
{
	struct sockaddr_any to = { .size = SOCKADDR_MAX };

	if (s->socket.domain == AF_INET)
		return true;
	if (msg->name ? sockaddr_from_user(&to, msg->name, msg->name_size) : hostcall(HC_sock_peer, s->handle, &to.storage, &to.size) != 0)
		return false;
	return to.family == AF_INET || address_is_mapped(&((const struct sockaddr_in6 *)&to.storage)->sin6_addr);
}

/* As struct hc_msg has it. */
static int set_number(int value, int least, uint16_t *out)
{
	if (value < least || value > 255)
		return -EINVAL;
	*out = (uint16_t)(value + 2);
	return 0;
}

static int set_source(struct sockaddr_any *source, unsigned family, int interface, const void *address, size_t size)
{
	static const uint8_t any[16];
	uint8_t *at = (uint8_t *)&source->storage;

	if (interface != 0 && interface != LOOPBACK_INDEX)
		return -ENODEV;
	if (!memcmp(address, any, size))
		return 0;
	memset(at, 0, sizeof(source->storage));
	source->family = (uint16_t)family;
	source->size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	memcpy(at + (family == AF_INET ? offsetof(struct sockaddr_in, sin_addr) : offsetof(struct sockaddr_in6, sin6_addr)), address, size);
	return 0;
}

static int take_four(const struct piece *p, size_t size, struct hc_msg *m, struct sockaddr_any *source)
{
	switch (p->head.cmsg_type) {
	case IP_PKTINFO:
		return size != sizeof(p->four) ? -EINVAL :
			set_source(source, AF_INET, p->four.ipi_ifindex, &p->four.ipi_spec_dst, sizeof(p->four.ipi_spec_dst));
	case IP_TTL:
		return size != sizeof(p->number) ? -EINVAL : set_number(p->number, 1, &m->hops);
	case IP_TOS:
		if (size != sizeof(p->number) && size != sizeof(p->byte))
			return -EINVAL;
		return set_number(size == sizeof(p->byte) ? p->byte : p->number, 0, &m->traffic_class);
	default:
		return -EINVAL;
	}
}

static int take_six(const struct piece *p, size_t size, struct hc_msg *m, struct sockaddr_any *source)
{
	switch (p->head.cmsg_type) {
	case IPV6_PKTINFO:
		return size < sizeof(p->six) ? -EINVAL :
			set_source(source, AF_INET6, p->six.ipi6_ifindex, &p->six.ipi6_addr, sizeof(p->six.ipi6_addr));
	case IPV6_HOPLIMIT:
		return size != sizeof(p->number) ? -EINVAL : set_number(p->number, -1, &m->hops);
	case IPV6_TCLASS:
		return size != sizeof(p->number) ? -EINVAL : set_number(p->number, -1, &m->traffic_class);
	default:
		return -EINVAL;
	}
}

/* Of a socket over IPv6 that sends to an IPv4 address, only the source is looked at in IPv6's form. */
static int take(const struct inet_socket *s, const struct piece *p, size_t size, struct hc_msg *m, struct sockaddr_any *source)
{
	bool six = s->socket.domain == AF_INET6;
	int level = p->head.cmsg_level;

	if (level == SOL_SOCKET)
		return control_ignored(p->head.cmsg_type) ? 0 : p->head.cmsg_type == SO_MARK ? -EPERM : -EINVAL;
	if (s->socket.type == SOCK_STREAM)
		return 0;
	if (level == IPPROTO_UDP)
		return -EINVAL;
	if (level == IPPROTO_IP && !m->six)
		return take_four(p, size, m, source);
	if (level == IPPROTO_IPV6 && m->six)
		return take_six(p, size, m, source);
	if (level == IPPROTO_IPV6 && six && p->head.cmsg_type == IPV6_PKTINFO)
		return size < sizeof(p->six) || !address_is_mapped(&p->six.ipi6_addr) ? -EINVAL : take_six(p, size, m, source);
	return 0;
}

int inet_control_send(const struct inet_socket *s, const struct socket_msg *msg, struct hc_msg *m, struct sockaddr_any *source)
{
	struct piece p;
	size_t at = 0;
	int ret;

	source->size = 0;
	m->six = !goes_by_four(s, msg);
	while ((ret = control_next(msg, &at, &p.head)) > 0) {
		size_t size = p.head.cmsg_len - sizeof(p.head);

		p.six = (struct in6_pktinfo){ 0 };
		if (copy_from_user(&p.six, (const char *)msg->control + ret, MIN(size, sizeof(p.six))))
			return -EFAULT;
		ret = take(s, &p, size, m, source);
		if (ret)
			return ret;
	}
	m->source = source->size ? (uint64_t)&source->storage : 0;
	m->source_size = source->size;
	return ret;
}

int inet_control_received(struct socket_msg *msg, uint8_t *control, size_t size)
{
	struct piece *p;

	for (size_t at = 0; at + sizeof(p->head) <= size; at += ALIGN_UP(p->head.cmsg_len, 8ul)) {
		p = (struct piece *)(control + at);
		if (p->head.cmsg_level == IPPROTO_IP && p->head.cmsg_type == IP_PKTINFO && p->head.cmsg_len == sizeof(p->head) + sizeof(p->four))
			p->four.ipi_ifindex = LOOPBACK_INDEX;
		if (p->head.cmsg_level == IPPROTO_IPV6 && p->head.cmsg_type == IPV6_PKTINFO && p->head.cmsg_len == sizeof(p->head) + sizeof(p->six))
			p->six.ipi6_ifindex = LOOPBACK_INDEX;
	}
	msg->control_size = size;
	return copy_to_user(msg->control, control, size);
}
