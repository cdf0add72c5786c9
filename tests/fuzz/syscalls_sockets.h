/*
 * Random calls of syscalls_guest.c, which includes this, on Unix sockets: options, messages of several parts and many at once,
 * credentials, abstract names and such as the system gives.
 */
#ifndef TESTS_FUZZ_SYSCALLS_SOCKETS_H
#define TESTS_FUZZ_SYSCALLS_SOCKETS_H

#include <linux/sockios.h>
#include <sys/un.h>

/* A name that natively nobody else has. */
static socklen_t abstract_name(struct sockaddr_un *a)
{
	const char *word = WORD_OF("x", "y", "z");

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	say(" %s", word);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)snprintf(a->sun_path + 1, 60, "fuzz-%07d-%s", (int)g_first, word));
}

static void show_name(const struct sockaddr_un *a, socklen_t size)
{
	size_t start = offsetof(struct sockaddr_un, sun_path);

	say(" size %u family %d", size, size >= 2 ? a->sun_family : -1);
	if (size > start && a->sun_path[0])
		say(" %.*s", (int)(size - start), a->sun_path);
	else if (size > start && size > start + 6)
		say(" @%.*s", 1, (const char *)a + size - 1);
}

static void option_get(int n)
{
	char bytes[64];
	int option = (int)ONE_OF(SO_PASSCRED, SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, SO_PROTOCOL, SO_TYPE, SO_LINGER, SO_RCVTIMEO, SO_SNDTIMEO, SO_RCVLOWAT, SO_PEERCRED, SO_OOBINLINE, SO_DONTROUTE, 9999);
	int level = rarely(12) ? (int)ONE_OF(0, 6, 41, 270) : SOL_SOCKET;
	socklen_t size = (socklen_t)(rarely(6) ? ONE_OF(0, 1, 3, -1) : 64);

	memset(bytes, 0, sizeof bytes);
	say("getsockopt %d %d %d %d", n, level, option, (int)size);
	if (result(getsockopt(n, level, option, bytes, &size)))
		return;
	say(" size %u", size);
	if (option == SO_PEERCRED && level == SOL_SOCKET) {
		struct ucred who;
		memcpy(&who, bytes, sizeof who);
		if (size == sizeof who)
			say(" %d %d %d", who_is(who.pid), (int)who.uid, (int)who.gid);
	} else {
		say(" #%x", hash(bytes, size));
	}
}

/* Whose bytes they were is told of streams only if somebody wanted to know when they were written. */
static bool is_type(int n, int wanted)
{
	int type = 0;

	return getsockopt(n, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){ sizeof type }) == 0 && type == wanted;
}

/* Whether it gets a name before a call fails, because it wants credentials, is a matter of versions. */
static bool is_nobody(int n)
{
	struct sockaddr_un a;
	socklen_t size = sizeof a;

	return getsockname(n, (struct sockaddr *)&a, &size) == 0 && size <= 2;
}

static void option_set(int n)
{
	struct timeval time = { (long)below(3), ONE_OF(0, 500000, 1000000, -1) };
	struct linger linger = { (int)below(2), (int)below(5) };
	int value = (int)ONE_OF(0, 1, 2, -1), option = (int)ONE_OF(SO_PASSCRED, SO_PASSCRED, SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, SO_RCVLOWAT, SO_OOBINLINE, SO_DONTROUTE, SO_TYPE, SO_ERROR, SO_PEERCRED, 9999);
	socklen_t size = (socklen_t)(rarely(8) ? ONE_OF(0, 1, 3, -1, 100) : sizeof value);

	switch (below(6)) {
	case 0:
		option = (int)ONE_OF(SO_RCVTIMEO, SO_SNDTIMEO);
		say("setsockopt %d %d %ld.%ld", n, option, (long)time.tv_sec, (long)time.tv_usec);
		result(setsockopt(n, SOL_SOCKET, option, &time, rarely(8) ? 4 : sizeof time));
		break;
	case 1:
		say("setsockopt %d linger %d %d", n, linger.l_onoff, linger.l_linger);
		result(setsockopt(n, SOL_SOCKET, SO_LINGER, &linger, rarely(8) ? 4 : sizeof linger));
		break;
	default:
		if (option == SO_PASSCRED && (is_type(n, SOCK_STREAM) || is_nobody(n)))
			return;
		say("setsockopt %d %d %d size %d", n, option, value, (int)size);
		result(setsockopt(n, SOL_SOCKET, option, &value, size));
	}
}

