/*
 * Data of Unix stream sockets. A sender writes into its peer's ring; ancillary data becomes a mark at its position. As on
 * Linux, one receive never goes beyond the message that a mark belongs to.
 */
#include "core/kheap.h"
#include "net/unix.h"

struct stream_send {
	struct unix_sock *s, *peer;
	struct iter it;
	size_t done;
	struct unix_msg *mark; /* not queued yet, or NULL */
	const struct ucred *writer; /* which every part that is sent is marked with, or NULL */
	struct ucred cred;
};

static bool shut(struct unix_sock *s, uint8_t bit)
{
	return __atomic_load_n(&s->shutdown, __ATOMIC_ACQUIRE) & bit;
}

/* -EAGAIN until all is sent, an error, or the count. */
static ssize_t try_send(void *ctx)
{
	struct stream_send *io = ctx;
	struct unix_sock *peer = io->peer;
	bool fault = false, memory = true;
	size_t n = 0;

	if (shut(io->s, UNIX_SHUT_SEND))
		return -EPIPE;
	mutex_lock(&peer->lock);
	if (peer->closed || (peer->shutdown & UNIX_SHUT_RECEIVE)) {
		mutex_unlock(&peer->lock);
		return -EPIPE;
	}
	if (io->writer && !io->mark && (io->mark = kzalloc(sizeof(*io->mark))) != NULL)
		io->mark->scm = (struct unix_scm){ .has_cred = true, .cred = *io->writer };
	memory = !io->writer || io->mark;
	if (memory && ring_free(&peer->ring)) {
		n = ring_write(&peer->ring, &io->it, io->it.left, &fault);
		memory = n || fault;
	}
	if (n && io->mark) {
		io->mark->position = peer->received;
		io->mark->size = n;
		list_append(&peer->messages, &io->mark->link);
		io->mark = NULL;
	}
	peer->received += n;
	mutex_unlock(&peer->lock);
	io->done += n;
	if (n)
		waitq_wake(&peer->wait, EPOLLIN | EPOLLRDNORM);
	if (fault)
		return -EFAULT;
	if (!memory)
		return -ENOBUFS;
	return io->it.left ? -EAGAIN : (ssize_t)io->done;
}

ssize_t unix_stream_send(struct file *f, struct socket_msg *msg, uint32_t flags, struct unix_scm *scm)
{
	struct unix_sock *s = unix_of(f);
	struct stream_send io = { .s = s, .it = iter_init(msg->iov, msg->count) };
	ssize_t ret;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (msg->name && msg->name_size)
		return s->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	if (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) != UNIX_CONNECTED)
		return -ENOTCONN;
	io.peer = s->peer;
	if (io.peer->passcred && !scm->has_cred)
		scm_own_cred(scm);
	if (scm->count || (scm->has_cred && memcmp(&scm->cred, &io.peer->peer_cred, sizeof(scm->cred)))) { /* else the receiver knows them */
		io.mark = kzalloc(sizeof(*io.mark));
		if (!io.mark)
			return -ENOMEM;
		io.mark->scm = *scm;
		io.cred = scm->cred;
		io.writer = scm->has_cred ? &io.cred : NULL;
		*scm = (struct unix_scm){ 0 };
	}
	ret = io.it.left ? try_send(&io) : shut(s, UNIX_SHUT_SEND) ? -EPIPE : 0;
	if (ret == -EAGAIN && !unix_nonblock(f, flags)) {
		/* Room in the peer's ring is announced on our own queue, as is the end of the connection. */
		ret = block_until(&s->wait, BLOCK_WRITE, s->send_timeout, try_send, &io);
		if (ret == -ERESTARTSYS && s->send_timeout >= 0)
			ret = -EINTR;
	}
	if (io.mark)
		unix_msg_free(io.mark);
	if (ret < 0 && io.done)
		return (ssize_t)io.done;
	return ret == -EPIPE && !(flags & MSG_NOSIGNAL) ? broken_pipe() : ret;
}

struct stream_recv {
	struct unix_sock *s;
	struct iter it;
	size_t done, want; /* fewer bytes are not enough, without an end or a mark */
	uint32_t flags;
	struct unix_scm scm; /* of what was taken */
	bool seen;	     /* there were bytes, if only for a call that takes none: scm.cred is their writer */
	bool stop;	     /* no more bytes in this call: descriptors came with the last ones, or what follows has another writer */
};

/* The bytes that come next and belong to one mark, or to none: their number, and who wrote them. lock held. */
static size_t next_part(const struct stream_recv *io, struct unix_msg **mark, const struct ucred **writer)
{
	const struct unix_sock *s = io->s;
	uint64_t at = s->consumed + (io->flags & MSG_PEEK ? io->done : 0);

	*mark = NULL;
	*writer = &s->peer_cred;
	list_for_each(pos, &s->messages) {
		struct unix_msg *m = list_entry(pos, struct unix_msg, link);

		if (m->position + m->size <= at)
			continue;
		if (m->position > at)
			return m->position - at;
		*mark = m;
		if (m->scm.has_cred)
			*writer = &m->scm.cred;
		return m->position + m->size - at;
	}
	return s->received - at;
}

