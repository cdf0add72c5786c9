/*
 * Host sockets (TCP and UDP over IPv4 and IPv6): thin, because the host's kernel keeps all state. Program buffers and
 * addresses go straight through to the monitor, which checks pointers and grants; what it refuses reaches the program
 * as its error. read and write are the servers' hot path: one hostcall each.
 * Called through file_ops and socket_ops.
 */
#include "net/inet.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "core/uaccess.h"
#include "ipc/block.h"
#include "net/loop.h"
#include "process/exec_service.h"
#include "process/turn.h"

#include <asm/ioctls.h>
#include <asm/poll.h>
#include <linux/in.h>

#define PRIORITY_MAX 6	      /* of who lacks CAP_NET_ADMIN */
#define PRIVILEGED_PORTS 1024 /* where ip_unprivileged_port_start begins unless it was set */

/* A call that the program's own socket timeout may end is not restarted after a signal (signal(7)). */
static bool again(bool timeout, long *ret)
{
	if (!retry_hostcall(ret)) {
		if (*ret == -ERESTARTSYS && timeout)
			*ret = -EINTR;
		return false;
	}
	return true;
}

long inet_make_host(struct file *f)
{
	static struct mutex lock;
	struct inet_socket *s = f->data;
	long ret;

	mutex_lock(&lock);
	ret = s->handle;
	if (ret < 0)
		ret = hostcall(HC_sock_create, s->socket.domain, s->socket.type | (int)(f->flags & O_NONBLOCK), s->socket.protocol);
	if (ret >= 0)
		__atomic_store_n(&s->handle, (int)ret, __ATOMIC_RELEASE);
	mutex_unlock(&lock);
	return ret;
}

static ssize_t inet_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct inet_socket *s = f->data;
	long ret = inet_host(f);

	(void)pos;
	if (unlikely(ret < 0))
		return ret;
	do {
		if (!s->receive_timeout)
			turn_await(f, s->handle, POLLIN);
		if (likely(count == 1))
			ret = hostcall_blocking(HC_file_read, s->handle, iov->iov_base, iov->iov_len);
		else
			ret = hostcall_blocking(HC_file_readv, s->handle, iov, MIN(count, HC_IOV_MAX), -1);
	} while (again(s->receive_timeout, &ret));
	return ret;
}

static ssize_t inet_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct inet_socket *s = f->data;
	long ret = inet_host(f);

	(void)pos;
	if (unlikely(ret < 0))
		return ret;
	do {
		if (!s->send_timeout)
			turn_await(f, s->handle, POLLOUT);
		if (likely(count == 1))
			ret = hostcall_blocking(HC_file_write, s->handle, iov->iov_base, iov->iov_len);
		else if (count <= HC_IOV_MAX)
			ret = hostcall_blocking(HC_file_writev, s->handle, iov, count, -1);
		else
			return inet_write_many(f, iov, count);
	} while (again(s->send_timeout, &ret));
	return unlikely(ret == -EPIPE) ? broken_pipe() : ret;
}

static long inet_ioctl(struct file *f, unsigned long request, void *user_arg)
{
	return inet_call(f, HC_file_ioctl, request, user_arg);
}

static int inet_handle(struct file *f)
{
	return (int)inet_host(f);
}

static int inet_stat(struct file *f, struct statx *st)
{
	return numbered_stat(st, S_IFSOCK | 0777, ((struct inet_socket *)f->data)->inode);
}

static int inet_set_flags(struct file *f, uint32_t flags)
{
	struct inet_socket *s = f->data;

	if (!((f->flags ^ flags) & O_NONBLOCK) || s->handle < 0)
		return 0;
	return (int)hostcall(HC_file_setfl, s->handle, flags & O_NONBLOCK);
}

static void inet_release(struct file *f)
{
	struct inet_socket *s = f->data;

	handle_close(s->handle);
	kfree(s);
}

