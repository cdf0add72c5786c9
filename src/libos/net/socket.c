/*
 * What all socket families share: recognising a socket, addresses and option values in and out of the program.
 */
#include "core/uaccess.h"
#include "net/loop.h"

struct socket *socket_of(struct file *f)
{
	if (f->ops == &g_inet_file_ops || f->ops == &g_unix_file_ops || f->ops == &g_netlink_file_ops ||
	    f->ops == &g_loop_file_ops || f->ops == &g_loop_listener_ops || f->ops == &g_loop_both_ops)
		return f->data;
	return NULL;
}

int sockaddr_from_user(struct sockaddr_any *addr, const void *user, uint32_t size)
{
	if (size > SOCKADDR_MAX)
		return -EINVAL;
	memset(addr, 0, sizeof(*addr));
	addr->size = size;
	return size ? copy_from_user(&addr->storage, user, size) : 0;
}

int sockaddr_to_user(const struct sockaddr_any *addr, void *user, uint32_t *user_size)
{
	uint32_t room;

	if (get_user(room, user_size))
		return -EFAULT;
	if ((int32_t)room < 0)
		return -EINVAL;
	if (copy_to_user(user, &addr->storage, MIN(MIN(room, addr->size), (uint32_t)SOCKADDR_MAX)))
		return -EFAULT;
	return put_user(addr->size, user_size);
}

int option_to_user(const void *value, uint32_t size, void *user, uint32_t *user_size)
{
	uint32_t room;

	if (get_user(room, user_size))
		return -EFAULT;
	if ((int32_t)room < 0)
		return -EINVAL;
	size = MIN(size, room);
	if (copy_to_user(user, value, size))
		return -EFAULT;
	return put_user(size, user_size);
}

int socket_getopt_common(struct socket *s, int level, int name, void *user, uint32_t *user_size)
{
	int value;

	if (level != SOL_SOCKET)
		return -ENOPROTOOPT;
	switch (name) {
	case SO_TYPE:
		value = s->type;
		break;
	case SO_DOMAIN:
		value = s->domain;
		break;
	case SO_PROTOCOL:
		value = s->protocol;
		break;
	default:
		return -ENOPROTOOPT;
	}
	return option_to_user(&value, sizeof(value), user, user_size);
}
