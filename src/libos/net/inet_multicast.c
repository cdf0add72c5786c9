/*
 * How far datagrams to groups go, and whether their sender sees them. There are no groups for a cVM to send to or to join; but programs
 * set these options of any socket, and take a refusal for an old kernel. So they are remembered and told back.
 */
#include "core/uaccess.h"
#include "net/inet.h"

#include <linux/in.h>
#include <linux/in6.h>

#define SOL_IPV6 41

static uint8_t *value_of(struct inet_socket *s, int level, int name)
{
	struct inet_multicast *m = &s->multicast;

	if (level == IPPROTO_IP && name == IP_MULTICAST_TTL)
		return &m->ttl;
	if (level == IPPROTO_IP && name == IP_MULTICAST_LOOP)
		return &m->loop;
	if (level != SOL_IPV6 || s->socket.domain != AF_INET6)
		return NULL;
	return name == IPV6_MULTICAST_HOPS ? &m->hops6 : name == IPV6_MULTICAST_LOOP ? &m->loop6 : NULL;
}

/* The interface: 4 bytes, all 0, for none in particular, whatever the option. */
static bool names_interface(const struct inet_socket *s, int level, int name)
{
	return (level == IPPROTO_IP && name == IP_MULTICAST_IF) ||
	       (level == SOL_IPV6 && name == IPV6_MULTICAST_IF && s->socket.domain == AF_INET6);
}

static int choose_interface(const struct inet_socket *s, int level, const void *user, uint32_t size)
{
	struct ip_mreqn r = { .imr_ifindex = 0 };
	uint32_t any = 0, index = 0;

	if (s->socket.type == SOCK_STREAM)
		return level == SOL_IPV6 ? -ENOPROTOOPT : -EINVAL;
	if (size < sizeof(any))
		return -EINVAL;
	if (size < sizeof(struct ip_mreq) || level == SOL_IPV6) {
		if (copy_from_user(&any, user, sizeof(any)))
			return -EFAULT;
	} else {
		if (copy_from_user(&r, user, MIN(size, (uint32_t)sizeof(r))))
			return -EFAULT;
		any = r.imr_address.s_addr;
		index = (uint32_t)r.imr_ifindex;
	}
	return !any && !index ? 0 : level == SOL_IPV6 ? -ENODEV : -EADDRNOTAVAIL;
}

void inet_multicast_init(struct inet_socket *s)
{
	s->multicast = (struct inet_multicast){ .ttl = 1, .loop = 1, .hops6 = 1, .loop6 = 1 };
}

int inet_multicast_get(struct inet_socket *s, int level, int name, void *user, uint32_t *user_size)
{
	const uint8_t *at = value_of(s, level, name);
	uint32_t room;
	int value = 0;

	if (names_interface(s, level, name))
		return option_to_user(&value, sizeof(value), user, user_size);
	if (!at)
		return -ENOPROTOOPT;
	if (get_user(room, user_size))
		return -EFAULT;
	value = *at;
	/* IPv4's may be one byte. */
	return option_to_user(&value, level == IPPROTO_IP && room && room < sizeof(value) ? 1 : sizeof(value), user, user_size);
}

/* Into *value, which is 0 before. What is longer than an int is not looked at. */
static int take_value(int level, const void *user, uint32_t size, int *value)
{
	uint8_t byte;

	if (level == SOL_IPV6 && size >= sizeof(*value) && !user) /* which is 0 there */
		return 0;
	if (size >= sizeof(*value))
		return copy_from_user(value, user, sizeof(*value)) ? -EFAULT : 0;
	if (level == SOL_IPV6 || !size)
		return -EINVAL;
	if (get_user(byte, (const uint8_t *)user))
		return -EFAULT;
	*value = byte;
	return 0;
}

int inet_multicast_set(struct inet_socket *s, int level, int name, const void *user, uint32_t size)
{
	uint8_t *at = value_of(s, level, name);
	bool far = at == &s->multicast.ttl || at == &s->multicast.hops6, stream = s->socket.type == SOCK_STREAM;
	int value = 0, err;

	if (names_interface(s, level, name))
		return choose_interface(s, level, user, size);
	if (!at || (far && stream && level == SOL_IPV6))
		return -ENOPROTOOPT;
	err = take_value(level, user, size, &value);
	if (err)
		return err;
	if (far) {
		if (stream || value < -1 || value > 255)
			return -EINVAL;
		*at = value == -1 ? 1 : (uint8_t)value;
	} else {
		if (level == SOL_IPV6 && (value & ~1))
			return -EINVAL;
		*at = value != 0;
	}
	return 0;
}
