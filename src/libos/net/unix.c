/*
 * Unix sockets: creation, connection and the end (net/unix.h says how they work). Called through socket_ops, file_ops
 * and by sys_net.c.
 */
#include "net/unix.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/poll_set.h"
#include "net/loop.h"

#include <asm/ioctls.h>

void unix_get(struct unix_sock *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
}

void unix_put(struct unix_sock *s)
{
	if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
		return;
	unix_name_put(s->name);
	ring_free_data(&s->ring);
	kfree(s);
}

struct unix_sock *unix_peer_get(struct unix_sock *s)
{
	struct unix_sock *peer;

	mutex_lock(&s->lock);
	peer = s->peer;
	if (peer)
		unix_get(peer);
	mutex_unlock(&s->lock);
	return peer;
}

static const struct socket_ops g_unix_socket_ops;

static void relay_room(struct waiter *w, uint32_t events)
{
	waitq_wake(&((struct unix_sock *)w->data)->wait, events);
}

static const struct ucred g_nobody = { 0, ~0u, ~0u };

/* Whom a peer is told of: who makes a pair, listens or connects, not who made the socket. */
static struct ucred own_cred(void)
{
	const struct process *p = current()->process;

	return (struct ucred){ p->pid, p->euid, p->egid };
}

static struct unix_sock *sock_alloc(int type)
{
	struct unix_sock *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	s->socket = (struct socket){ .ops = &g_unix_socket_ops, .domain = AF_UNIX, .type = (uint16_t)type };
	s->refs = 1;
	s->ring.limit = UNIX_RING_DEFAULT;
	list_init(&s->messages);
	list_init(&s->backlog);
	list_init(&s->embryo);
	s->peer_cred = g_nobody;
	s->send_buffer = s->receive_buffer = UNIX_BUFFER_DEFAULT;
	s->send_timeout = s->receive_timeout = -1;
	s->receive_least = 1;
	s->inode = anon_inode();
	waitq_init(&s->wait);
	waitq_init(&s->room);
	s->relay.wake = relay_room;
	s->relay.data = s;
	return s;
}

/* The other end learns that `s` is going: no more data in either direction. */
static void hang_up(struct unix_sock *peer, bool data_lost)
{
	mutex_lock(&peer->lock);
	__atomic_store_n(&peer->shutdown, UNIX_SHUT_RECEIVE | UNIX_SHUT_SEND, __ATOMIC_RELEASE);
	if (data_lost)
		peer->error = ECONNRESET;
	mutex_unlock(&peer->lock);
	waitq_wake(&peer->wait, 0);
}

/* Ends a socket whose file is gone (or never came: an embryo). Consumes its reference. */
static void sock_close(struct unix_sock *s)
{
	struct unix_sock *peer;
	struct list messages, backlog;
	bool data_lost;

	unix_name_unbind(s);
	list_init(&messages);
	list_init(&backlog);
	mutex_lock(&s->lock);
	s->closed = true;
	__atomic_store_n(&s->shutdown, UNIX_SHUT_RECEIVE | UNIX_SHUT_SEND, __ATOMIC_RELEASE);
	data_lost = ring_used(&s->ring);
	peer = s->peer;
	while (!list_empty(&s->messages)) {
		struct list *node = s->messages.next;

		data_lost |= list_entry(node, struct unix_msg, link)->size > 0;
		list_remove(node);
		list_append(&messages, node);
	}
	while (!list_empty(&s->backlog)) {
		struct list *node = s->backlog.next;

		list_remove(node);
		list_append(&backlog, node);
	}
	s->state = UNIX_IDLE;
	waitq_remove(&s->relay);
	mutex_unlock(&s->lock);
	waitq_wake(&s->wait, 0); /* those who wait for room in a backlog or queue */
	waitq_wake(&s->room, EPOLLOUT | EPOLLWRNORM); /* nothing to read for those who wrote to it */
	list_for_each_safe(at, next, &messages)
		unix_msg_free(list_entry(at, struct unix_msg, link));
	list_for_each_safe(at, next, &backlog) {
		struct unix_sock *embryo = list_entry(at, struct unix_sock, embryo);

		hang_up(embryo->peer, true);
		list_init(&embryo->embryo);
		sock_close(embryo);
	}
	if (peer) {
		if (unix_connects(s))
			hang_up(peer, data_lost);
		unix_put(peer);
	}
	unix_put(s);
}