const struct file_ops g_inet_file_ops = {
	.name = "socket",
	.read = inet_read,
	.write = inet_write,
	.ioctl = inet_ioctl,
	.host_handle = inet_handle,
	.stat = inet_stat,
	.set_flags = inet_set_flags,
	.release = inet_release,
};

static const struct socket_ops g_inet_socket_ops;

/* A file for a host handle, which it owns from now on, also on failure. */
static struct file *wrap(long handle, const struct socket *like, uint32_t flags)
{
	struct inet_socket *s = kzalloc(sizeof(*s));
	struct file *f = NULL;

	if (s) {
		s->socket = *like;
		s->socket.loop = NULL;
		s->handle = (int)handle;
		s->inode = anon_inode();
		inet_multicast_init(s);
		f = file_alloc(&g_inet_file_ops, O_RDWR | flags, s);
	}
	if (!f) {
		handle_close(handle);
		kfree(s);
	}
	return f;
}

/* What the host may not bind may still be a port for other cVMs: a loopback address, or any. */
static int bind_loop(struct inet_socket *s, const struct sockaddr_any *addr)
{
	struct sockaddr_any at = *addr;
	uint16_t port;
	int err;

	if (s->socket.type != SOCK_STREAM || !loop_port(addr, &port) || addr->family != s->socket.domain)
		return -EACCES;
	if (s->bound.size)
		return -EINVAL;
	do {
		uint16_t got = port ? port : loop_free_port();

		((struct sockaddr_in *)&at.storage)->sin_port = __builtin_bswap16(got);
		err = loop_may_listen(s, &at);
	} while (!port && err == -EADDRINUSE);
	if (!err)
		s->bound = at;
	return err;
}

/* What the program itself says about EACCES does not tell what to do. Said once for each of the two. */
static void say_not_granted(const struct inet_socket *s, const struct sockaddr_any *addr, const char *option)
{
	static uint32_t said[2];
	bool bind = *option == 'b', udp = s->socket.type == SOCK_DGRAM;
	unsigned port = loop_port_of(addr);
	uint16_t inside;
	const char *else_inside = udp || !port || !loop_port(addr, &inside) ? "" :
				  bind ? ", or --listen for cVMs only" : ", or --reach for a cVM's";
	const char *else_root = bind && port && port < PRIVILEGED_PORTS ? ", or the host keeps ports below 1024 for root" : "";

	if (!__atomic_exchange_n(&said[bind], 1, __ATOMIC_RELAXED))
		log_text("%s: port %u%s is not granted (--%s %s%u%s%s)%s", option, port, udp ? "/udp" : "", option, bind ? "" : "ADDRESS:", port,
			 udp ? "/udp" : "", else_inside, else_root);
}

static int inet_bind(struct file *f, const struct sockaddr_any *addr)
{
	int ret = (int)inet_call(f, HC_sock_bind, &addr->storage, addr->size);

	if (ret == -EACCES)
		ret = bind_loop(f->data, addr);
	if (ret == -EACCES)
		say_not_granted(f->data, addr, "bind");
	return ret;
}

/* Another cVM first, if the address may be one's; -ENOENT: nobody listens there, -EACCES: not granted. */
static int connect_loop(struct file *f, const struct sockaddr_any *addr)
{
	struct inet_socket *s = f->data;
	struct sockaddr_any bound = s->bound;
	uint16_t port;

	if (s->socket.type != SOCK_STREAM || s->host_used || !loop_port(addr, &port) || !port)
		return -EACCES;
	if (!bound.size && s->handle >= 0) {
		bound.size = SOCKADDR_MAX;
		if (hostcall(HC_sock_name, s->handle, &bound.storage, &bound.size))
			bound.size = 0;
	}
	return loop_connect_inet(f, addr, &bound);
}

