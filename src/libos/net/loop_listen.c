/*
 * Sockets that other cVMs connect to: listening at names of capabilities (net/loop.h), and accepting. A name has one capability, which
 * several listeners of the cVM may share: those of IPv4 and IPv6 at one port, and those with SO_REUSEPORT. Which of them accepts a
 * connection is whoever comes first.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "fs/poll_set.h"
#include "ipc/block.h"
#include "ipc/eventfd.h"
#include "net/inet.h"
#include "net/loop.h"
#include "process/exec_service.h"
#include "thread/thread.h"

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/time.h>
#include <linux/un.h>

static long listen_name(const char *name, int backlog)
{
	long cap = hostcall(HC_cap_create, CAP_LISTENER, name, strlen(name), backlog);

	return cap == -EEXIST ? -EADDRINUSE : cap;
}

/* One host epoll for both kinds of connections: ready when the host socket is, or when `signal` is written. */
static int join_host(struct loop *l, int host)
{
	long both = hostcall(HC_epoll_create), signal = hostcall(HC_eventfd_create, 0, EFD_NONBLOCK);

	l->host = host;
	l->both = (int)both;
	l->signal = (int)signal;
	if (both < 0 || signal < 0 || hostcall(HC_epoll_ctl, both, EPOLL_CTL_ADD, host, EPOLLIN, 0) ||
	    hostcall(HC_epoll_ctl, both, EPOLL_CTL_ADD, signal, EPOLLIN, 0))
		return -ENOBUFS;
	return 0;
}

static bool is_set(const struct inet_socket *s, int level, int name)
{
	uint32_t size = sizeof(int);
	int value = 0;

	return s->handle >= 0 && !hostcall(HC_sock_getopt, s->handle, level, name, &value, &size) && value;
}

static struct loop *listener_alloc(const struct inet_socket *s, const struct sockaddr_any *local)
{
	struct loop *l = loop_alloc(LOOP_LISTENER);

	if (!l)
		return NULL;
	(void)format(l->name, sizeof(l->name), "tcp/%u", loop_port_of(local));
	l->socket.domain = s->socket.domain;
	l->local = *local;
	l->only_six = is_set(s, IPPROTO_IPV6, IPV6_V6ONLY);
	l->reuse_port = is_set(s, SOL_SOCKET, SO_REUSEPORT);
	return l;
}

/* l listens from now on, alone or besides others of this cVM whose addresses Linux would not take for the same. */
static int listener_start(struct loop *l, int backlog)
{
	long cap = listen_name(l->name, backlog);

	if (cap == -EADDRINUSE && loop_join(l))
		return 0;
	if (cap < 0)
		return (int)cap;
	loop_live(l, (uint32_t)cap);
	return 0;
}

int loop_may_listen(const struct inet_socket *s, const struct sockaddr_any *addr)
{
	struct loop *l = listener_alloc(s, addr);
	int err = l ? listener_start(l, 0) : -ENOMEM; /* nobody gets in: a connect waits, and then finds who listens, or nobody */

	if (l)
		loop_free(l);
	return err;
}

int loop_listen_inet(struct file *f, const struct sockaddr_any *local, int host, int backlog)
{
	struct inet_socket *s = f->data;
	struct loop *l = listener_alloc(s, local);
	int err;

	if (!l)
		return -ENOMEM;
	l->receive_timeout = s->receive_timeout ? s->receive_timeout : -1;
	err = host >= 0 ? join_host(l, host) : 0;
	err = err ? err : listener_start(l, MAX(backlog, 1));
	err = err || host < 0 ? err : (int)hostcall(HC_file_setfl, host, O_NONBLOCK);
	if (err) {
		loop_free(l);
		return err;
	}
	loop_become(f, l, host >= 0 ? &g_loop_both_ops : &g_loop_listener_ops);
	return 0;
}