static void unix_release(struct file *f)
{
	if (f->ops == &g_unix_file_ops && loop_of(f))
		loop_free(loop_of(f));
	sock_close(unix_of(f));
}

static struct file *sock_file(struct unix_sock *s, uint32_t flags)
{
	return file_alloc(&g_unix_file_ops, O_RDWR | (flags & O_NONBLOCK), s);
}

struct file *unix_socket(int type, int protocol, uint32_t flags, int *error)
{
	struct unix_sock *s;
	struct file *f;

	*error = 0;
	if (protocol && protocol != AF_UNIX)
		*error = -EPROTONOSUPPORT;
	if (type == SOCK_RAW) /* Linux believes it to be datagrams */
		type = SOCK_DGRAM;
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		*error = -ESOCKTNOSUPPORT;
	if (*error)
		return NULL;
	*error = -ENOMEM;
	s = sock_alloc(type);
	if (!s)
		return NULL;
	f = sock_file(s, flags);
	if (!f)
		unix_put(s);
	return f;
}

/* Who sends datagrams and finds no room polls its own queue, but only the receiver's knows when there is some. s is not visible to
 * others yet, or its lock is held. */
static void follow(struct unix_sock *s, struct unix_sock *receiver)
{
	waitq_remove(&s->relay);
	if (receiver && !unix_connects(s))
		waitq_add(&receiver->room, &s->relay);
}

/* a's other end is b; a is not visible to others yet, or its lock is held. */
static void set_end(struct unix_sock *a, struct unix_sock *b)
{
	a->peer = b;
	unix_get(b);
	a->peer_cred = own_cred();
	follow(a, b);
}

/* From here on a's owner uses a->peer without the lock. */
static void set_connected(struct unix_sock *a)
{
	__atomic_store_n(&a->state, UNIX_CONNECTED, __ATOMIC_RELEASE);
}

int unix_socketpair(int type, int protocol, uint32_t flags, struct file *file[2])
{
	int err;

	file[0] = unix_socket(type, protocol, flags, &err);
	if (!file[0])
		return err;
	file[1] = unix_socket(type, protocol, flags, &err);
	if (!file[1]) {
		file_put(file[0]);
		return err;
	}
	set_end(unix_of(file[0]), unix_of(file[1]));
	set_end(unix_of(file[1]), unix_of(file[0]));
	set_connected(unix_of(file[0]));
	set_connected(unix_of(file[1]));
	return 0;
}

static int unix_bind(struct file *f, const struct sockaddr_any *addr)
{
	return unix_name_bind(unix_of(f), addr);
}

static int unix_listen(struct file *f, int backlog)
{
	struct unix_sock *s = unix_of(f);
	int err = 0;

	if (!unix_connects(s))
		return -EOPNOTSUPP;
	mutex_lock(&s->lock);
	if (!s->name || s->state == UNIX_CONNECTED)
		err = -EINVAL;
	else {
		s->state = UNIX_LISTENING;
		s->backlog_max = (unsigned)backlog > SOMAXCONN ? SOMAXCONN : (unsigned)backlog;
		s->peer_cred = own_cred();
	}
	mutex_unlock(&s->lock);
	if (!err && unix_is_stream(s) && s->name->inode)
		loop_listen_unix(f, &s->wait, s->name->addr.sun_path, backlog);
	waitq_wake(&s->wait, EPOLLOUT);
	return err;
}

struct enqueue {
	struct unix_sock *listener, *embryo;
};

