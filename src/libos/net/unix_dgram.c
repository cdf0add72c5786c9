/*
 * Data of Unix datagram and seqpacket sockets: whole messages in the receiver's list, each with its sender's name and
 * ancillary data.
 */
#include "core/kheap.h"
#include "net/unix.h"

struct dgram_send {
	struct unix_sock *s, *to;
	struct unix_msg *msg; /* NULL once it is delivered */
	size_t size;
};

static bool full(const struct unix_sock *to, const struct unix_sock *from, size_t size)
{
	if (to->message_count && to->queued + size > from->send_buffer)
		return true;
	return to != from && to->peer != from && to->message_count >= UNIX_DATAGRAMS_MAX; /* of one's own there may be more */
}

static ssize_t try_send(void *ctx)
{
	struct dgram_send *io = ctx;
	struct unix_sock *to = io->to;
	ssize_t ret = (ssize_t)io->size;

	if (__atomic_load_n(&io->s->shutdown, __ATOMIC_ACQUIRE) & UNIX_SHUT_SEND)
		return -EPIPE;
	mutex_lock(&to->lock);
	if (to->closed)
		ret = unix_connects(io->s) ? -EPIPE : -ECONNREFUSED;
	else if (!unix_connects(to) && to->peer && to->peer != io->s)
		ret = -EPERM;
	else if (to->shutdown & UNIX_SHUT_RECEIVE)
		ret = -EPIPE;
	else if (full(to, io->s, io->size))
		ret = -EAGAIN;
	else {
		list_append(&to->messages, &io->msg->link);
		to->message_count++;
		to->queued += io->size;
		io->msg = NULL;
	}
	mutex_unlock(&to->lock);
	if (ret >= 0)
		waitq_wake(&to->wait, EPOLLIN | EPOLLRDNORM);
	return ret;
}

static struct unix_sock *find_receiver(struct unix_sock *s, struct socket_msg *msg, int *error)
{
	struct sockaddr_any addr;

	if (!msg->name || !msg->name_size || unix_connects(s)) {
		*error = -ENOTCONN;
		return unix_peer_get(s);
	}
	*error = sockaddr_from_user(&addr, msg->name, msg->name_size);
	if (*error)
		return NULL;
	return unix_name_lookup(&addr, s->socket.type, error);
}

static struct unix_msg *make_message(struct unix_sock *s, struct socket_msg *msg, size_t size, struct unix_scm *scm, bool wanted, int *error)
{
	struct iter it = iter_init(msg->iov, msg->count);
	struct unix_msg *m;

	*error = -EMSGSIZE;
	if (size > s->send_buffer - 32)
		return NULL;
	m = kmalloc(sizeof(*m) + size);
	*error = -ENOBUFS;
	if (!m)
		return NULL;
	memset(m, 0, sizeof(*m));
	list_init(&m->link);
	m->size = size;
	*error = iter_take(&it, m->data, size) < size ? -EFAULT : 0;
	if (*error) {
		unix_msg_free(m);
		return NULL;
	}
	m->scm = *scm;
	*scm = (struct unix_scm){ 0 };
	mutex_lock(&s->lock);
	m->from = unix_name_get(s->name);
	mutex_unlock(&s->lock);
	if (!m->from) {
		unix_get(s);
		m->sender = s;
	}
	if (!m->scm.has_cred && wanted)
		scm_own_cred(&m->scm);
	return m;
}

/* True: there were messages, and are none. */
static bool lose_messages(struct unix_sock *s)
{
	struct list lost;

	list_init(&lost);
	mutex_lock(&s->lock);
	while (!list_empty(&s->messages)) {
		struct list *node = s->messages.next;

		list_remove(node);
		list_append(&lost, node);
	}
	s->message_count = 0, s->queued = 0;
	mutex_unlock(&s->lock);
	if (list_empty(&lost))
		return false;
	list_for_each_safe(at, next, &lost)
		unix_msg_free(list_entry(at, struct unix_msg, link));
	waitq_wake(&s->wait, EPOLLOUT | EPOLLWRNORM);
	waitq_wake(&s->room, EPOLLOUT | EPOLLWRNORM);
	return true;
}