/* The first bytes of a message bring its descriptors. lock held. */
static void take_files(struct stream_recv *io, struct unix_msg *mark)
{
	struct ucred writer = io->scm.cred;

	if (!mark || !mark->scm.count)
		return;
	io->stop = true;
	if (io->flags & MSG_PEEK) {
		(void)!scm_dup(&io->scm, &mark->scm);
	} else {
		io->scm = mark->scm;
		mark->scm.files = NULL;
		mark->scm.count = 0;
	}
	io->scm.has_cred = true;
	io->scm.cred = writer;
}

/* Marks go with the last byte of their messages. lock held. */
static void drop_marks(struct unix_sock *s)
{
	list_for_each_safe(pos, next, &s->messages) {
		struct unix_msg *m = list_entry(pos, struct unix_msg, link);

		if (m->position + m->size > s->consumed)
			break;
		list_remove(&m->link);
		unix_msg_free(m);
	}
}

/* What of one part this call may have; false when it gets no more. lock held. */
static bool take_part(struct stream_recv *io, bool *fault)
{
	struct unix_sock *s = io->s;
	bool peek = io->flags & MSG_PEEK;
	const struct ucred *writer;
	struct unix_msg *mark;
	size_t n, room = next_part(io, &mark, &writer);

	if (!room)
		return false;
	if (io->seen && s->passcred && memcmp(writer, &io->scm.cred, sizeof(*writer)) != 0) {
		io->stop = true;
		return false;
	}
	io->seen = io->scm.has_cred = true;
	io->scm.cred = *writer;
	room = MIN(room, io->it.left);
	n = peek ? ring_peek(&s->ring, io->done, &io->it, room, fault) : ring_read(&s->ring, &io->it, room, fault);
	io->done += n;
	take_files(io, mark);
	if (!peek) {
		s->consumed += n;
		drop_marks(s);
	}
	return n == room && io->it.left && !io->stop;
}

static ssize_t nothing_there(struct stream_recv *io)
{
	struct unix_sock *s = io->s;
	int err = s->error;
	bool over = err || (s->shutdown & UNIX_SHUT_RECEIVE);

	if (io->flags & MSG_PEEK && io->done) /* as on Linux, which looks at nothing else then */
		return (ssize_t)io->done;
	s->error = 0;
	if (io->done)
		return over ? (ssize_t)io->done : -EAGAIN;
	if (err)
		return -err;
	return s->shutdown & UNIX_SHUT_RECEIVE ? 0 : -EAGAIN;
}

static ssize_t try_recv(void *ctx)
{
	struct stream_recv *io = ctx;
	struct unix_sock *s = io->s;
	bool fault = false;
	ssize_t ret;

	mutex_lock(&s->lock);
	uint64_t before = s->consumed;
	while (take_part(io, &fault))
		;
	bool consumed = s->consumed != before;
	if (fault)
		ret = io->done ? (ssize_t)io->done : -EFAULT;
	else if (io->stop || (io->seen && io->done >= io->want))
		ret = (ssize_t)io->done;
	else
		ret = nothing_there(io); /* who asked for more than there was gets an error, too */
	mutex_unlock(&s->lock);
	if (consumed)
		waitq_wake(&s->peer->wait, EPOLLOUT | EPOLLWRNORM);
	return ret;
}

ssize_t unix_stream_recv(struct file *f, struct socket_msg *msg, uint32_t flags)
{
	struct unix_sock *s = unix_of(f);
	struct stream_recv io = { .s = s, .it = iter_init(msg->iov, msg->count), .flags = flags };
	ssize_t ret;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) != UNIX_CONNECTED)
		return -EINVAL;
	msg->flags = 0;
	io.want = flags & MSG_WAITALL ? io.it.left : MIN(io.it.left, (size_t)s->receive_least);
	ret = try_recv(&io);
	if (ret == -EAGAIN && !unix_nonblock(f, flags)) {
		ret = block_until(&s->wait, BLOCK_READ, s->receive_timeout, try_recv, &io);
		if (ret == -ERESTARTSYS && s->receive_timeout >= 0)
			ret = -EINTR;
	}
	if (ret < 0 && io.done)
		ret = (ssize_t)io.done;
	if (ret < 0)
		return ret;
	io.scm.has_cred = s->passcred; /* at the end nobody's */
	scm_to_user(&io.scm, msg, flags & MSG_CMSG_CLOEXEC);
	if (io.seen && unix_name_to_msg(s->peer->name, msg))
		return -EFAULT;
	if (!io.seen)
		msg->name_size = 0;
	return ret;
}