static void do_option(void)
{
	int n = fd();

	if (kept(n))
		return;
	if (rarely(2))
		option_get(n);
	else
		option_set(n);
}

static void do_abstract(void)
{
	struct sockaddr_un a;
	socklen_t size;
	int n = fd();

	if (kept(n))
		return;
	switch (below(6)) {
	case 0: {
		int type = (int)ONE_OF(SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW);
		say("socket %d", type);
		opened(socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, (int)ONE_OF(0, 0, 0, 1, 7)));
		break;
	}
	case 1:
		say("bind %d", n);
		size = abstract_name(&a);
		result(bind(n, (struct sockaddr *)&a, size));
		break;
	case 2:
		say("connect %d", n);
		size = abstract_name(&a);
		result(connect(n, (struct sockaddr *)&a, size));
		break;
	case 3:
		a = (struct sockaddr_un){ .sun_family = (sa_family_t)ONE_OF(AF_UNIX, AF_UNIX, AF_UNSPEC) };
		if (a.sun_family == AF_UNSPEC || rarely(3)) {
			say("connect %d family %d", n, a.sun_family);
			result(connect(n, (struct sockaddr *)&a, (socklen_t)ONE_OF(2, 16)));
			break;
		}
		say("bind %d automatically", n);
		result(bind(n, (struct sockaddr *)&a, 2));
		size = sizeof a;
		if (getsockname(n, (struct sockaddr *)&a, &size) == 0)
			say(" size %u", size);
		break;
	case 4:
		say("sendto %d", n);
		size = abstract_name(&a);
		fill(30);
		result(sendto(n, g_buffer, 1 + below(30), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&a, size));
		break;
	default: {
		bool peer = rarely(2);
		size = sizeof a;
		say("%s %d", peer ? "getpeername" : "getsockname", n);
		if (result(peer ? getpeername(n, (struct sockaddr *)&a, &size) : getsockname(n, (struct sockaddr *)&a, &size)) == 0)
			show_name(&a, size);
	}
	}
}

/* Whether messages of nothing were unread when their receiver was closed, is a matter of versions. */
static size_t some_size(int n, unsigned most)
{
	size_t size = below(most);

	return size || !is_type(n, SOCK_SEQPACKET) ? size : 1;
}

/* Ancillary data: its kinds, and what credentials say. */
static void show_control(struct msghdr *m)
{
	for (struct cmsghdr *c = m->msg_controllen ? CMSG_FIRSTHDR(m) : NULL; c; c = CMSG_NXTHDR(m, c)) {
		say(" [%d %zu", c->cmsg_type, (size_t)c->cmsg_len);
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
			struct ucred who;
			memcpy(&who, CMSG_DATA(c), sizeof who);
			say(" %d %d %d", who_is(who.pid), (int)who.uid, (int)who.gid);
		}
		for (size_t i = 0; c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
			int got;
			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof got);
			say(" got %d %d", got, fcntl(got, F_GETFD));
			if (got > FD_LAST)
				close(got);
		}
		say("]");
	}
}