/* The peer is gone, and what has come from it is lost with it. */
static void disconnect(struct unix_sock *s, struct unix_sock *gone)
{
	bool was;

	mutex_lock(&s->lock);
	was = s->peer == gone;
	if (was) {
		s->peer = NULL;
		s->state = UNIX_IDLE;
		waitq_remove(&s->relay);
	}
	mutex_unlock(&s->lock);
	if (was) {
		lose_messages(s);
		waitq_wake(&s->wait, EPOLLOUT | EPOLLWRNORM);
		unix_put(gone);
	}
}

void unix_dgram_left(struct unix_sock *s, struct unix_sock *old)
{
	bool told;

	if (!lose_messages(s))
		return;
	mutex_lock(&old->lock);
	told = !old->closed && old->peer == s;
	if (told)
		old->error = ECONNRESET;
	mutex_unlock(&old->lock);
	if (told)
		waitq_wake(&old->wait, 0);
}

/* What Linux looks at before the message and its receiver. */
static int check_sender(struct unix_sock *s, size_t size)
{
	int err = 0;

	mutex_lock(&s->lock);
	if (!unix_connects(s) && size > s->send_buffer - 32) {
		err = -EMSGSIZE;
	} else if (s->error) {
		err = -s->error;
		s->error = 0;
	} else if (!unix_connects(s) && (s->shutdown & UNIX_SHUT_SEND)) {
		err = -EPIPE;
	}
	mutex_unlock(&s->lock);
	return err;
}

ssize_t unix_dgram_send(struct file *f, struct socket_msg *msg, uint32_t flags, struct unix_scm *scm)
{
	struct unix_sock *s = unix_of(f);
	struct dgram_send io = { .s = s, .size = iter_init(msg->iov, msg->count).left };
	bool named = !unix_connects(s) && msg->name && msg->name_size;
	int err;
	ssize_t ret;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (named) {
		struct sockaddr_any addr;

		err = sockaddr_from_user(&addr, msg->name, msg->name_size);
		if (err || addr.family != AF_UNIX || addr.size <= UNIX_PATH_OFFSET)
			return err ? err : -EINVAL;
	}
	if (named || unix_connects(s) || __atomic_load_n(&s->peer, __ATOMIC_RELAXED)) {
		err = unix_name_for_credentials(s);
		if (err)
			return err;
	}
	err = check_sender(s, io.size);
	if (err)
		return err;
	io.to = find_receiver(s, msg, &err);
	if (!io.to)
		return err;
	io.msg = make_message(s, msg, io.size, scm, s->passcred || io.to->passcred, &err);
	if (!io.msg) {
		unix_put(io.to);
		return err;
	}
	ret = try_send(&io);
	if (ret == -EAGAIN && !unix_nonblock(f, flags)) {
		ret = block_until(&io.to->wait, BLOCK_WRITE, s->send_timeout, try_send, &io);
		if (ret == -ERESTARTSYS && s->send_timeout >= 0)
			ret = -EINTR;
	}
	if (io.msg)
		unix_msg_free(io.msg);
	if (ret == -ECONNREFUSED) /* told once, as Linux does; then the socket has no peer */
		disconnect(s, io.to);
	unix_put(io.to);
	return ret == -EPIPE && unix_connects(s) && !(flags & MSG_NOSIGNAL) ? broken_pipe() : ret;
}

struct dgram_recv {
	struct unix_sock *s;
	struct unix_msg *msg; /* taken off the list, or (peek) a copy of its head */
	uint32_t flags;
	bool nonblock;
};

static struct unix_msg *peek_copy(const struct unix_msg *m)
{
	struct unix_msg *copy = kmalloc(sizeof(*m) + m->size);