/* l->lock held. */
static ssize_t refuses(const struct unix_sock *l)
{
	if (l->closed || l->state != UNIX_LISTENING || (l->shutdown & UNIX_SHUT_RECEIVE))
		return -ECONNREFUSED;
	return l->backlog_count > l->backlog_max ? -EAGAIN : 0;
}

static ssize_t try_enqueue(void *ctx)
{
	struct enqueue *e = ctx;
	struct unix_sock *l = e->listener;
	ssize_t ret;

	mutex_lock(&l->lock);
	ret = refuses(l);
	if (!ret) {
		list_append(&l->backlog, &e->embryo->embryo);
		l->backlog_count++;
		e->embryo->name = unix_name_get(l->name);
	}
	mutex_unlock(&l->lock);
	return ret;
}

/* The client knows its other end before the listener can hand that out. */
static int claim(struct unix_sock *s, struct unix_sock *embryo, const struct unix_sock *listener)
{
	int err = 0;

	mutex_lock(&s->lock);
	if (s->state == UNIX_CONNECTED) {
		err = -EISCONN;
	} else if (s->state == UNIX_LISTENING) {
		err = -EINVAL;
	} else if (s->peer) { /* another thread is in connect */
		err = -EALREADY;
	} else {
		set_end(s, embryo);
		s->peer_cred = listener->peer_cred;
	}
	mutex_unlock(&s->lock);
	return err;
}

static void unclaim(struct unix_sock *s)
{
	struct unix_sock *peer;

	mutex_lock(&s->lock);
	peer = s->peer;
	s->peer = NULL;
	s->peer_cred = g_nobody;
	mutex_unlock(&s->lock);
	unix_put(peer);
}

static int connect_to(struct file *f, struct unix_sock *listener)
{
	struct unix_sock *s = unix_of(f), *embryo = sock_alloc(s->socket.type);
	struct enqueue e = { listener, embryo };
	ssize_t ret;

	if (!embryo)
		return -ENOMEM;
	ret = claim(s, embryo, listener);
	if (ret) { /* Linux asks the other end first */
		mutex_lock(&listener->lock);
		ssize_t first = refuses(listener);
		mutex_unlock(&listener->lock);
		unix_put(embryo);
		return (int)(first == -ECONNREFUSED || (first && f->flags & O_NONBLOCK) ? first : ret);
	}
	set_end(embryo, s);
	set_connected(embryo);
	ret = try_enqueue(&e);
	if (ret == -EAGAIN && !(f->flags & O_NONBLOCK))
		ret = block_until(&listener->wait, BLOCK_WRITE, s->send_timeout, try_enqueue, &e);
	if (ret) {
		unclaim(s);
		unix_put(s); /* the embryo's */
		unix_put(embryo);
		return (int)ret;
	}
	set_connected(s);
	waitq_wake(&listener->wait, EPOLLIN | EPOLLRDNORM);
	return 0;
}

/* A datagram socket's default receiver; `peer` may be NULL; its reference is consumed. */
static void set_peer(struct unix_sock *s, struct unix_sock *peer)
{
	struct unix_sock *old;

	mutex_lock(&s->lock);
	old = s->peer;
	s->peer = peer;
	s->state = peer ? UNIX_CONNECTED : UNIX_IDLE;
	follow(s, peer);
	mutex_unlock(&s->lock);
	waitq_wake(&s->wait, EPOLLOUT | EPOLLWRNORM);
	waitq_wake(&s->room, EPOLLOUT | EPOLLWRNORM); /* a peer may have more in its queue than a stranger */
	if (old) {
		waitq_wake(&old->wait, EPOLLOUT | EPOLLWRNORM);
		if (old != peer)
			unix_dgram_left(s, old);
		unix_put(old);
	}
}

