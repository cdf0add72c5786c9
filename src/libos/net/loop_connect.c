/*
 * How sockets come to lead to other cVMs: connecting by the names of capabilities (net/loop.h). Grants are the monitor's; what it
 * refuses (-EACCES) or does not know (-ENOENT) stays with the host's or this cVM's own sockets.
 *
 * A connect that finds the backlog full waits, or if it may not is *pending*: those are tried again whenever somebody
 * looks or sleeps, at least every millisecond.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "fs/inode.h"
#include "net/inet.h"
#include "net/loop.h"
#include "process/report.h"

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/time.h>
#include <linux/un.h>

#define NAP_NS 200000
#define RIGHTS_KEPT 8u
#define PORT_FIRST 32768u /* of those that a client gets, as on Linux */
#define PORT_COUNT 28232u

static struct mutex g_pending_lock;
static struct list g_pending = LIST_INIT(g_pending);
static unsigned g_pending_count; /* atomic */

/* The right to connect to a name is opened once: the last few are kept, until they are revoked. */
static struct mutex g_rights_lock;
static struct {
	char name[CAP_NAME_MAX];
	uint32_t cap;
} g_right[RIGHTS_KEPT];

uint32_t loop_port_of(const struct sockaddr_any *addr)
{
	uint16_t port = ((const struct sockaddr_in *)&addr->storage)->sin_port; /* the same place in sockaddr_in6 */

	return __builtin_bswap16(port);
}

bool loop_port(const struct sockaddr_any *addr, uint16_t *port)
{
	const uint8_t *b = (const uint8_t *)&((const struct sockaddr_in *)&addr->storage)->sin_addr;
	static const uint8_t zero[16];

	if (addr->family == AF_INET6 && addr->size >= sizeof(struct sockaddr_in6)) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)&addr->storage)->sin6_addr;

		b = address_is_mapped(a) ? (const uint8_t *)a + 12 : (const uint8_t *)a;
		if (!address_is_mapped(a) && (memcmp(b, zero, 15) || b[15] > 1))
			return false;
		if (address_is_mapped(a) && b[0] != 127 && memcmp(b, zero, 4))
			return false;
	} else if (addr->family != AF_INET || addr->size < sizeof(struct sockaddr_in) || (b[0] != 127 && memcmp(b, zero, 4))) {
		return false;
	}
	*port = (uint16_t)loop_port_of(addr);
	return true;
}

/* An address of IPv4 as the one of IPv6 that stands for it. */
static struct in6_addr six_of(const struct sockaddr_any *addr)
{
	struct in6_addr a = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	if (addr->family == AF_INET6)
		return ((const struct sockaddr_in6 *)&addr->storage)->sin6_addr;
	memcpy(a.s6_addr + 12, &((const struct sockaddr_in *)&addr->storage)->sin_addr, 4);
	return a;
}

/* Does `a` listen at every address, b's among them? */
static bool covers(const struct loop *a, const struct loop *b)
{
	static const uint8_t zero[16];
	struct in6_addr at = six_of(&a->local);
	bool four = a->local.family == AF_INET;

	return !memcmp(at.s6_addr + (four ? 12 : 0), zero, four ? 4 : 16) && (a->local.family == b->local.family || (!four && !a->only_six));
}

bool loop_same_place(const struct loop *a, const struct loop *b)
{
	struct in6_addr one = six_of(&a->local), other = six_of(&b->local);

	return !(a->reuse_port && b->reuse_port) && (!memcmp(&one, &other, sizeof(one)) || covers(a, b) || covers(b, a));
}

void loop_address(struct sockaddr_any *a, int domain, bool four, uint32_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&a->storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->storage;
	uint8_t *b;

	memset(a, 0, sizeof(*a));
	a->family = (uint16_t)domain;
	a->size = domain == AF_INET ? sizeof(*in) : sizeof(*in6);
	in->sin_port = __builtin_bswap16((uint16_t)port);
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

bool loop_connects(struct file *f)
{
	return f->ops == &g_loop_file_ops && __atomic_load_n(&loop_of(f)->kind, __ATOMIC_ACQUIRE) == LOOP_CONNECTING;
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
		mutex_lock(&g_pending_lock);
		list_append(&g_pending, &l->pending);
		__atomic_add_fetch(&g_pending_count, 1, __ATOMIC_SEQ_CST);
		loop_one_more();
		mutex_unlock(&g_pending_lock);
		loop_become(f, l, &g_loop_file_ops);
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
		    address_is_mapped(&((const struct sockaddr_in6 *)&addr->storage)->sin6_addr);
	struct loop *l = loop_alloc(LOOP_STREAM);
	uint32_t port;

	if (!l)
		return -ENOMEM;
	port = bound->size ? loop_port_of(bound) : 0;
	port = port ? port : loop_free_port();
	l->host = s->handle;
	l->send_timeout = s->send_timeout ? s->send_timeout : -1;
	l->receive_timeout = s->receive_timeout ? s->receive_timeout : -1;
	loop_address(&l->local, s->socket.domain, four, port);
	loop_address(&l->peer, s->socket.domain, four, loop_port_of(addr));
	if (s->socket.domain == AF_INET && ((const uint8_t *)&addr->storage)[4] == 127)
		memcpy(&l->peer.storage, &addr->storage, 8); /* 127.1.2.3 */
	l->word = port | (four ? 0 : LOOP_WORD_IPV6);
	(void)format(l->name, sizeof(l->name), "tcp/%u", loop_port_of(addr));
	return connect_file(f, l, true);
}

bool loop_unix_name(char *name, const char *path)
{
	bool absolute = path[0] == '/';
	struct dentry *d = process_directory(current()->process, absolute);
	char *buf = pathbuf_get();
	bool ok = d && buf && dentry_path_from(NULL, d, buf, PATH_SIZE, NULL) >= 0;

	if (ok)
		ok = format(name, CAP_NAME_MAX, "unix%s%s%s", buf[1] ? buf : "", absolute ? "" : "/", path) < (int)CAP_NAME_MAX;
	pathbuf_put(buf);
	dentry_put(d);
	return ok;
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
	if (!loop_unix_name(l->name, path)) {
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
