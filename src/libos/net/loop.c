/*
 * Connections to other cVMs: bytes in and out, the ends, and what a file of them answers (net/loop.h says how they come
 * to be). The hot path is one hostcall for each send and each receive; the buffers are the program's own.
 * Called through file_ops and socket_ops.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "ipc/block.h"
#include "ipc/iter.h"
#include "net/loop.h"
#include "process/turn.h"

#include <asm/ioctls.h>
#include <linux/time.h>

#define GATHER_MAX 2048u /* many small buffers up to this size go as one */
#define NAP_NS 200000

struct loop *loop_alloc(enum loop_kind kind)
{
	struct loop *l = kzalloc(sizeof(*l));

	if (!l)
		return NULL;
	l->kind = (uint8_t)kind;
	l->state = LOOP_CHECK;
	l->send_timeout = l->receive_timeout = -1;
	l->host = l->both = l->signal = -1;
	l->inode = anon_inode();
	l->wait = &l->own_wait;
	waitq_init(&l->own_wait);
	list_init(&l->pending);
	list_init(&l->sleepers);
	l->socket = (struct socket){ .ops = &g_loop_socket_ops, .loop = l, .type = SOCK_STREAM };
	return l;
}

void loop_live(struct loop *l, uint32_t cap)
{
	l->cap = cap;
	l->room = CAP_STREAM_RING;
	loop_enter(l);
}

void loop_free(struct loop *l)
{
	loop_forget_pending(l);
	if (l->cap && loop_leave(l))
		(void)hostcall(HC_cap_close, l->cap);
	handle_close(l->both);
	handle_close(l->signal);
	kfree(l);
}

void loop_become(struct file *f, struct loop *l, const struct file_ops *ops)
{
	struct socket *s = f->data;

	l->origin = f->ops;
	l->socket.domain = s->domain;
	l->socket.protocol = s->protocol;
	s->loop = l;
	s->ops = ops == &g_loop_file_ops ? &g_loop_socket_ops : &g_loop_listener_socket_ops;
	__atomic_store_n(&f->ops, ops, __ATOMIC_RELEASE);
	epoll_reattach(f);
}

uint64_t loop_deadline(int64_t timeout)
{
	return timeout < 0 ? 0 : (uint64_t)clock_now(CLOCK_MONOTONIC) + (uint64_t)timeout;
}

static int64_t time_left(uint64_t deadline)
{
	return deadline ? MAX((int64_t)deadline - clock_now(CLOCK_MONOTONIC), (int64_t)0) : -1;
}

/* A listener's capability may be others', too: that it is shut down ends no sleep, but loop_unlisten does. */
long loop_sleep(struct loop *l, uint32_t states, int64_t timeout)
{
	struct sleeper s;
	uint32_t cap = l->cap;
	long ret;

	if (l->kind != LOOP_LISTENER)
		return hostcall_blocking(HC_cap_wait, cap, states, timeout, 0);
	sleeper_init(&s);
	mutex_lock(&l->lock);
	cap = l->cap;
	list_append(&l->sleepers, &s.link);
	mutex_unlock(&l->lock);
	ret = cap ? hostcall_blocking(HC_cap_wait, cap, states, timeout, 0) : -EBADF;
	mutex_lock(&l->lock);
	list_remove(&s.link);
	mutex_unlock(&l->lock);
	return ret;
}

int loop_wait(struct loop *l, uint32_t states, uint64_t deadline)
{
	if (l->kind == LOOP_STREAM && loop_linger(l, states, NULL))
		return 0;
	for (;;) {
		struct thread *t = current();
		long ret;

		turn_release(t);
		ret = loop_sleep(l, states, time_left(deadline));
		turn_resume(t);
		if (ret == -ETIMEDOUT)
			return -EAGAIN;
		if (ret >= 0)
			return 0;
		if (ret != -EINTR)
			return (int)ret;
		if (work_pending() && !turn_interrupted())
			return deadline ? -EINTR : -ERESTARTSYS;
	}
}

/* A connect that still waits for room in a backlog. */
static int wait_connected(struct loop *l, bool nonblock, uint64_t deadline)
{
	uint8_t kind;

	while ((kind = __atomic_load_n(&l->kind, __ATOMIC_ACQUIRE)) == LOOP_CONNECTING) {
		uint32_t nothing = 0;

		if (nonblock || (deadline && !time_left(deadline)))
			return -EAGAIN;
		(void)hostcall_blocking(HC_futex_wait, &nothing, 0, NAP_NS);
		if (work_pending())
			return -ERESTARTSYS;
		(void)loop_retry_pending();
	}
	return kind == LOOP_STREAM ? 0 : kind == LOOP_LISTENER ? -ENOTCONN : -EPIPE;
}

