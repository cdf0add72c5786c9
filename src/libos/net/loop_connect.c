/*
 * How sockets come to lead to other cVMs: connect, listen and accept by the names of capabilities (net/loop.h). Grants are
 * the monitor's; what it refuses (-EACCES) or does not know (-ENOENT) stays with the host's or this cVM's own sockets.
 *
 * A connect that finds the backlog full waits, or if it may not is *pending*: those are tried again whenever somebody
 * looks or sleeps, at least every millisecond.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "fs/inode.h"
#include "fs/poll_set.h"
#include "net/inet.h"
#include "net/loop.h"

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/time.h>
#include <linux/un.h>

#define NAP_NS 200000
#define EFD_NONBLOCK 04000
#define RIGHTS_KEPT 8u
#define PORT_FIRST 32768u /* of those that a client gets, as on Linux */
#define PORT_COUNT 28232u
#define WORD_IPV6 (1ull << 16) /* in the word of a connection; below it the client's port */

static struct mutex g_pending_lock;
static struct list g_pending = LIST_INIT(g_pending);
static unsigned g_pending_count; /* atomic */

/* The right to connect to a name is opened once: the last few are kept, until they are revoked. */
static struct mutex g_rights_lock;
static struct {
	char name[CAP_NAME_MAX];
	uint32_t cap;
} g_right[RIGHTS_KEPT];

static uint32_t port_of(const struct sockaddr_any *addr)
{
	uint16_t port = ((const struct sockaddr_in *)&addr->storage)->sin_port; /* the same place in sockaddr_in6 */

	return (uint32_t)(port >> 8 | (port & 0xff) << 8);
}

static bool mapped(const struct in6_addr *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(a, prefix, sizeof(prefix));
}

bool loop_port(const struct sockaddr_any *addr, uint16_t *port)
{
	const uint8_t *b = (const uint8_t *)&((const struct sockaddr_in *)&addr->storage)->sin_addr;
	static const uint8_t zero[16];

	if (addr->family == AF_INET6 && addr->size >= sizeof(struct sockaddr_in6)) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)&addr->storage)->sin6_addr;

		b = mapped(a) ? (const uint8_t *)a + 12 : (const uint8_t *)a;
		if (!mapped(a) && (memcmp(b, zero, 15) || b[15] > 1))
			return false;
		if (mapped(a) && b[0] != 127 && memcmp(b, zero, 4))
			return false;
	} else if (addr->family != AF_INET || addr->size < sizeof(struct sockaddr_in) || (b[0] != 127 && memcmp(b, zero, 4))) {
		return false;
	}
	*port = (uint16_t)port_of(addr);
	return true;
}

/* A loopback address of the family; `four`: in IPv6 the IPv4 one. */
static void address(struct sockaddr_any *a, int domain, bool four, uint32_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&a->storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->storage;
	uint8_t *b;

	memset(a, 0, sizeof(*a));
	a->family = (uint16_t)domain;
	a->size = domain == AF_INET ? sizeof(*in) : sizeof(*in6);
	in->sin_port = (uint16_t)(port >> 8 | (port & 0xff) << 8);
	b = domain == AF_INET ? (uint8_t *)&in->sin_addr : (uint8_t *)&in6->sin6_addr + 12;
	if (domain == AF_INET6 && four)
		b[-1] = b[-2] = 0xff;
	if (domain == AF_INET || four)
		b[0] = 127;
	b[3] = 1;
}

uint16_t loop_free_port(void)
{
	static uint32_t g_next;
	uint32_t start = 0;

	if (!__atomic_load_n(&g_next, __ATOMIC_RELAXED) && hostcall(HC_random, &start, sizeof(start)) == (long)sizeof(start))
		__atomic_store_n(&g_next, start % PORT_COUNT, __ATOMIC_RELAXED);
	return (uint16_t)(PORT_FIRST + __atomic_fetch_add(&g_next, 1, __ATOMIC_RELAXED) % PORT_COUNT);
}