void loop_listen_unix(struct file *f, struct waitq *wait, const char *path, int backlog)
{
	struct socket *s = f->data;
	struct loop *l = s->loop ? NULL : loop_alloc(LOOP_LISTENER);
	long cap;

	if (!l)
		return;
	cap = loop_unix_name(l->name, path) ? listen_name(l->name, MAX(backlog, 1)) : -ENOENT;
	if (cap < 0) { /* not granted: the path stays this cVM's own */
		loop_free(l);
		return;
	}
	l->wait = wait;
	l->socket.domain = AF_UNIX;
	l->local.family = AF_UNIX;
	l->local.size = (uint32_t)offsetof(struct sockaddr_un, sun_path) + (uint32_t)strlen(path) + 1;
	memcpy(((struct sockaddr_un *)&l->local.storage)->sun_path, path, strlen(path) + 1);
	loop_live(l, (uint32_t)cap);
	s->loop = l;
	epoll_reattach(f); /* epolls that watch it need the doorbell now */
	exec_service_listens(l->name);
}

bool loop_listener_ready(struct loop *l)
{
	uint32_t state = __atomic_load_n(&l->state, __ATOMIC_SEQ_CST);

	return l->cap && ((state & LOOP_CHECK ? loop_refresh(l) : state) & CAP_READABLE);
}

void loop_unlisten(struct loop *l)
{
	bool last = false;
	uint32_t cap;

	mutex_lock(&l->lock); /* two threads may shut it down */
	cap = l->cap;
	if (cap) {
		last = loop_leave(l);
		l->cap = 0;
		list_for_each(pos, &l->sleepers)
			thread_notify(list_entry(pos, struct sleeper, link)->thread, WORK_TURN);
	}
	mutex_unlock(&l->lock);
	if (!cap)
		return;
	if (last)
		(void)hostcall(HC_cap_close, cap);
	waitq_wake(l->wait, 0);
}

void loop_signal(struct loop *l)
{
	static const uint64_t one = 1;

	mutex_lock(&l->signal_lock);
	if (!l->signaled)
		(void)hostcall(HC_file_write, l->signal, &one, sizeof(one));
	l->signaled = true;
	mutex_unlock(&l->signal_lock);
}

/* True: there was one, and what has come before this is not told any more. */
static bool take_signal(struct loop *l)
{
	uint64_t count;
	bool was;

	mutex_lock(&l->signal_lock);
	was = l->signaled;
	if (was)
		(void)hostcall(HC_file_read, l->signal, &count, sizeof(count));
	l->signaled = false;
	mutex_unlock(&l->signal_lock);
	return was;
}

static long accept_cap(struct loop *l)
{
	long cap = l->cap ? hostcall(HC_stream_accept, l->cap) : -EINVAL;

	loop_must_check(l);
	if (cap != -EAGAIN || l->signal < 0 || !take_signal(l))
		return cap;
	cap = hostcall(HC_stream_accept, l->cap);
	if (cap >= 0)
		loop_signal(l); /* perhaps there are more */
	return cap;
}

static void accepted_addresses(struct loop *l, const struct loop *listener, uint64_t word)
{
	int domain = listener->socket.domain;
	/* A listener of IPv6 alone may get a client of IPv4, whose own listener was slower: it never sees an address of IPv4. */
	bool four = domain == AF_INET || (!(word & LOOP_WORD_IPV6) && !listener->only_six);

	l->local = l->peer = listener->local;
	if (domain == AF_UNIX) {
		l->peer.size = sizeof(l->peer.family);
		return;
	}
	loop_address(&l->local, domain, four, loop_port_of(&listener->local));
	loop_address(&l->peer, domain, four, (uint32_t)(word & 0xffff));
}

struct file *loop_accept_now(struct file *f, uint32_t flags, int *error)
{
	struct loop *listener = loop_of(f), *l;
	long cap = accept_cap(listener);
	struct cap_info info = { 0 };
	struct file *accepted;