static void do_message(void)
{
	union {
		struct cmsghdr head;
		char room[200];
	} control;
	int n = fd(), flags = MSG_DONTWAIT;

	if (kept(n))
		return;
	struct iovec v[3] = { { g_buffer, some_size(n, 40) }, { g_buffer + 100, below(40) }, { g_buffer + 200, below(40) } };
	struct sockaddr_un from;
	struct msghdr m = { .msg_iov = v, .msg_iovlen = some_size(n, 4) };

	memset(&control, 0, sizeof control);
	if (rarely(2)) {
		bool credentials = rarely(3), wrong = rarely(6);
		struct ucred who = { wrong ? 99999999 : getpid(), geteuid(), getegid() };
		if (credentials) {
			control.head = (struct cmsghdr){ CMSG_LEN(sizeof who), SOL_SOCKET, SCM_CREDENTIALS };
			memcpy(CMSG_DATA(&control.head), &who, sizeof who);
			m.msg_control = &control;
			m.msg_controllen = rarely(10) ? (size_t)ONE_OF(3, 16, 20) : CMSG_SPACE(sizeof who);
		}
		flags |= MSG_NOSIGNAL | (int)ONE_OF(0, 0, MSG_EOR, MSG_MORE);
		fill(300);
		say("sendmsg %d %zu %zu %zu of %zu %x%s %zu", n, v[0].iov_len, v[1].iov_len, v[2].iov_len, (size_t)m.msg_iovlen, (unsigned)flags, credentials ? wrong ? " wrong" : " credentials" : "", (size_t)m.msg_controllen);
		result(sendmsg(n, &m, flags));
		return;
	}
	flags |= (int)ONE_OF(0, 0, MSG_PEEK, MSG_TRUNC, MSG_PEEK | MSG_TRUNC, MSG_WAITALL, MSG_CMSG_CLOEXEC);
	struct pollfd p = { n, 0, 0 };
	if (flags & MSG_WAITALL && poll(&p, 1, 0) > 0 && p.revents & POLLERR) /* which Linux would forget */
		flags &= ~MSG_WAITALL;
	m.msg_name = rarely(2) ? &from : NULL, m.msg_namelen = m.msg_name ? sizeof from : 0;
	m.msg_control = &control, m.msg_controllen = (size_t)ONE_OF(200, 200, 0, 16, 24, 30);
	memset(g_buffer, 0x77, sizeof g_buffer);
	memset(&from, 0, sizeof from);
	say("recvmsg %d %zu %zu %zu of %zu %x control %zu", n, v[0].iov_len, v[1].iov_len, v[2].iov_len, (size_t)m.msg_iovlen, (unsigned)flags, (size_t)m.msg_controllen);
	if (result(recvmsg(n, &m, flags)) < 0)
		return;
	say(" #%x flags %x control %zu", hash(g_buffer, 300), (unsigned)m.msg_flags, (size_t)m.msg_controllen);
	if (m.msg_name)
		show_name(&from, m.msg_namelen);
	show_control(&m);
}

static void do_many(void)
{
	struct mmsghdr m[4];
	struct iovec v[4];
	unsigned count = below(5);
	struct timespec zero = { 0, rarely(10) ? -1 : 0 };
	int n = fd();

	if (kept(n))
		return;
	memset(m, 0, sizeof m);
	for (unsigned i = 0; i < 4; i++) {
		v[i] = (struct iovec){ g_buffer + 100 * i, some_size(n, 60) };
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_len = 7;
	}
	if (rarely(2)) {
		fill(400);
		say("sendmmsg %d %u", n, count);
		result(sendmmsg(n, m, count, MSG_DONTWAIT | MSG_NOSIGNAL));
	} else {
		memset(g_buffer, 0x78, sizeof g_buffer);
		say("recvmmsg %d %u", n, count);
		if (result(recvmmsg(n, m, count, MSG_DONTWAIT | (int)ONE_OF(0, MSG_WAITFORONE, MSG_TRUNC), rarely(3) ? &zero : NULL)) > 0)
			say(" #%x", hash(g_buffer, 400));
	}
	for (unsigned i = 0; i < count && i < 4; i++)
		say(" %u", m[i].msg_len);
}

static void do_pair(void)
{
	int pair[2] = { -1, -1 }, type = (int)ONE_OF(SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET), flags = SOCK_NONBLOCK | (int)ONE_OF(0, SOCK_CLOEXEC, 1 << 20);

	say("socketpair %d %x", type, (unsigned)flags);
	if (result(socketpair(AF_UNIX, type | flags, (int)ONE_OF(0, 0, 0, 1, 9), pair)))
		return;
	say(" %d %d flags %x %x", pair[0], pair[1], (unsigned)fcntl(pair[0], F_GETFL), (unsigned)fcntl(pair[1], F_GETFD));
	for (int i = 0; i < 2 && type == SOCK_STREAM && rarely(3); i++)
		say(" %d", setsockopt(pair[i], SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int)));
	beyond(pair);
}

static void do_queued(void)
{
	int n = fd(), size = -1;

	if (kept(n))
		return;
	say("SIOCINQ %d", n);
	if (result(ioctl(n, SIOCINQ, &size)) == 0)
		say(" %d", size);
}

#endif