static long right_open(const char *name, unsigned *slot, bool fresh)
{
	static unsigned g_turn;
	unsigned at = RIGHTS_KEPT;
	long cap;

	for (unsigned i = 0; i < RIGHTS_KEPT; i++)
		if (g_right[i].cap && !strcmp(g_right[i].name, name))
			at = i;
	if (at < RIGHTS_KEPT && !fresh) {
		*slot = at;
		return g_right[at].cap;
	}
	cap = hostcall(HC_cap_open, CAP_CONNECT, name, strlen(name), CAP_USE);
	if (at < RIGHTS_KEPT || cap >= 0) {
		at = at < RIGHTS_KEPT ? at : g_turn++ % RIGHTS_KEPT;
		if (g_right[at].cap)
			(void)hostcall(HC_cap_close, g_right[at].cap);
		g_right[at].cap = cap >= 0 ? (uint32_t)cap : 0;
		memcpy(g_right[at].name, name, strlen(name) + 1);
	}
	*slot = at;
	return cap;
}

/* A connection to a name: its capability; -EAGAIN backlog full, -ENOENT, -EACCES, -ENOBUFS. */
static long connect_name(const char *name, uint64_t word)
{
	unsigned slot;
	long ret;

	mutex_lock(&g_rights_lock);
	ret = right_open(name, &slot, false);
	if (ret >= 0)
		ret = hostcall(HC_stream_connect, ret, word);
	if (ret == -EKEYREVOKED || ret == -EBADF) { /* that listener is gone: perhaps there is another one */
		ret = right_open(name, &slot, true);
		if (ret >= 0)
			ret = hostcall(HC_stream_connect, ret, word);
	}
	mutex_unlock(&g_rights_lock);
	if (ret == -EMFILE || ret == -ENOMEM)
		return -ENOBUFS;
	return ret == -EINVAL || ret == -EKEYREVOKED ? -ENOENT : ret;
}

static void pending_end(struct loop *l)
{
	list_remove(&l->pending);
	list_init(&l->pending);
	__atomic_sub_fetch(&g_pending_count, 1, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&g_loop_count, 1, __ATOMIC_SEQ_CST);
}

bool loop_retry_pending(void)
{
	if (likely(!__atomic_load_n(&g_pending_count, __ATOMIC_SEQ_CST)))
		return false;
	mutex_lock(&g_pending_lock);
	list_for_each_safe(at, next, &g_pending) {
		struct loop *l = list_entry(at, struct loop, pending);
		long ret = connect_name(l->name, l->word);

		if (ret == -EAGAIN)
			continue;
		if (ret >= 0)
			loop_live(l, (uint32_t)ret);
		else
			l->error = ret == -ENOBUFS ? ENOBUFS : ECONNREFUSED;
		__atomic_store_n(&l->kind, ret >= 0 ? LOOP_STREAM : LOOP_FAILED, __ATOMIC_RELEASE);
		pending_end(l);
		waitq_wake(l->wait, 0);
	}
	mutex_unlock(&g_pending_lock);
	return __atomic_load_n(&g_pending_count, __ATOMIC_SEQ_CST) != 0;
}

void loop_forget_pending(struct loop *l)
{
	mutex_lock(&g_pending_lock);
	if (!list_empty(&l->pending))
		pending_end(l);
	mutex_unlock(&g_pending_lock);
}

/* Connects f to the name in l, which is ours on failure only. */
static int connect_file(struct file *f, struct loop *l, bool may_pend)
{
	uint64_t deadline = loop_deadline(l->send_timeout);
	uint32_t nothing = 0;
	long ret;

	while ((ret = connect_name(l->name, l->word)) == -EAGAIN && !(f->flags & O_NONBLOCK)) {
		if (deadline && (uint64_t)clock_now(CLOCK_MONOTONIC) >= deadline)
			break;
		(void)hostcall_blocking(HC_futex_wait, &nothing, 0, NAP_NS);
		if (work_pending()) {
			ret = deadline ? -EINTR : -ERESTARTSYS;
			break;
		}
	}
	if (ret == -EAGAIN && may_pend) {
		l->kind = LOOP_CONNECTING;
		loop_become(f, l, &g_loop_file_ops);
		mutex_lock(&g_pending_lock);
		list_append(&g_pending, &l->pending);
		__atomic_add_fetch(&g_pending_count, 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&g_loop_count, 1, __ATOMIC_SEQ_CST);
		mutex_unlock(&g_pending_lock);
		return -EINPROGRESS;
	}
	if (ret < 0) {
		loop_free(l);
		return (int)ret;
	}
	loop_live(l, (uint32_t)ret);
	loop_become(f, l, &g_loop_file_ops);
	return 0;
}

