/*
 * socket(2), bind(2), connect(2), accept(2) ...: arguments only; net/ does the work. Messages are in sys_net_msg.c.
 */
#include "core/uaccess.h"
#include "net/socket.h"
#include "sys/net_get.h"
#include "sys/syscalls.h"

static int check_type(int type)
{
	if (type & ~(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	type &= SOCK_TYPE_MASK;
	return type && type < 11 ? 0 : -EINVAL;
}

long sys_socket(struct regs *r)
{
	int domain = (int)arg(r, 0), type = (int)arg(r, 1), protocol = (int)arg(r, 2);
	uint32_t flags = (uint32_t)type & O_NONBLOCK;
	int err = check_type(type);
	struct file *f = NULL;

	if (err)
		return err;
	if (domain < 0 || domain >= AF_MAX)
		return -EAFNOSUPPORT;
	switch (domain) {
	case AF_UNIX:
		f = unix_socket(type & SOCK_TYPE_MASK, protocol, flags, &err);
		break;
	case AF_INET:
	case AF_INET6:
		f = inet_socket(domain, type & SOCK_TYPE_MASK, protocol, flags, &err);
		break;
	case AF_NETLINK:
		f = netlink_socket(type & SOCK_TYPE_MASK, protocol, flags, &err);
		break;
	case AF_PACKET:
		return -EPERM;
	default:
		return -EAFNOSUPPORT;
	}
	return f ? fd_install(f, 0, type & SOCK_CLOEXEC) : err;
}

long sys_socketpair(struct regs *r)
{
	int domain = (int)arg(r, 0), type = (int)arg(r, 1), fd[2];
	struct file *pair[2];
	int err = check_type(type);

	if (err)
		return err;
	if (domain != AF_UNIX)
		return domain == AF_INET || domain == AF_INET6 ? -EOPNOTSUPP : -EAFNOSUPPORT;
	err = unix_socketpair(type & SOCK_TYPE_MASK, (int)arg(r, 2), (uint32_t)type & O_NONBLOCK, pair);
	if (err)
		return err;
	fd[0] = fd_install(pair[0], 0, type & SOCK_CLOEXEC);
	if (fd[0] < 0) {
		file_put(pair[1]);
		return fd[0];
	}
	fd[1] = fd_install(pair[1], 0, type & SOCK_CLOEXEC);
	err = fd[1] < 0 ? fd[1] : copy_to_user((void *)arg(r, 3), fd, sizeof(fd));
	if (err) {
		(void)!fd_close(fd[0]);
		if (fd[1] >= 0)
			(void)!fd_close(fd[1]);
	}
	return err;
}

static long with_address(struct regs *r, bool connect)
{
	struct sockaddr_any addr;
	struct socket *s;
	struct file *f;
	int err = socket_get((int)arg(r, 0), &f, &s);

	if (err)
		return err;
	err = (int)arg(r, 2) < 0 ? -EINVAL : sockaddr_from_user(&addr, (const void *)arg(r, 1), (uint32_t)arg(r, 2));
	if (!err && addr.size < sizeof(addr.family))
		err = -EINVAL;
	if (!err && connect)
		err = s->ops->connect ? s->ops->connect(f, &addr) : -EOPNOTSUPP;
	else if (!err)
		err = s->ops->bind ? s->ops->bind(f, &addr) : -EOPNOTSUPP;
	file_put(f);
	return err;
}

long sys_bind(struct regs *r)
{
	return with_address(r, false);
}

long sys_connect(struct regs *r)
{
	return with_address(r, true);
}

long sys_listen(struct regs *r)
{
	struct socket *s;
	struct file *f;
	int err = socket_get((int)arg(r, 0), &f, &s);

	if (err)
		return err;
	err = s->ops->listen ? s->ops->listen(f, (int)arg(r, 1)) : -EOPNOTSUPP;
	file_put(f);
	return err;
}

static long do_accept(struct regs *r, int flags)
{
	struct sockaddr_any peer = { 0 };
	struct socket *s;
	struct file *f, *accepted = NULL;
	int err = socket_get((int)arg(r, 0), &f, &s);

	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK) && err != -EBADF) {
		if (!err)
			file_put(f);
		return -EINVAL;
	}
	if (err)
		return err;
	err = -EOPNOTSUPP;
	if (s->ops->accept)
		accepted = s->ops->accept(f, &peer, (uint32_t)flags & O_NONBLOCK, &err);
	file_put(f);
	if (!accepted)
		return err;
	err = arg(r, 1) ? sockaddr_to_user(&peer, (void *)arg(r, 1), (uint32_t *)arg(r, 2)) : 0;
	if (err) {
		file_put(accepted);
		return err;
	}
	return fd_install(accepted, 0, flags & SOCK_CLOEXEC);
}

long sys_accept(struct regs *r)
{
	return do_accept(r, 0);
}

long sys_accept4(struct regs *r)
{
	return do_accept(r, (int)arg(r, 3));
}

static long do_name(struct regs *r, bool peer)
{
	struct sockaddr_any addr;
	struct socket *s;
	struct file *f;
	int err = socket_get((int)arg(r, 0), &f, &s);

	if (err)
		return err;
	memset(&addr, 0, sizeof(addr));
	err = s->ops->name ? s->ops->name(f, peer, &addr) : -EOPNOTSUPP;
	file_put(f);
	return err ? err : sockaddr_to_user(&addr, (void *)arg(r, 1), (uint32_t *)arg(r, 2));
}

long sys_getsockname(struct regs *r)
{
	return do_name(r, false);
}

long sys_getpeername(struct regs *r)
{
	return do_name(r, true);
}

long sys_shutdown(struct regs *r)
{
	struct socket *s;
	struct file *f;
	int err = socket_get((int)arg(r, 0), &f, &s);

	if (err)
		return err;
	err = s->ops->shutdown ? s->ops->shutdown(f, (int)arg(r, 1)) : -EOPNOTSUPP;
	file_put(f);
	return err;
}

long sys_setsockopt(struct regs *r)
{
	struct socket *s;
	struct file *f;
	int err = socket_get((int)arg(r, 0), &f, &s);

	if (err)
		return err;
	if ((int)arg(r, 4) < 0)
		err = -EINVAL;
	else
		err = s->ops->setopt(f, (int)arg(r, 1), (int)arg(r, 2), (const void *)arg(r, 3), (uint32_t)arg(r, 4));
	file_put(f);
	return err;
}

long sys_getsockopt(struct regs *r)
{
	struct socket *s;
	struct file *f;
	int32_t size;
	int err = socket_get((int)arg(r, 0), &f, &s);

	if (err)
		return err;
	if ((int)arg(r, 1) == SOL_SOCKET) /* before the option itself */
		err = get_user(size, (int32_t *)arg(r, 4)) ? -EFAULT : size < 0 ? -EINVAL : 0;
	if (!err)
		err = s->ops->getopt(f, (int)arg(r, 1), (int)arg(r, 2), (void *)arg(r, 3), (uint32_t *)arg(r, 4));
	file_put(f);
	return err;
}