static int inet_connect(struct file *f, const struct sockaddr_any *addr)
{
	struct inet_socket *s = f->data;
	int loop = connect_loop(f, addr);
	long ret;

	if (loop != -ENOENT && loop != -EACCES)
		return loop;
	ret = inet_host(f);
	if (ret < 0)
		return (int)ret;
	turn_release(current());
	do {
		ret = hostcall_blocking(HC_sock_connect, s->handle, &addr->storage, addr->size);
	} while (again(s->send_timeout, &ret));
	turn_resume(current());
	if (ret == -EACCES && loop == -ENOENT)
		return -ECONNREFUSED; /* it may reach a cVM there, but there is none */
	if (ret == -EACCES && s->socket.type == SOCK_STREAM) /* resolvers try datagrams on any address */
		say_not_granted(s, addr, "connect");
	s->host_used |= !ret || ret == -EINPROGRESS;
	return (int)ret;
}

/* On the host, and if granted for other cVMs at the same time. */
static int inet_listen(struct file *f, int backlog)
{
	struct inet_socket *s = f->data;
	struct sockaddr_any name = s->bound;
	char text[16];
	uint16_t port;
	int ret;

	if (name.size) {
		ret = loop_listen_inet(f, &name, -1, backlog);
	} else {
		ret = (int)inet_call(f, HC_sock_listen, backlog);
		s->host_used |= !ret;
		name.size = SOCKADDR_MAX;
		if (ret || s->socket.type != SOCK_STREAM || hostcall(HC_sock_name, s->handle, &name.storage, &name.size))
			return ret;
		if (loop_port(&name, &port))
			(void)!loop_listen_inet(f, &name, s->handle, backlog); /* refused: the host alone, as ever */
	}
	if (!ret) {
		(void)format(text, sizeof(text), "tcp/%u", loop_port_of(&name));
		exec_service_listens(text);
	}
	return ret;
}

struct file *inet_accepted(long handle, struct file *listener, uint32_t flags, int *error)
{
	const struct inet_socket *s = listener->data;
	struct socket like = s->socket;
	struct file *f;

	like.ops = &g_inet_socket_ops;
	f = wrap(handle, &like, flags);
	*error = f ? 0 : -ENOMEM;
	if (f)
		((struct inet_socket *)f->data)->host_used = true;
	return f;
}

static struct file *inet_accept(struct file *f, struct sockaddr_any *peer, uint32_t flags, int *error)
{
	struct inet_socket *s = f->data;
	long ret = s->socket.type == SOCK_STREAM ? inet_host(f) : -EOPNOTSUPP;

	peer->size = SOCKADDR_MAX;
	if (ret >= 0)
		do {
			if (!s->receive_timeout)
				turn_await(f, s->handle, POLLIN);
			ret = hostcall_blocking(HC_sock_accept, s->handle, &peer->storage, &peer->size, flags);
		} while (again(s->receive_timeout, &ret));
	*error = (int)ret;
	return ret < 0 ? NULL : inet_accepted(ret, f, flags, error);
}

static int inet_name(struct file *f, bool peer, struct sockaddr_any *addr)
{
	const struct inet_socket *s = f->data;

	if (s->bound.size && !peer) {
		*addr = s->bound;
		return 0;
	}
	addr->size = SOCKADDR_MAX;
	return (int)inet_call(f, peer ? HC_sock_peer : HC_sock_name, &addr->storage, &addr->size);
}

static int inet_shutdown(struct file *f, int how)
{
	return (int)inet_call(f, HC_sock_shutdown, how);
}

static bool has_level(const struct inet_socket *s, int level)
{
	return level == SOL_SOCKET || level == IPPROTO_IP || level == (s->socket.type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP);
}