int loop_connect_inet(struct file *f, const struct sockaddr_any *addr, const struct sockaddr_any *bound)
{
	struct inet_socket *s = f->data;
	bool four = s->socket.domain == AF_INET || addr->family == AF_INET ||
		    mapped(&((const struct sockaddr_in6 *)&addr->storage)->sin6_addr);
	struct loop *l = loop_alloc(LOOP_STREAM);
	uint32_t port;

	if (!l)
		return -ENOMEM;
	port = bound->size ? port_of(bound) : 0;
	port = port ? port : loop_free_port();
	l->host = s->handle;
	l->send_timeout = s->send_timeout ? s->send_timeout : -1;
	l->receive_timeout = s->receive_timeout ? s->receive_timeout : -1;
	address(&l->local, s->socket.domain, four, port);
	address(&l->peer, s->socket.domain, four, port_of(addr));
	if (s->socket.domain == AF_INET && ((const uint8_t *)&addr->storage)[4] == 127)
		memcpy(&l->peer.storage, &addr->storage, 8); /* 127.1.2.3 */
	l->word = port | (four ? 0 : WORD_IPV6);
	(void)format(l->name, sizeof(l->name), "tcp/%u", port_of(addr));
	return connect_file(f, l, true);
}

/* "unix" and the absolute path; false if that is no name. */
static bool unix_name_of(char *name, const char *path)
{
	char *buf = NULL;
	int n;

	if (path[0] != '/') {
		buf = pathbuf_get();
		if (!buf || dentry_path(current()->process->fs->cwd, buf, PATH_SIZE) < 0) {
			pathbuf_put(buf);
			return false;
		}
	}
	n = format(name, CAP_NAME_MAX, "unix%s%s%s", buf && buf[1] ? buf : "", buf ? "/" : "", path);
	pathbuf_put(buf);
	return n < (int)CAP_NAME_MAX;
}

int loop_connect_unix(struct file *f, struct waitq *wait, const char *path, const struct sockaddr_any *addr)
{
	struct loop *l = loop_alloc(LOOP_STREAM);

	if (!l)
		return -ENOMEM;
	l->socket.domain = AF_UNIX;
	l->wait = wait;
	l->peer = *addr;
	l->local.family = AF_UNIX;
	l->local.size = sizeof(l->local.family);
	if (!unix_name_of(l->name, path)) {
		loop_free(l);
		return -ENOENT;
	}
	return connect_file(f, l, false);
}

struct file *loop_open(const char *name, uint32_t flags, int *error)
{
	struct loop *l = loop_alloc(LOOP_STREAM);
	struct file *f = NULL;
	uint32_t nothing = 0;
	long cap = -ENOMEM;

	while (l && (cap = connect_name(name, 0)) == -EAGAIN && !(flags & O_NONBLOCK) && !work_pending())
		(void)hostcall_blocking(HC_futex_wait, &nothing, 0, NAP_NS);
	if (cap == -EAGAIN && !(flags & O_NONBLOCK))
		cap = -EINTR;
	*error = (int)cap;
	if (cap >= 0) {
		*error = -ENOMEM;
		f = file_alloc(&g_loop_file_ops, flags, l);
	}
	if (!f) {
		if (cap >= 0)
			(void)hostcall(HC_cap_close, cap);
		kfree(l);
		return NULL;
	}
	l->socket.domain = l->local.family = l->peer.family = AF_UNIX;
	l->local.size = l->peer.size = sizeof(l->local.family);
	loop_live(l, (uint32_t)cap);
	return f;
}

static long listen_name(const char *name, int backlog)
{
	long cap = hostcall(HC_cap_create, CAP_LISTENER, name, strlen(name), backlog);

	return cap == -EEXIST ? -EADDRINUSE : cap;
}