/* Nobody of this cVM has the name: perhaps another one, by path. */
static int connect_loop(struct file *f, const struct sockaddr_any *addr, int err)
{
	struct unix_sock *s = unix_of(f);
	struct sockaddr_any name = *addr;
	char *path = ((struct sockaddr_un *)&name.storage)->sun_path;
	int ret;

	if ((err != -ENOENT && err != -ECONNREFUSED) || !unix_is_stream(s) || s->state != UNIX_IDLE || !path[0] ||
	    addr->size > sizeof(struct sockaddr_un))
		return err;
	path[addr->size - UNIX_PATH_OFFSET] = 0;
	name.size = UNIX_PATH_OFFSET + (uint32_t)strlen(path) + 1;
	ret = loop_connect_unix(f, &s->wait, path, &name);
	return ret == -ENOENT || ret == -EACCES ? err : ret;
}

static int unix_connect(struct file *f, const struct sockaddr_any *addr)
{
	struct unix_sock *s = unix_of(f), *to;
	int err;

	if (addr->family == AF_UNSPEC && !unix_connects(s)) {
		set_peer(s, NULL);
		return 0;
	}
	if (addr->family == AF_UNIX && addr->size > UNIX_PATH_OFFSET && (err = unix_name_for_credentials(s)) != 0)
		return err;
	to = unix_name_lookup(addr, s->socket.type, &err);
	if (!to)
		return connect_loop(f, addr, err);
	if (unix_connects(s)) {
		err = connect_to(f, to);
	} else {
		err = to->peer && to->peer != s ? -EPERM : 0;
		if (!err) {
			set_peer(s, to);
			return 0;
		}
	}
	unix_put(to);
	return err;
}

struct take {
	struct unix_sock *listener, *got;
	bool nonblock;
};

static ssize_t try_take(void *ctx)
{
	struct take *t = ctx;
	struct unix_sock *l = t->listener;
	ssize_t ret = -EAGAIN;

	mutex_lock(&l->lock);
	if (l->state != UNIX_LISTENING) {
		ret = -EINVAL;
	} else if (!list_empty(&l->backlog)) {
		t->got = list_entry(l->backlog.next, struct unix_sock, embryo);
		list_remove(&t->got->embryo);
		l->backlog_count--;
		ret = 0;
	} else if ((l->shutdown & UNIX_SHUT_RECEIVE) && !t->nonblock) {
		ret = -EINVAL;
	}
	mutex_unlock(&l->lock);
	if (!ret)
		waitq_wake(&l->wait, EPOLLOUT | EPOLLWRNORM); /* connects that wait for room */
	return ret;
}

/* From another cVM, or of this one: whoever is there. */
static struct file *accept_loop(struct file *f, struct sockaddr_any *peer, uint32_t flags, int *error)
{
	struct poll_entry e = { .file = f, .events = EPOLLIN };
	struct unix_sock *s = unix_of(f);
	struct file *accepted;
	bool mine;
	long ret;

	for (;;) {
		accepted = loop_accept_now(f, flags, error);
		if (accepted)
			*peer = loop_of(accepted)->peer;
		mutex_lock(&s->lock);
		mine = !list_empty(&s->backlog);
		mutex_unlock(&s->lock);
		if (accepted || *error != -EAGAIN || mine || (f->flags & O_NONBLOCK))
			return accepted;
		ret = poll_set_wait(&e, 1, s->receive_timeout);
		if (ret <= 0) {
			*error = !ret ? -EAGAIN : ret != -ERESTARTNOHAND ? (int)ret : s->receive_timeout >= 0 ? -EINTR : -ERESTARTSYS;
			return NULL;
		}
		mutex_lock(&s->lock);
		mine = !list_empty(&s->backlog) || (s->shutdown & UNIX_SHUT_RECEIVE);
		mutex_unlock(&s->lock);
		if (mine) {
			*error = -EAGAIN;
			return NULL;
		}
	}
}

static struct file *unix_accept(struct file *f, struct sockaddr_any *peer, uint32_t flags, int *error)
{
	struct unix_sock *s = unix_of(f);
	struct take t = { .listener = s, .nonblock = f->flags & O_NONBLOCK };
	struct file *accepted;
	ssize_t ret = unix_connects(s) ? try_take(&t) : -EOPNOTSUPP;