static int inet_getopt(struct file *f, int level, int name, void *user, uint32_t *user_size)
{
	struct inet_socket *s = f->data;
	struct ucred nobody = { 0, ~0u, ~0u };
	int ret = socket_getopt_common(&s->socket, level, name, user, user_size);

	if (ret != -ENOPROTOOPT)
		return ret;
	if (level == SOL_SOCKET && name == SO_PEERCRED)
		return option_to_user(&nobody, sizeof(nobody), user, user_size);
	if (level == SOL_SOCKET && name == SO_PRIORITY && s->priority_set)
		return option_to_user(&s->priority, sizeof(s->priority), user, user_size);
	ret = inet_multicast_get(s, level, name, user, user_size);
	if (ret == -ENOPROTOOPT)
		ret = (int)inet_call(f, HC_sock_getopt, level, name, user, user_size);
	return ret == -ENOPROTOOPT && s->socket.domain == AF_INET && !has_level(s, level) ? -EOPNOTSUPP : ret;
}

static int set_priority(struct inet_socket *s, const void *user, uint32_t size)
{
	int value;

	if (size < sizeof(value))
		return -EINVAL;
	if (copy_from_user(&value, user, sizeof(value)))
		return -EFAULT;
	if (value < 0 || value > PRIORITY_MAX)
		return -EPERM;
	s->priority = value;
	s->priority_set = true;
	return 0;
}

static int inet_setopt(struct file *f, int level, int name, const void *user, uint32_t size)
{
	struct inet_socket *s = f->data;
	int64_t time[2];
	long ret;

	if (level == SOL_SOCKET && name == SO_PRIORITY)
		return set_priority(s, user, size);
	if (level == SOL_SOCKET && (name == SO_MARK || name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE))
		return -EPERM; /* for who has CAP_NET_ADMIN */
	ret = inet_multicast_set(s, level, name, user, size);
	if (ret != -ENOPROTOOPT)
		return (int)ret;
	ret = inet_call(f, HC_sock_setopt, level, name, user, size);
	if (ret == 0 && level == IPPROTO_IP && name == IP_TOS)
		s->priority_set = false; /* follows */
	if (ret == 0 && level == SOL_SOCKET && size >= sizeof(time) && !copy_from_user(time, user, sizeof(time))) {
		if (name == SO_RCVTIMEO_OLD || name == SO_RCVTIMEO_NEW)
			s->receive_timeout = time[0] * NSEC_PER_SEC + time[1] * 1000;
		if (name == SO_SNDTIMEO_OLD || name == SO_SNDTIMEO_NEW)
			s->send_timeout = time[0] * NSEC_PER_SEC + time[1] * 1000;
	}
	return (int)ret;
}

static const struct socket_ops g_inet_socket_ops = {
	.bind = inet_bind,
	.connect = inet_connect,
	.listen = inet_listen,
	.accept = inet_accept,
	.name = inet_name,
	.send = inet_send,
	.recv = inet_recv,
	.shutdown = inet_shutdown,
	.getopt = inet_getopt,
	.setopt = inet_setopt,
};

struct file *inet_socket(int domain, int type, int protocol, uint32_t flags, int *error)
{
	struct socket like = { .ops = &g_inet_socket_ops, .domain = (uint16_t)domain, .type = (uint16_t)type };
	struct file *f;
	long handle;

	if (type == SOCK_RAW || type == SOCK_PACKET) {
		*error = -EPERM;
		return NULL;
	}
	if (type != SOCK_STREAM && type != SOCK_DGRAM) {
		*error = -ESOCKTNOSUPPORT;
		return NULL;
	}
	like.protocol = type == SOCK_STREAM ? 6 : 17;
	if (protocol && protocol != like.protocol) { /* programs try UDP-Lite, SCTP or MPTCP and go on without */
		*error = -EPROTONOSUPPORT;
		return NULL;
	}
	if (domain == AF_INET && type == SOCK_STREAM) {
		f = wrap(-1, &like, flags & O_NONBLOCK);
		*error = -ENOMEM;
		return f;
	}
	handle = hostcall(HC_sock_create, domain, type | (int)(flags & O_NONBLOCK), protocol);
	if (handle < 0) {
		*error = (int)handle;
		return NULL;
	}
	f = wrap(handle, &like, flags & O_NONBLOCK);
	if (!f)
		*error = -ENOMEM;
	return f;
}
