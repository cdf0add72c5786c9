/*
 * What all socket families share: recognising a socket, addresses and option values in and out of the program.
 */
#include "core/uaccess.h"
#include "net/loop.h"

#include <linux/time.h>

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

int timeout_to_user(int64_t timeout, void *user, uint32_t *user_size)
{
	int64_t ns = MAX(timeout, (int64_t)0);
	struct timeval tv = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / 1000 };

	return option_to_user(&tv, sizeof(tv), user, user_size);
}

int timeout_from_user(int64_t *timeout, const void *user, uint32_t size)
{
	struct timeval tv;

	if (size < sizeof(tv))
		return -EINVAL;
	if (copy_from_user(&tv, user, sizeof(tv)))
		return -EFAULT;
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	if (tv.tv_sec < 0) /* does not wait */
		*timeout = 0;
	else if ((!tv.tv_sec && !tv.tv_usec) || tv.tv_sec > (int64_t)1 << 32)
		*timeout = -1;
	else
		*timeout = tv.tv_sec * NSEC_PER_SEC + tv.tv_usec * 1000;
	return 0;
}

bool address_is_mapped(const struct in6_addr *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(a, prefix, sizeof(prefix));
}

int control_next(const struct socket_msg *msg, size_t *at, struct cmsghdr *head)
{
	size_t here = *at;

	if (msg->control_size > SOCKET_CONTROL_MAX)
		return -ENOBUFS;
	if (here + sizeof(*head) > msg->control_size)
		return 0;
	if (copy_from_user(head, (const char *)msg->control + here, sizeof(*head)))
		return -EFAULT;
	if (head->cmsg_len < sizeof(*head) || head->cmsg_len > msg->control_size - here)
		return -EINVAL;
	*at += ALIGN_UP(head->cmsg_len, 8ul);
	return (int)(here + sizeof(*head));
}

bool control_ignored(int type)
{
	return type == SCM_RIGHTS || type == SCM_CREDENTIALS;
}

int control_check(const struct socket_msg *msg, bool refuse_rights)
{
	struct cmsghdr head;
	size_t at = 0;
	int ret;

	while ((ret = control_next(msg, &at, &head)) > 0) {
		if (head.cmsg_level != SOL_SOCKET)
			continue;
		if (!control_ignored(head.cmsg_type))
			return -EINVAL;
		if (head.cmsg_type == SCM_RIGHTS && refuse_rights)
			return -EOPNOTSUPP;
	}
	return ret;
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