	while (ret == -EAGAIN && s->socket.loop) {
		accepted = accept_loop(f, peer, flags, error);
		if (accepted || *error != -EAGAIN)
			return accepted;
		ret = try_take(&t);
		if (ret == -EAGAIN && ((f->flags & O_NONBLOCK) || s->receive_timeout >= 0))
			return NULL;
	}
	if (ret == -EAGAIN && !(f->flags & O_NONBLOCK)) {
		ret = block_until(&s->wait, BLOCK_READ, s->receive_timeout, try_take, &t);
		if (ret == -ERESTARTSYS && s->receive_timeout >= 0)
			ret = -EINTR;
	}
	*error = (int)ret;
	if (ret)
		return NULL;
	accepted = sock_file(t.got, flags);
	if (!accepted) {
		sock_close(t.got);
		*error = -ENFILE;
		return NULL;
	}
	unix_name_address(t.got->peer->name, peer);
	return accepted;
}

static int unix_name(struct file *f, bool peer, struct sockaddr_any *addr)
{
	struct unix_sock *s = unix_of(f), *of = s;

	if (peer) {
		of = unix_peer_get(s);
		if (!of)
			return -ENOTCONN;
	}
	mutex_lock(&of->lock);
	unix_name_address(of->name, addr);
	mutex_unlock(&of->lock);
	if (peer)
		unix_put(of);
	return 0;
}

static int unix_shutdown(struct file *f, int how)
{
	static const uint8_t mine[3] = { UNIX_SHUT_RECEIVE, UNIX_SHUT_SEND, UNIX_SHUT_RECEIVE | UNIX_SHUT_SEND };
	static const uint8_t theirs[3] = { UNIX_SHUT_SEND, UNIX_SHUT_RECEIVE, UNIX_SHUT_RECEIVE | UNIX_SHUT_SEND };
	struct unix_sock *s = unix_of(f), *peer = NULL;

	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;
	mutex_lock(&s->lock);
	__atomic_or_fetch(&s->shutdown, mine[how], __ATOMIC_RELEASE);
	if (s->peer && unix_connects(s)) {
		peer = s->peer;
		unix_get(peer);
	}
	mutex_unlock(&s->lock);
	if (peer) {
		mutex_lock(&peer->lock);
		__atomic_or_fetch(&peer->shutdown, theirs[how], __ATOMIC_RELEASE);
		mutex_unlock(&peer->lock);
		waitq_wake(&peer->wait, 0);
		unix_put(peer);
	}
	waitq_wake(&s->wait, 0);
	return 0;
}

/* Of a seqpacket socket the connection comes first. */
static int check_connection(struct unix_sock *s)
{
	int err;

	if (s->socket.type != SOCK_SEQPACKET)
		return 0;
	mutex_lock(&s->lock);
	err = s->error ? -s->error : s->state == UNIX_CONNECTED ? 0 : -ENOTCONN;
	s->error = 0;
	mutex_unlock(&s->lock);
	return err;
}

static ssize_t unix_send(struct file *f, struct socket_msg *msg, uint32_t flags)
{
	struct unix_scm scm;
	ssize_t ret = check_connection(unix_of(f));

	if (!ret)
		ret = scm_from_user(&scm, msg);
	if (ret)
		return ret;
	ret = unix_is_stream(unix_of(f)) ? unix_stream_send(f, msg, flags, &scm) : unix_dgram_send(f, msg, flags, &scm);
	scm_free(&scm);
	return ret;
}

static ssize_t unix_recv(struct file *f, struct socket_msg *msg, uint32_t flags)
{
	return unix_is_stream(unix_of(f)) ? unix_stream_recv(f, msg, flags) : unix_dgram_recv(f, msg, flags);
}

