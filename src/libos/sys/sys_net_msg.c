/*
 * sendto(2), recvfrom(2), sendmsg(2), recvmsg(2), sendmmsg(2), recvmmsg(2): the program's headers in and out; the
 * buffers themselves go to the socket family untouched.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "sys/net_get.h"
#include "sys/syscalls.h"
#include "sys/wait_args.h"
#include "thread/isolated.h"

#include <linux/time.h>

#define IOV_SMALL 8
#define MESSAGES_MAX 1024u
#define RW_MAX 0x7ffff000ul

/* Nothing may lie anywhere, but the monitor takes no others' addresses. */
static struct iovec buffer_of(struct regs *r)
{
	size_t size = MIN((size_t)arg(r, 2), RW_MAX);

	return (struct iovec){ size ? (void *)arg(r, 1) : r, size };
}

long sys_sendto(struct regs *r)
{
	struct iovec iov = buffer_of(r);
	struct socket_msg msg = { .name = (void *)arg(r, 4), .iov = &iov, .count = 1 };
	struct socket *s;
	struct file *f;
	long ret = socket_get((int)arg(r, 0), &f, &s);

	if (ret)
		return ret;
	if (msg.name && ((int)arg(r, 5) < 0 || (size_t)arg(r, 5) > SOCKADDR_MAX))
		ret = -EINVAL;
	msg.name_size = (uint32_t)arg(r, 5);
	if (!msg.name_size)
		msg.name = NULL;
	if (!ret)
		ret = s->ops->send ? s->ops->send(f, &msg, (uint32_t)arg(r, 3)) : -EOPNOTSUPP;
	file_put(f);
	return ret;
}

long sys_recvfrom(struct regs *r)
{
	struct iovec iov = buffer_of(r);
	struct socket_msg msg = { .name = (void *)arg(r, 4), .iov = &iov, .count = 1 };
	uint32_t *user_size = (uint32_t *)arg(r, 5);
	struct socket *s;
	struct file *f;
	long ret = socket_get((int)arg(r, 0), &f, &s);

	if (ret)
		return ret;
	if (msg.name && get_user(msg.name_size, user_size))
		ret = -EFAULT;
	else if (msg.name && (int32_t)msg.name_size < 0)
		ret = -EINVAL;
	if (!ret)
		ret = s->ops->recv ? s->ops->recv(f, &msg, (uint32_t)arg(r, 3) & ~MSG_CMSG_CLOEXEC) : -EOPNOTSUPP;
	file_put(f);
	if (ret >= 0 && msg.name && put_user(msg.name_size, user_size))
		return -EFAULT;
	return ret;
}

/* A program's msghdr in libOS terms. `iov` becomes `small` or memory to be freed. */
static int header_in(struct socket_msg *msg, struct user_msghdr *h, const struct user_msghdr *user, struct iovec *small,
		     struct iovec **iov)
{
	int count;

	*iov = small;
	if (copy_from_user(h, user, sizeof(*h)) || !in_program(h->msg_name) || !in_program(h->msg_control))
		return -EFAULT;
	if (h->msg_namelen < 0)
		return -EINVAL;
	if (h->msg_iovlen > 1024)
		return -EMSGSIZE;
	if (h->msg_iovlen > IOV_SMALL) {
		*iov = kmalloc(h->msg_iovlen * sizeof(**iov));
		if (!*iov)
			return -ENOMEM;
	}
	count = iovec_from_user(*iov, h->msg_iov, h->msg_iovlen, 1024);
	if (count < 0)
		return count;
	*msg = (struct socket_msg){ .name = h->msg_name,
				    .name_size = h->msg_name ? MIN((uint32_t)h->msg_namelen, (uint32_t)SOCKADDR_MAX) : 0,
				    .count = (unsigned)count,
				    .iov = *iov,
				    .control = h->msg_controllen ? h->msg_control : NULL,
				    .control_size = h->msg_control ? h->msg_controllen : 0 };
	return 0;
}

