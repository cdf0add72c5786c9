/*
 * Messages on host sockets: send, recv and their vectors. Without flags or a name they are the plain read and write
 * hostcalls; otherwise struct hc_msg is built on the stack with the program's own buffers in it.
 * Control data is inet_control.c's.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "ipc/block.h"
#include "ipc/iter.h"
#include "net/inet.h"
#include "process/turn.h"

#include <asm/poll.h>

#define DATAGRAM_MAX 65535u
#define CONTROL_MAX 256u /* bytes: more than the host ever says of one message */
/* Hints and flags that mean nothing here; the monitor refuses what it does not know. */
#define MSG_ZEROCOPY 0x4000000u
#define MSG_FASTOPEN 0x20000000u
#define IGNORED_FLAGS (MSG_CMSG_CLOEXEC | MSG_CONFIRM | MSG_ZEROCOPY | MSG_WAITFORONE)

static ssize_t finish_send(const struct inet_socket *s, long ret, uint32_t flags)
{
	if (ret == -ERESTARTSYS && s->send_timeout)
		return -EINTR;
	if (ret == -EPIPE && s->socket.type == SOCK_STREAM && !(flags & MSG_NOSIGNAL))
		return broken_pipe();
	return ret;
}

static long send_once(const struct inet_socket *s, const struct hc_msg *m, uint32_t flags)
{
	long ret;

	do {
		ret = hostcall_blocking(HC_sock_send, s->handle, m, flags | MSG_NOSIGNAL);
	} while (retry_hostcall(&ret));
	return ret;
}

/* A stream takes the buffers in groups. */
static ssize_t send_groups(const struct inet_socket *s, const struct iovec *iov, unsigned count, uint32_t flags)
{
	ssize_t total = 0;

	while (count) {
		struct hc_msg m = { .iov = (uint64_t)iov, .iov_count = MIN(count, HC_IOV_MAX) };
		size_t want = 0;
		long ret;

		for (unsigned i = 0; i < m.iov_count; i++)
			want += iov[i].iov_len;
		ret = send_once(s, &m, flags);
		if (ret < 0)
			return total ? total : ret;
		total += ret;
		if ((size_t)ret < want)
			break;
		iov += m.iov_count;
		count -= m.iov_count;
	}
	return total;
}

/* A datagram goes at once: gather it first. */
static ssize_t send_gathered(const struct inet_socket *s, struct hc_msg *m, struct socket_msg *msg, uint32_t flags)
{
	struct iter it = iter_init(msg->iov, msg->count);
	struct iovec one;
	long ret = -EFAULT;

	if (it.left > DATAGRAM_MAX)
		return -EMSGSIZE;
	one.iov_len = it.left;
	one.iov_base = kmalloc(MAX(it.left, (size_t)1));
	if (!one.iov_base)
		return -ENOMEM;
	m->iov = (uint64_t)&one;
	m->iov_count = 1;
	if (iter_take(&it, one.iov_base, one.iov_len) == one.iov_len)
		ret = send_once(s, m, flags);
	kfree(one.iov_base);
	return ret;
}

ssize_t inet_write_many(struct file *f, const struct iovec *iov, unsigned count)
{
	struct inet_socket *s = f->data;
	struct socket_msg msg = { .iov = iov, .count = count };
	struct hc_msg m = { 0 };
	long ret = s->socket.type == SOCK_STREAM ? send_groups(s, iov, count, 0) : send_gathered(s, &m, &msg, 0);

	return finish_send(s, ret, 0);
}