static ssize_t unix_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct socket_msg msg = { .iov = iov, .count = count };

	(void)pos;
	if (!iter_init(iov, count).left)
		return 0;
	return unix_recv(f, &msg, 0);
}

static ssize_t unix_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct socket_msg msg = { .iov = iov, .count = count };

	(void)pos;
	return unix_send(f, &msg, 0);
}

/* Is there room for this socket to send? Looks at the peer, so s->lock must not be held. */
static bool writable(struct unix_sock *s)
{
	struct unix_sock *peer = unix_peer_get(s);
	bool room = true;

	if (!peer)
		return true;
	mutex_lock(&peer->lock);
	if (unix_is_stream(s))
		room = ring_free(&peer->ring) >= peer->ring.limit / 4;
	else
		room = peer->closed || (peer->queued < s->send_buffer && (peer->peer == s || peer->message_count < UNIX_DATAGRAMS_MAX));
	mutex_unlock(&peer->lock);
	unix_put(peer);
	return room;
}

static uint32_t unix_poll(struct file *f)
{
	struct unix_sock *s = unix_of(f);
	uint32_t events = 0;
	bool listening;

	mutex_lock(&s->lock);
	listening = s->state == UNIX_LISTENING;
	if (s->error)
		events |= EPOLLERR;
	if (s->shutdown == (UNIX_SHUT_RECEIVE | UNIX_SHUT_SEND))
		events |= EPOLLHUP;
	if (s->shutdown & UNIX_SHUT_RECEIVE)
		events |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
	if (listening ? !list_empty(&s->backlog) :
			ring_used(&s->ring) || (!unix_is_stream(s) && !list_empty(&s->messages)))
		events |= EPOLLIN | EPOLLRDNORM;
	if (unix_connects(s) && s->state == UNIX_IDLE)
		events |= EPOLLHUP;
	mutex_unlock(&s->lock);
	if (listening && s->socket.loop && loop_listener_ready(s->socket.loop))
		events |= EPOLLIN | EPOLLRDNORM;
	if (!listening && writable(s))
		events |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
	return events;
}

static struct waitq *unix_waitq(struct file *f)
{
	return &unix_of(f)->wait;
}

static long unix_ioctl(struct file *f, unsigned long request, void *user_arg)
{
	struct unix_sock *s = unix_of(f);
	int n = 0;

	if (request == TIOCOUTQ) {
		struct unix_sock *peer = unix_peer_get(s);

		if (peer) {
			n = (int)(ring_used(&peer->ring) + peer->queued);
			unix_put(peer);
		}
		return put_user(n, (int *)user_arg);
	}
	if (request != FIONREAD)
		return -ENOTTY;
	mutex_lock(&s->lock);
	if (s->state == UNIX_LISTENING)
		n = -EINVAL;
	else if (s->socket.type == SOCK_DGRAM && !list_empty(&s->messages))
		n = (int)list_entry(s->messages.next, struct unix_msg, link)->size;
	else
		n = (int)(ring_used(&s->ring) + s->queued);
	mutex_unlock(&s->lock);
	return n < 0 ? n : put_user(n, (int *)user_arg);
}

static int unix_stat(struct file *f, struct statx *st)
{
	return numbered_stat(st, S_IFSOCK | 0777, unix_of(f)->inode);
}

const struct file_ops g_unix_file_ops = {
	.name = "socket",
	.read = unix_read,
	.write = unix_write,
	.ioctl = unix_ioctl,
	.poll = unix_poll,
	.waitq = unix_waitq,
	.stat = unix_stat,
	.release = unix_release,
};

static const struct socket_ops g_unix_socket_ops = {
	.bind = unix_bind,
	.connect = unix_connect,
	.listen = unix_listen,
	.accept = unix_accept,
	.name = unix_name,
	.send = unix_send,
	.recv = unix_recv,
	.error = unix_error,
	.shutdown = unix_shutdown,
	.getopt = unix_getopt,
	.setopt = unix_setopt,
};