static long send_one(struct file *f, struct socket *s, const struct user_msghdr *user, uint32_t flags)
{
	struct iovec small[IOV_SMALL], *iov;
	struct user_msghdr h;
	struct socket_msg msg;
	long ret = header_in(&msg, &h, user, small, &iov);

	if (!ret) {
		if (!msg.name_size)
			msg.name = NULL;
		ret = s->ops->send ? s->ops->send(f, &msg, flags) : -EOPNOTSUPP;
	}
	if (iov != small)
		kfree(iov);
	return ret;
}

static long recv_one(struct file *f, struct socket *s, struct user_msghdr *user, uint32_t flags)
{
	struct iovec small[IOV_SMALL], *iov;
	struct user_msghdr h;
	struct socket_msg msg;
	long ret = header_in(&msg, &h, user, small, &iov);

	if (!ret)
		ret = s->ops->recv ? s->ops->recv(f, &msg, flags) : -EOPNOTSUPP;
	if (iov != small)
		kfree(iov);
	if (ret < 0)
		return ret;
	h.msg_namelen = msg.name ? (int32_t)msg.name_size : 0;
	msg.flags |= flags & MSG_CMSG_CLOEXEC;
	if ((h.msg_name && put_user(h.msg_namelen, &user->msg_namelen)) || put_user(msg.flags, &user->msg_flags) ||
	    put_user((uint64_t)msg.control_size, &user->msg_controllen))
		return -EFAULT;
	return ret;
}

long sys_sendmsg(struct regs *r)
{
	struct socket *s;
	struct file *f;
	long ret = socket_get((int)arg(r, 0), &f, &s);

	if (ret)
		return ret;
	ret = send_one(f, s, (const struct user_msghdr *)arg(r, 1), (uint32_t)arg(r, 2));
	file_put(f);
	return ret;
}

long sys_recvmsg(struct regs *r)
{
	struct socket *s;
	struct file *f;
	long ret = socket_get((int)arg(r, 0), &f, &s);

	if (ret)
		return ret;
	ret = recv_one(f, s, (struct user_msghdr *)arg(r, 1), (uint32_t)arg(r, 2));
	file_put(f);
	return ret;
}

long sys_sendmmsg(struct regs *r)
{
	struct user_mmsghdr *v = (struct user_mmsghdr *)arg(r, 1);
	unsigned count = MIN((unsigned)arg(r, 2), MESSAGES_MAX), done = 0;
	struct socket *s;
	struct file *f;
	long ret = socket_get((int)arg(r, 0), &f, &s);

	if (ret)
		return ret;
	while (done < count) {
		ret = send_one(f, s, &v[done].hdr, (uint32_t)arg(r, 3));
		if (ret >= 0 && put_user((uint32_t)ret, &v[done].len))
			ret = -EFAULT;
		if (ret < 0)
			break;
		done++;
	}
	file_put(f);
	return done ? (long)done : ret;
}

/* The odd timeout is looked at only after each message (BUGS in the manual). */
long sys_recvmmsg(struct regs *r)
{
	struct user_mmsghdr *v = (struct user_mmsghdr *)arg(r, 1);
	unsigned count = MIN((unsigned)arg(r, 2), MESSAGES_MAX), done = 0;
	uint32_t flags = (uint32_t)arg(r, 3), each = flags & ~MSG_WAITFORONE;
	int64_t deadline;
	struct socket *s;
	struct file *f;
	long ret = wait_timeout((const struct timespec *)arg(r, 4), &deadline);

	if (!ret)
		ret = socket_get((int)arg(r, 0), &f, &s);
	if (ret)
		return ret;
	if (s->ops->error && (ret = -s->ops->error(f, 0)) != 0)
		count = 0;
	if (deadline >= 0)
		deadline += clock_now(CLOCK_MONOTONIC);
	while (done < count) {
		ret = recv_one(f, s, &v[done].hdr, each);
		if (ret >= 0 && put_user((uint32_t)ret, &v[done].len))
			ret = -EFAULT;
		if (ret < 0)
			break;
		done++;
		if (flags & MSG_WAITFORONE)
			each |= MSG_DONTWAIT;
		if (deadline >= 0 && clock_now(CLOCK_MONOTONIC) >= deadline)
			break;
	}
	if (s->ops->error && done && ret < 0 && ret != -EAGAIN) /* told by the next call */
		s->ops->error(f, (int)-ret);
	file_put(f);
	return done ? (long)done : ret;
}