/* The state that was true at `before` changes, unless somebody asked the monitor meanwhile: then it is asked again. Who is asking now
 * gets an answer that is too old. */
static void state_note(struct loop *l, uint32_t before, uint32_t set, uint32_t clear)
{
	uint32_t after = ((before | set) & ~clear) + LOOP_VERSION;

	if (!__atomic_compare_exchange_n(&l->state, &before, after, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		loop_must_check(l);
}

/* Once the program was told, a reset connection is only at its end. */
static bool tell_reset(struct loop *l)
{
	return !__atomic_exchange_n(&l->reset_told, true, __ATOMIC_SEQ_CST);
}

static inline ssize_t recv_once(struct loop *l, void *buf, size_t size, bool peek)
{
	uint32_t before = __atomic_load_n(&l->state, __ATOMIC_SEQ_CST);
	long n = hostcall(HC_stream_recv, l->cap, buf, size, peek);

	if (n > 0 && (size_t)n < size && !peek)
		state_note(l, before, 0, before & CAP_ENDED ? 0 : CAP_READABLE);
	else if (n > 0)
		loop_must_check(l);
	else if (n == -EAGAIN)
		state_note(l, before, 0, CAP_READABLE);
	else if (n == -ECONNRESET)
		n = tell_reset(l) ? -ECONNRESET : 0;
	if (n == -EAGAIN && (__atomic_load_n(&l->shutdown, __ATOMIC_RELAXED) & LOOP_SHUT_RECEIVE))
		n = 0;
	return n;
}

/* At least one byte, or the end, or why not. */
static ssize_t recv_some(struct loop *l, void *buf, size_t size, bool peek, bool nonblock, uint64_t *deadline)
{
	ssize_t n = recv_once(l, buf, size, peek);

	while (unlikely(n == -EAGAIN) && !nonblock) {
		int err;

		if (!*deadline)
			*deadline = loop_deadline(l->receive_timeout);
		err = loop_wait(l, CAP_READABLE | CAP_ENDED, *deadline);
		if (err)
			return err;
		n = recv_once(l, buf, size, peek);
		if (n == -EAGAIN)
			loop_drop_passed(l);
	}
	return n;
}

/* A look at what is there without taking it: into more than one buffer, or as much as was asked for. */
static ssize_t recv_peek(struct loop *l, const struct iovec *iov, unsigned count, uint32_t flags, bool nonblock)
{
	struct iter it = iter_init(iov, count);
	size_t size = MIN(it.left, (size_t)CAP_STREAM_RING);
	uint8_t *buf = kmalloc(MAX(size, (size_t)1));
	uint64_t deadline = 0;
	uint32_t nothing = 0;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	n = recv_some(l, buf, size, true, nonblock, &deadline);
	while (n > 0 && (size_t)n < size && (flags & MSG_WAITALL) && !nonblock && !(loop_refresh(l) & CAP_ENDED)) {
		if (hostcall_blocking(HC_futex_wait, &nothing, 0, NAP_NS) == -EINTR && work_pending())
			break;
		if (deadline && !time_left(deadline))
			break;
		n = recv_once(l, buf, size, true);
	}
	if (n > 0 && iter_put(&it, buf, (size_t)n) < (size_t)n)
		n = -EFAULT;
	kfree(buf);
	return n;
}

static ssize_t recv_all(struct loop *l, const struct iovec *iov, unsigned count, uint32_t flags, bool nonblock)
{
	bool drop = (flags & MSG_TRUNC) && l->socket.domain != AF_UNIX;
	uint64_t deadline = 0;
	ssize_t total = 0;

	for (unsigned i = 0; i < count; i++) {
		size_t done = 0;

		while (done < iov[i].iov_len) {
			char *at = drop ? NULL : (char *)iov[i].iov_base + done;
			bool more = (flags & MSG_WAITALL) || !total;
			ssize_t n = recv_some(l, at, iov[i].iov_len - done, false, nonblock || !more, &deadline);

			if (n <= 0)
				return total ? total : n;
			done += (size_t)n;
			total += n;
			if (done < iov[i].iov_len && !(flags & MSG_WAITALL))
				return total;
		}
	}
	return total;
}

static ssize_t receive(struct file *f, const struct iovec *iov, unsigned count, uint32_t flags)
{
	struct loop *l = loop_of(f);
	bool nonblock = loop_nonblock(f, flags);
	uint64_t deadline = 0;

	if (unlikely(l->kind != LOOP_STREAM)) {
		int err = wait_connected(l, nonblock, loop_deadline(l->receive_timeout));

		if (err)
			return err == -EPIPE ? -ENOTCONN : err;
	}
	if (likely(count == 1 && !flags)) {
		if (unlikely(!iov->iov_len))
			return 0;
		return recv_some(l, iov->iov_base, iov->iov_len, false, nonblock, &deadline);
	}
	return flags & MSG_PEEK ? recv_peek(l, iov, count, flags, nonblock) : recv_all(l, iov, count, flags, nonblock);
}

static ssize_t loop_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	(void)pos;
	return receive(f, iov, count, 0);
}

static ssize_t loop_recv(struct file *f, struct socket_msg *msg, uint32_t flags)
{
	struct loop *l = loop_of(f);
	ssize_t n;

	if (flags & MSG_ERRQUEUE)
		return -EAGAIN;
	if (flags & MSG_OOB)
		return l->socket.domain == AF_UNIX ? -EOPNOTSUPP : -EINVAL;
	n = receive(f, msg->iov, msg->count, flags & (MSG_PEEK | MSG_DONTWAIT | MSG_WAITALL | MSG_TRUNC));
	if (n < 0)
		return n;
	msg->control_size = 0;
	msg->flags = 0;
	if (msg->name && l->socket.domain == AF_UNIX && n && l->peer.size > sizeof(l->peer.family)) {
		if (copy_to_user(msg->name, &l->peer.storage, MIN(msg->name_size, l->peer.size)))
			return -EFAULT;
		msg->name_size = l->peer.size;
	} else {
		msg->name_size = 0;
	}
	return n;
}

/* The reader is gone: a reset is told once, then every send is a broken pipe. */
static ssize_t send_failed(struct loop *l)
{
	l->hung_up = true;
	if (!(__atomic_load_n(&l->shutdown, __ATOMIC_RELAXED) & LOOP_SHUT_SEND) && (loop_refresh(l) & CAP_RESET) && tell_reset(l))
		return -ECONNRESET;
	return -EPIPE;
}

/* Sends all, or what there is room for. */
static ssize_t send_bytes(struct loop *l, const char *buf, size_t size, bool nonblock, uint64_t *deadline)
{
	size_t done = 0;
	int err;

	while (done < size) {
		uint32_t before = __atomic_load_n(&l->state, __ATOMIC_SEQ_CST);
		long n = hostcall(HC_stream_send, l->cap, buf + done, size - done, 0);

		if (likely(n > 0)) {
			l->room = l->room > (size_t)n ? l->room - (uint32_t)n : 0;
			done += (size_t)n;
			continue;
		}
		if (n == -EPIPE)
			n = send_failed(l);
		if (n != -EAGAIN)
			return done ? (ssize_t)done : n;
		state_note(l, before, LOOP_FULL, 0);
		if (nonblock)
			return done ? (ssize_t)done : -EAGAIN;
		if (!*deadline)
			*deadline = loop_deadline(l->send_timeout);
		err = loop_wait(l, CAP_WRITABLE, *deadline);
		if (err)
			return done ? (ssize_t)done : err;
	}
	return (ssize_t)done;
}

static ssize_t send_vector(struct loop *l, const struct iovec *iov, unsigned count, bool nonblock)
{
	struct iter it = iter_init(iov, count);
	uint64_t deadline = 0;
	ssize_t total = 0;

	if (it.left <= GATHER_MAX) {
		char small[GATHER_MAX];
		size_t size = it.left;

		return iter_take(&it, small, size) < size ? -EFAULT : send_bytes(l, small, size, nonblock, &deadline);
	}
	for (unsigned i = 0; i < count; i++) {
		ssize_t n = send_bytes(l, iov[i].iov_base, iov[i].iov_len, nonblock, &deadline);

		if (n < 0)
			return total ? total : n;
		total += n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return total;
}

static ssize_t transmit(struct file *f, const struct iovec *iov, unsigned count, uint32_t flags)
{
	struct loop *l = loop_of(f);
	bool nonblock = loop_nonblock(f, flags);
	uint64_t deadline = 0;
	ssize_t n = 0;

	if (unlikely(l->kind != LOOP_STREAM))
		n = wait_connected(l, nonblock, loop_deadline(l->send_timeout));
	if (likely(!n && count == 1))
		n = send_bytes(l, iov->iov_base, iov->iov_len, nonblock, &deadline);
	else if (!n)
		n = send_vector(l, iov, count, nonblock);
	return unlikely(n == -EPIPE) && !(flags & MSG_NOSIGNAL) ? broken_pipe() : n;
}

static ssize_t loop_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	(void)pos;
	return transmit(f, iov, count, 0);
}

static ssize_t loop_send(struct file *f, struct socket_msg *msg, uint32_t flags)
{
	struct loop *l = loop_of(f);
	/* Descriptors cannot go to another cVM; credentials are never believed, so nobody misses them. */
	int err = msg->control_size ? control_check(msg, l->socket.domain == AF_UNIX) : 0;

	if (flags & MSG_OOB)
		err = -EOPNOTSUPP;
	if (!err && msg->name && l->socket.domain == AF_UNIX)
		err = -EISCONN;
	return err ? err : transmit(f, msg->iov, msg->count, flags);
}

static int loop_shutdown(struct file *f, int how)
{
	static const uint8_t bits[3] = { LOOP_SHUT_RECEIVE, LOOP_SHUT_SEND, LOOP_SHUT_RECEIVE | LOOP_SHUT_SEND };
	struct loop *l = loop_of(f);
	int ret;

	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;
	if (l->kind != LOOP_STREAM)
		return -ENOTCONN;
	__atomic_or_fetch(&l->shutdown, bits[how], __ATOMIC_SEQ_CST);
	ret = (int)hostcall(HC_stream_shutdown, l->cap, how);
	loop_must_check(l);
	waitq_wake(l->wait, 0);
	return ret;
}

static int loop_connect(struct file *f, const struct sockaddr_any *addr)
{
	struct loop *l = loop_of(f);

	(void)addr;
	if (l->kind == LOOP_CONNECTING)
		return -EALREADY;
	return l->kind == LOOP_FAILED ? -ECONNABORTED : -EISCONN;
}

static int loop_name(struct file *f, bool peer, struct sockaddr_any *addr)
{
	struct loop *l = loop_of(f);

	if (peer && (l->kind != LOOP_STREAM || ((l->reset_told || l->hung_up) && l->socket.domain != AF_UNIX)))
		return -ENOTCONN;
	*addr = peer ? l->peer : l->local;
	return 0;
}

static int loop_no(struct file *f, const struct sockaddr_any *addr)
{
	(void)f, (void)addr;
	return -EINVAL;
}

static int loop_no_listen(struct file *f, int backlog)
{
	(void)f, (void)backlog;
	return -EINVAL;
}

static struct file *loop_no_accept(struct file *f, struct sockaddr_any *peer, uint32_t flags, int *error)
{
	(void)f, (void)peer, (void)flags;
	*error = -EINVAL;
	return NULL;
}

static long loop_ioctl(struct file *f, unsigned long request, void *user_arg)
{
	struct loop *l = loop_of(f);
	struct cap_info info = { .writable = CAP_STREAM_RING };

	if (request != FIONREAD && request != TIOCOUTQ)
		return -ENOTTY;
	if (l->kind == LOOP_LISTENER)
		return -EINVAL;
	if (l->kind == LOOP_STREAM && hostcall(HC_cap_info, l->cap, &info))
		return -EINVAL;
	return put_user((int)(request == FIONREAD ? info.readable : CAP_STREAM_RING - info.writable), (int *)user_arg);
}

static int loop_stat(struct file *f, struct statx *st)
{
	return numbered_stat(st, S_IFSOCK | 0777, loop_of(f)->inode);
}

static void loop_release(struct file *f)
{
	struct loop *l = loop_of(f);
	const struct file_ops *origin = l->origin;

	loop_free(l);
	if (origin)
		origin->release(f);
}

const struct file_ops g_loop_file_ops = {
	.name = "socket",
	.read = loop_read,
	.write = loop_write,
	.ioctl = loop_ioctl,
	.poll = loop_poll,
	.waitq = loop_waitq,
	.stat = loop_stat,
	.release = loop_release,
};

const struct socket_ops g_loop_socket_ops = {
	.bind = loop_no,
	.connect = loop_connect,
	.listen = loop_no_listen,
	.accept = loop_no_accept,
	.name = loop_name,
	.send = loop_send,
	.recv = loop_recv,
	.shutdown = loop_shutdown,
	.getopt = loop_getopt,
	.setopt = loop_setopt,
};

static int both_handle(struct file *f)
{
	return loop_of(f)->both;
}

const struct file_ops g_loop_listener_ops = {
	.name = "socket",
	.read = loop_read,
	.write = loop_write,
	.ioctl = loop_ioctl,
	.poll = loop_poll,
	.waitq = loop_waitq,
	.stat = loop_stat,
	.release = loop_release,
};

const struct file_ops g_loop_both_ops = {
	.name = "socket",
	.read = loop_read,
	.write = loop_write,
	.ioctl = loop_ioctl,
	.host_handle = both_handle,
	.stat = loop_stat,
	.release = loop_release,
};