	if (!copy)
		return NULL;
	memcpy(copy, m, sizeof(*m) + m->size);
	list_init(&copy->link);
	unix_name_get(copy->from);
	if (copy->sender)
		unix_get(copy->sender);
	if (scm_dup(&copy->scm, &m->scm)) {
		unix_msg_free(copy);
		return NULL;
	}
	return copy;
}

static ssize_t try_recv(void *ctx)
{
	struct dgram_recv *io = ctx;
	struct unix_sock *s = io->s;
	struct unix_sock *peer = NULL;
	ssize_t ret = 1;

	mutex_lock(&s->lock);
	if (s->error) {
		ret = -s->error;
		s->error = 0;
	} else if (!list_empty(&s->messages)) {
		io->msg = list_entry(s->messages.next, struct unix_msg, link);
		if (io->flags & MSG_PEEK) {
			io->msg = peek_copy(io->msg);
			ret = io->msg ? 1 : -ENOMEM;
		} else {
			list_remove(&io->msg->link);
			s->message_count--;
			s->queued -= io->msg->size;
			peer = s->peer;
			if (peer)
				unix_get(peer);
		}
	} else if ((s->shutdown & UNIX_SHUT_RECEIVE) && (unix_connects(s) || !io->nonblock)) {
		ret = 0;
	} else {
		ret = -EAGAIN;
	}
	mutex_unlock(&s->lock);
	if (ret > 0 && !(io->flags & MSG_PEEK)) {
		waitq_wake(&s->wait, EPOLLOUT | EPOLLWRNORM); /* senders that are strangers sleep here */
		waitq_wake(&s->room, EPOLLOUT | EPOLLWRNORM);
		if (peer) {
			waitq_wake(&peer->wait, EPOLLOUT | EPOLLWRNORM);
			unix_put(peer);
		}
	}
	return ret;
}

static ssize_t deliver(struct unix_sock *s, struct unix_msg *m, struct socket_msg *msg, uint32_t flags)
{
	struct iter it = iter_init(msg->iov, msg->count);
	size_t n = MIN(it.left, m->size);

	if (iter_put(&it, m->data, n) < n)
		return -EFAULT;
	if (n < m->size)
		msg->flags |= MSG_TRUNC;
	if (m->sender) { /* it may have got one meanwhile */
		mutex_lock(&m->sender->lock);
		m->from = unix_name_get(m->sender->name);
		mutex_unlock(&m->sender->lock);
	}
	if (unix_name_to_msg(m->from, msg))
		return -EFAULT;
	if (s->passcred && !m->scm.has_cred) /* nobody wanted to know when it was sent */
		m->scm.cred = (struct ucred){ 0, 65534, 65534 };
	m->scm.has_cred = s->passcred;
	scm_to_user(&m->scm, msg, flags & MSG_CMSG_CLOEXEC);
	return flags & MSG_TRUNC ? (ssize_t)m->size : (ssize_t)n;
}

ssize_t unix_dgram_recv(struct file *f, struct socket_msg *msg, uint32_t flags)
{
	struct unix_sock *s = unix_of(f);
	struct dgram_recv io = { .s = s, .flags = flags, .nonblock = unix_nonblock(f, flags) };
	ssize_t ret;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (unix_connects(s) && __atomic_load_n(&s->state, __ATOMIC_ACQUIRE) != UNIX_CONNECTED)
		return -ENOTCONN;
	msg->flags = 0;
	ret = try_recv(&io);
	if (ret == -EAGAIN && !io.nonblock) {
		ret = block_until(&s->wait, BLOCK_READ, s->receive_timeout, try_recv, &io);
		if (ret == -ERESTARTSYS && s->receive_timeout >= 0)
			ret = -EINTR;
	}
	if (ret <= 0) {
		msg->name_size = 0;
		msg->control_size = 0;
		return ret;
	}
	ret = deliver(s, io.msg, msg, flags);
	unix_msg_free(io.msg);
	return ret;
}