	*error = (int)cap;
	if (cap < 0)
		return NULL;
	l = loop_alloc(LOOP_STREAM);
	accepted = l ? file_alloc(&g_loop_file_ops, O_RDWR | (flags & O_NONBLOCK), l) : NULL;
	if (!accepted) {
		(void)hostcall(HC_cap_close, cap);
		kfree(l);
		*error = -ENOBUFS;
		return NULL;
	}
	(void)hostcall(HC_cap_info, cap, &info);
	l->socket.domain = listener->socket.domain;
	l->socket.protocol = listener->socket.protocol;
	l->send_timeout = listener->send_timeout;
	l->receive_timeout = listener->receive_timeout;
	mutex_lock(&listener->lock);
	l->options = listener->options;
	memcpy(l->option, listener->option, sizeof(l->option));
	mutex_unlock(&listener->lock);
	accepted_addresses(l, listener, info.word);
	loop_live(l, (uint32_t)cap);
	return accepted;
}

static int wait_both(struct file *f, uint64_t deadline)
{
	struct poll_entry e = { .file = f, .events = EPOLLIN };
	int64_t left = deadline ? MAX((int64_t)deadline - clock_now(CLOCK_MONOTONIC), (int64_t)0) : -1;
	long ret = poll_set_wait(&e, 1, left);

	if (ret == -ERESTARTNOHAND)
		return deadline ? -EINTR : -ERESTARTSYS;
	return ret < 0 ? (int)ret : ret ? 0 : -EAGAIN;
}

static struct file *listener_accept(struct file *f, struct sockaddr_any *peer, uint32_t flags, int *error)
{
	struct loop *l = loop_of(f);
	uint64_t deadline = loop_deadline(l->receive_timeout);
	struct file *accepted;

	for (;;) {
		accepted = loop_accept_now(f, flags, error);
		if (accepted || *error != -EAGAIN)
			break;
		if (l->host >= 0) {
			long handle;

			peer->size = SOCKADDR_MAX;
			handle = hostcall(HC_sock_accept, l->host, &peer->storage, &peer->size, flags);

			*error = (int)handle;
			if (handle >= 0)
				return inet_accepted(handle, f, flags, error);
			if (handle != -EAGAIN)
				return NULL;
		}
		if (f->flags & O_NONBLOCK)
			return NULL;
		*error = l->both >= 0 ? wait_both(f, deadline) : loop_wait(l, CAP_READABLE, deadline);
		if (*error == -EBADF)
			*error = -EINVAL;
		if (*error)
			return NULL;
	}
	if (accepted)
		*peer = loop_of(accepted)->peer;
	return accepted;
}

static int listener_connect(struct file *f, const struct sockaddr_any *addr)
{
	(void)f, (void)addr;
	return -EISCONN;
}

static int listener_bind(struct file *f, const struct sockaddr_any *addr)
{
	(void)f, (void)addr;
	return -EINVAL;
}

static int listener_listen(struct file *f, int backlog)
{
	struct loop *l = loop_of(f);

	return l->host >= 0 ? (int)hostcall(HC_sock_listen, l->host, backlog) : 0;
}

static int listener_name(struct file *f, bool peer, struct sockaddr_any *addr)
{
	*addr = loop_of(f)->local;
	return peer ? -ENOTCONN : 0;
}

static int listener_shutdown(struct file *f, int how)
{
	struct loop *l = loop_of(f);

	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;
	if (how == SHUT_WR)
		return 0;
	loop_unlisten(l);
	return l->host >= 0 ? (int)hostcall(HC_sock_shutdown, l->host, how) : 0;
}

const struct socket_ops g_loop_listener_socket_ops = {
	.bind = listener_bind,
	.connect = listener_connect,
	.listen = listener_listen,
	.accept = listener_accept,
	.name = listener_name,
	.shutdown = listener_shutdown,
	.getopt = loop_getopt,
	.setopt = loop_setopt,
};