ssize_t inet_send(struct file *f, struct socket_msg *msg, uint32_t flags)
{
	struct inet_socket *s = f->data;
	struct hc_msg m = { .name = (uint64_t)msg->name, .name_size = msg->name ? msg->name_size : 0 };
	struct sockaddr_any source;
	long ret = inet_host(f);

	if (ret < 0)
		return ret;
	if (msg->name && s->socket.type == SOCK_STREAM && !(flags & MSG_FASTOPEN)) { /* who is connected sends there */
		if (copy_from_user(&source.storage, msg->name, MIN(msg->name_size, SOCKADDR_MAX)))
			return -EFAULT;
		msg->name = NULL;
		m.name = m.name_size = 0;
	}
	flags &= ~IGNORED_FLAGS;
	if (!s->send_timeout && !(flags & MSG_DONTWAIT))
		turn_await(f, s->handle, POLLOUT);
	if (msg->control_size) {
		int err = inet_control_send(s, msg, &m, &source);

		if (err)
			return err;
	}
	if (!(flags & ~MSG_NOSIGNAL) && !msg->name && !msg->control_size && msg->count == 1 && msg->iov->iov_len) {
		do {
			ret = hostcall_blocking(HC_file_write, s->handle, msg->iov->iov_base, msg->iov->iov_len);
		} while (retry_hostcall(&ret));
	} else if (msg->count > HC_IOV_MAX) {
		ret = s->socket.type == SOCK_STREAM ? send_groups(s, msg->iov, msg->count, flags) :
						      send_gathered(s, &m, msg, flags);
	} else {
		m.iov = (uint64_t)msg->iov;
		m.iov_count = msg->count;
		ret = send_once(s, &m, flags);
	}
	return finish_send(s, ret, flags);
}

/* A datagram into more buffers than a hostcall takes: scatter it afterwards. */
static ssize_t recv_scattered(const struct inet_socket *s, struct hc_msg *m, struct socket_msg *msg, uint32_t flags)
{
	struct iter it = iter_init(msg->iov, msg->count);
	struct iovec one = { NULL, MIN(it.left, (size_t)DATAGRAM_MAX) };
	long ret;

	one.iov_base = kmalloc(MAX(one.iov_len, (size_t)1));
	if (!one.iov_base)
		return -ENOMEM;
	m->iov = (uint64_t)&one;
	m->iov_count = 1;
	do {
		ret = hostcall_blocking(HC_sock_recv, s->handle, m, flags);
	} while (retry_hostcall(&ret));
	if (ret > 0) {
		size_t n = MIN((size_t)ret, one.iov_len);

		if (iter_put(&it, one.iov_base, n) < n)
			ret = -EFAULT;
	}
	kfree(one.iov_base);
	return ret;
}

ssize_t inet_recv(struct file *f, struct socket_msg *msg, uint32_t flags)
{
	struct inet_socket *s = f->data;
	_Alignas(8) uint8_t control[CONTROL_MAX];
	struct hc_msg m = { .name = (uint64_t)msg->name, .name_size = msg->name ? msg->name_size : 0,
			    .control = (uint64_t)control, .control_size = (uint32_t)MIN(msg->control_size, sizeof(control)) };
	long ret = inet_host(f);

	if (ret < 0)
		return ret;
	if (flags & MSG_ERRQUEUE)
		return -EAGAIN; /* not offered: looks like an empty queue */
	if (s->socket.type == SOCK_STREAM) { /* says of nobody that it came from there */
		m.name = m.name_size = 0;
		msg->name_size = 0;
	}
	flags &= ~IGNORED_FLAGS;
	if (!s->receive_timeout && !(flags & MSG_DONTWAIT))
		turn_await(f, s->handle, POLLIN);
	msg->control_size = 0;
	if (!flags && !msg->name && !m.control_size && msg->count == 1 && msg->iov->iov_len && s->socket.type == SOCK_STREAM) {
		do {
			ret = hostcall_blocking(HC_file_read, s->handle, msg->iov->iov_base, msg->iov->iov_len);
		} while (retry_hostcall(&ret));
		msg->flags = 0;
	} else {
		m.iov = (uint64_t)msg->iov;
		m.iov_count = MIN(msg->count, HC_IOV_MAX);
		if (msg->count > HC_IOV_MAX && s->socket.type != SOCK_STREAM) {
			ret = recv_scattered(s, &m, msg, flags);
		} else {
			do {
				ret = hostcall_blocking(HC_sock_recv, s->handle, &m, flags);
			} while (retry_hostcall(&ret));
		}
		if (ret >= 0) {
			msg->flags = m.flags;
			msg->name_size = m.name_size;
			if (m.control_size && inet_control_received(msg, control, m.control_size))
				ret = -EFAULT;
		}
	}
	return ret == -ERESTARTSYS && s->receive_timeout ? -EINTR : ret;
}
