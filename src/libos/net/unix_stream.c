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
	if (ring_free(&peer->ring)) {
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
	if (io.peer->passcred && !scm->has_cred && current()->process->pid != s->cred.pid)
		scm_own_cred(scm);
	if (scm->count || (scm->has_cred && memcmp(&scm->cred, &io.peer->peer_cred, sizeof(scm->cred)))) { /* else the receiver knows them */
		io.mark = kzalloc(sizeof(*io.mark));
		if (!io.mark)
			return -ENOMEM;
		io.mark->scm = *scm;
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
	bool nonblock;
	struct unix_scm scm; /* of the mark that was passed */
	bool seen;	     /* there were bytes, if only for a call that takes none */
	bool stop;	     /* a mark was passed: no more bytes in this call */
};

/* How many bytes this call may still take: up to the end of the first mark's message. lock held. */
static size_t until_mark(const struct stream_recv *io, struct unix_msg **mark)
{
	struct unix_sock *s = io->s;
	uint64_t at = s->consumed + (io->flags & MSG_PEEK ? io->done : 0);
	size_t available = s->received - at;

	*mark = NULL;
	if (list_empty(&s->messages))
		return available;
	*mark = list_entry(s->messages.next, struct unix_msg, link);
	if (s->passcred && (*mark)->scm.has_cred && (*mark)->position > at) { /* what is before it has another writer */
		available = MIN(available, (*mark)->position - at);
		*mark = NULL;
		return available;
	}
	return MIN(available, (*mark)->position + (*mark)->size - at);
}

/* Bytes [.., end) were taken: if the mark lies below, its ancillary data goes with them. lock held. */
static void pass_mark(struct stream_recv *io, struct unix_msg *mark, uint64_t end)
{
	if (!mark || mark->position >= end)
		return;
	io->stop = true;
	if (io->flags & MSG_PEEK) {
		(void)!scm_dup(&io->scm, &mark->scm);
		return;
	}
	list_remove(&mark->link);
	io->scm = mark->scm;
	kfree(mark);
}

static ssize_t nothing_there(struct stream_recv *io)
{
	struct unix_sock *s = io->s;
	int err = s->error;

	if (!io->done || io->done < io->want) /* as on Linux: who asked for more has had the error with what there was */
		s->error = 0;
	if (io->done)
		return (ssize_t)io->done;
	if (err)
		return -err;
	return s->shutdown & UNIX_SHUT_RECEIVE ? 0 : -EAGAIN;
}

static ssize_t try_recv(void *ctx)
{
	struct stream_recv *io = ctx;
	struct unix_sock *s = io->s;
	bool fault = false, peek = io->flags & MSG_PEEK;
	struct unix_msg *mark;
	size_t n, room;
	ssize_t ret;

	mutex_lock(&s->lock);
	room = until_mark(io, &mark);
	if (!room) {
		bool over = s->error || (s->shutdown & UNIX_SHUT_RECEIVE);

		ret = nothing_there(io);
		if (io->done && io->done < io->want && !over)
			ret = -EAGAIN;
		mutex_unlock(&s->lock);
		return ret;
	}
	io->seen = true;
	room = MIN(room, io->it.left);
	n = peek ? ring_peek(&s->ring, io->done, &io->it, room, &fault) : ring_read(&s->ring, &io->it, room, &fault);
	if (!peek)
		s->consumed += n;
	io->done += n;
	pass_mark(io, mark, s->consumed + (peek ? io->done : 0));
	mutex_unlock(&s->lock);
	if (n && !peek)
		waitq_wake(&s->peer->wait, EPOLLOUT | EPOLLWRNORM);
	if (fault)
		return io->done ? (ssize_t)io->done : -EFAULT;
	if (io->done < io->want && !io->stop)
		return try_recv(io); /* what is behind, an error, too */
	return (ssize_t)io->done;
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
	if (s->passcred && !io.scm.has_cred) { /* at the end nobody's */
		io.scm.has_cred = true;
		io.scm.cred = io.seen ? s->peer_cred : (struct ucred){ 0 };
	}
	if (!s->passcred)
		io.scm.has_cred = false;
	scm_to_user(&io.scm, msg, flags & MSG_CMSG_CLOEXEC);
	if (io.seen && unix_name_to_msg(s->peer->name, msg))
		return -EFAULT;
	if (!io.seen)
		msg->name_size = 0;
	return ret;
}