int loop_may_listen(uint16_t port)
{
	char name[16];
	long cap;

	(void)format(name, sizeof(name), "tcp/%u", port);
	cap = listen_name(name, 0); /* nobody gets in: a connect waits, and then finds who listens, or nobody */
	if (cap < 0)
		return (int)cap;
	(void)hostcall(HC_cap_close, cap);
	return 0;
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
	return (int)hostcall(HC_file_setfl, host, O_NONBLOCK);
}

int loop_listen_inet(struct file *f, uint16_t port, const struct sockaddr_any *local, int host, int backlog)
{
	struct loop *l = loop_alloc(LOOP_LISTENER);
	struct inet_socket *s = f->data;
	long cap;
	int err;

	if (!l)
		return -ENOMEM;
	(void)format(l->name, sizeof(l->name), "tcp/%u", port);
	cap = listen_name(l->name, MAX(backlog, 1));
	err = cap < 0 ? (int)cap : host >= 0 ? join_host(l, host) : 0;
	if (err) {
		if (cap >= 0)
			(void)hostcall(HC_cap_close, cap);
		loop_free(l);
		return err;
	}
	l->receive_timeout = s->receive_timeout ? s->receive_timeout : -1;
	l->local = *local;
	loop_live(l, (uint32_t)cap);
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
	cap = unix_name_of(l->name, path) ? listen_name(l->name, MAX(backlog, 1)) : -ENOENT;
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
}

bool loop_listener_ready(struct loop *l)
{
	uint32_t state = __atomic_load_n(&l->state, __ATOMIC_SEQ_CST);

	return l->cap && ((state & LOOP_CHECK ? loop_refresh(l) : state) & CAP_READABLE);
}

void loop_unlisten(struct loop *l)
{
	uint32_t cap = l->cap;

	if (!cap)
		return;
	loop_leave(l);
	l->cap = 0;
	(void)hostcall(HC_cap_close, cap);
	waitq_wake(l->wait, 0);
}

static long accept_cap(struct loop *l)
{
	long cap = l->cap ? hostcall(HC_stream_accept, l->cap) : -EINVAL;
	uint64_t one = 1;

	__atomic_or_fetch(&l->state, LOOP_CHECK, __ATOMIC_SEQ_CST);
	if (cap != -EAGAIN || l->signal < 0 || !__atomic_exchange_n(&l->signaled, false, __ATOMIC_SEQ_CST))
		return cap;
	(void)hostcall(HC_file_read, l->signal, &one, sizeof(one));
	cap = hostcall(HC_stream_accept, l->cap);
	if (cap >= 0 && !__atomic_exchange_n(&l->signaled, true, __ATOMIC_SEQ_CST)) { /* and perhaps more */
		one = 1;
		(void)hostcall(HC_file_write, l->signal, &one, sizeof(one));
	}
	return cap;
}

static void accepted_addresses(struct loop *l, const struct loop *listener, uint64_t word)
{
	int domain = listener->socket.domain;
	bool four = domain == AF_INET || !(word & WORD_IPV6);

	l->local = l->peer = listener->local;
	if (domain == AF_UNIX) {
		l->peer.size = sizeof(l->peer.family);
		return;
	}
	address(&l->local, domain, four, port_of(&listener->local));
	address(&l->peer, domain, four, (uint32_t)(word & 0xffff));
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

static struct file *listener_accept(struct file *f, void *user_addr, uint32_t *user_size, uint32_t flags, int *error)
{
	struct loop *l = loop_of(f);
	uint64_t deadline = loop_deadline(l->receive_timeout);
	struct file *accepted;

	for (;;) {
		accepted = loop_accept_now(f, flags, error);
		if (accepted || *error != -EAGAIN)
			break;
		if (l->host >= 0) {
			long handle = hostcall(HC_sock_accept, l->host, user_addr, user_size, flags);

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
	if (accepted && user_addr) {
		*error = sockaddr_to_user(&loop_of(accepted)->peer, user_addr, user_size);
		if (*error) {
			file_put(accepted);
			return NULL;
		}
	}
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
