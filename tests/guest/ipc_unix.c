/*
 * Unix sockets: pairs, names, connection, queues, shutdown, ancillary data, errors.
 * Args: {name}
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, long r)
{
	printf("%s: %ld%s%s\n", what, r, r < 0 ? " " : "", r < 0 ? strerrorname_np(errno) : "");
}

static int ready(int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT | POLLRDHUP, 0 };

	poll(&p, 1, 0);
	return p.revents;
}

static const char *g_word;

/* A name that nobody else on this machine uses. */
static const char *unique(const char *prefix)
{
	static char name[64];

	snprintf(name, sizeof name, "%s%s", prefix, g_word);
	return name;
}

static socklen_t address(struct sockaddr_un *a, const char *name)
{
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	if (name[0] == '@') {
		memcpy(a->sun_path + 1, name + 1, strlen(name) - 1);
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	}
	strcpy(a->sun_path, name);
	return sizeof *a;
}

static void show_name(const char *what, int fd, int peer)
{
	struct sockaddr_un a;
	socklen_t size = sizeof a;
	int r = peer ? getpeername(fd, (void *)&a, &size) : getsockname(fd, (void *)&a, &size);

	if (r)
		say(what, r);
	else
		printf("%s: size %u %s%.*s\n", what, size, size > 2 && !a.sun_path[0] ? "@" : "",
		       (int)(size > 2 ? size - 2 - !a.sun_path[0] : 9), size > 2 ? a.sun_path + !a.sun_path[0] : "(unnamed)");
}

static void pairs(int type, const char *name)
{
	int s[2], n, one = 1;
	char buf[100];
	struct ucred c;
	socklen_t size = sizeof c;

	printf("-- %s\n", name);
	say("socketpair", socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s));
	printf("poll %#x\n", ready(s[0]));
	say("recv nothing", recv(s[0], buf, 10, 0));
	say("send", send(s[1], "first", 5, 0));
	say("send", send(s[1], "second", 6, 0));
	ioctl(s[0], FIONREAD, &n);
	printf("waiting %d poll %#x\n", n, ready(s[0]));
	say("peek", recv(s[0], buf, 3, MSG_PEEK));
	say("recv 3", recv(s[0], buf, 3, 0));
	printf("%.3s\n", buf);
	say("recv trunc", recv(s[0], buf, 3, MSG_TRUNC));
	say("recv", recv(s[0], buf, sizeof buf, 0));
	say("write of nothing", write(s[0], "", 0));
	say("read", read(s[1], buf, sizeof buf));
	say("peercred", getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &c, &size));
	printf("own pid %d\n", c.pid == getpid());
	size = sizeof n;
	getsockopt(s[0], SOL_SOCKET, SO_TYPE, &n, &size);
	printf("type %d size %u\n", n, size);
	getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &n, &size);
	printf("send buffer %d\n", n);
	n = 10000;
	setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &n, sizeof n);
	getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &n, &size);
	printf("send buffer %d\n", n);
	say("reuseaddr", setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
	say("tcp option", setsockopt(s[0], 6, 1, &one, sizeof one));
	show_name("name", s[0], 0);
	show_name("peer", s[0], 1);
	say("listen", listen(s[0], 5));
	say("accept", accept(s[0], NULL, NULL));
	say("shutdown write", shutdown(s[1], SHUT_WR));
	printf("poll %#x %#x\n", ready(s[0]), ready(s[1]));
	say("send after", send(s[1], "x", 1, MSG_NOSIGNAL));
	say("other way", send(s[0], "back", 4, 0));
	say("recv", recv(s[1], buf, sizeof buf, 0));
	if (type != SOCK_DGRAM)
		say("end", recv(s[0], buf, sizeof buf, 0));
	send(s[0], "lost", 4, 0);
	close(s[1]);
	printf("poll %#x\n", ready(s[0]));
	say("recv from closed", recv(s[0], buf, sizeof buf, 0));
	say("recv again", recv(s[0], buf, sizeof buf, 0));
	say("send to closed", send(s[0], "x", 1, MSG_NOSIGNAL));
	close(s[0]);
}

static void *serve(void *arg)
{
	int l = *(int *)arg;

	for (int i = 0; i < 3; i++) {
		char buf[64];
		struct sockaddr_un a;
		socklen_t size = sizeof a;
		int c = accept4(l, (void *)&a, &size, SOCK_CLOEXEC);
		ssize_t n = read(c, buf, sizeof buf);

		for (ssize_t j = 0; j < n; j++)
			buf[j] ^= 0x20;
		write(c, buf, (size_t)n);
		close(c);
	}
	return NULL;
}

static void named(const char *name, int type)
{
	struct sockaddr_un a;
	socklen_t size = address(&a, name);
	int l = socket(AF_UNIX, type, 0), other = socket(AF_UNIX, type, 0);
	pthread_t t;

	printf("-- %s type %d\n", name, type);
	say("listen unbound", listen(l, 5));
	say("connect nobody", connect(other, (void *)&a, size));
	say("bind", bind(l, (void *)&a, size));
	say("bind again", bind(l, (void *)&a, size));
	say("bind other", bind(other, (void *)&a, size));
	say("connect not listening", connect(other, (void *)&a, size));
	say("listen", listen(l, 5));
	show_name("name", l, 0);
	printf("poll %#x\n", ready(l));
	if (name[0] == '/') {
		struct stat st;

		stat(name, &st);
		printf("socket node %d\n", S_ISSOCK(st.st_mode));
		say("open", open(name, O_RDWR));
	}
	pthread_create(&t, NULL, serve, &l);
	for (int i = 0; i < 3; i++) {
		char buf[64] = "";
		int c = i ? socket(AF_UNIX, type, 0) : other;

		say("connect", connect(c, (void *)&a, size));
		if (i == 0) {
			say("connect again", connect(c, (void *)&a, size));
			show_name("peer", c, 1);
		}
		write(c, "hello", 5);
		say("read", read(c, buf, sizeof buf));
		puts(buf);
		say("end", read(c, buf, sizeof buf));
		close(c);
	}
	pthread_join(t, NULL);
	int wrong = socket(AF_UNIX, type == SOCK_STREAM ? SOCK_SEQPACKET : SOCK_STREAM, 0);
	say("wrong type", connect(wrong, (void *)&a, size));
	close(wrong);
	int pending = socket(AF_UNIX, type, 0);
	say("connect pending", connect(pending, (void *)&a, size));
	printf("listener poll %#x\n", ready(l));
	close(l);
	char c;
	say("read after the listener closed", read(pending, &c, 1));
	close(pending);
	other = socket(AF_UNIX, type, 0);
	say("connect closed", connect(other, (void *)&a, size));
	close(other);
	if (name[0] == '/')
		say("unlink", unlink(name));
}

static void datagrams(void)
{
	struct sockaddr_un a, b, from;
	socklen_t as = address(&a, unique("@guest-unix-a-")), bs = address(&b, unique("@guest-unix-b-")), size = sizeof from;
	int x = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), y = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), n = 0;
	char buf[64] = "";

	printf("-- datagrams\n");
	bind(x, (void *)&a, as);
	say("send unconnected", send(y, "x", 1, 0));
	say("sendto", sendto(y, "anonymous", 9, 0, (void *)&a, as));
	say("recvfrom", recvfrom(x, buf, sizeof buf, 0, (void *)&from, &size));
	printf("from size %u\n", size);
	bind(y, (void *)&b, bs);
	say("sendto", sendto(y, "named", 5, 0, (void *)&a, as));
	size = sizeof from;
	say("recvfrom", recvfrom(x, buf, 2, 0, (void *)&from, &size));
	printf("from size %u %.*s\n", size, (int)(size - offsetof(struct sockaddr_un, sun_path) - 1), from.sun_path + 1);
	say("connect", connect(x, (void *)&b, bs));
	while (send(x, "fill", 4, 0) == 4)
		n++;
	printf("queue took %d, %s, poll %#x\n", n, strerrorname_np(errno), ready(x));
	read(y, buf, sizeof buf);
	printf("poll %#x\n", ready(x));
	int z = socket(AF_UNIX, SOCK_DGRAM, 0);
	say("stranger to a connected one", sendto(z, "x", 1, 0, (void *)&a, as));
	say("too long", send(x, malloc(1 << 20), 1 << 20, 0));
	a.sun_family = AF_UNSPEC;
	say("disconnect", connect(x, (void *)&a, sizeof a));
	say("send", send(x, "x", 1, 0));
	close(y);
	say("to a closed one", sendto(x, "x", 1, 0, (void *)&b, bs));
	say("autobind", bind(z, (void *)&(struct sockaddr_un){ .sun_family = AF_UNIX }, 2));
	size = sizeof from;
	getsockname(z, (void *)&from, &size);
	printf("size %u first byte %d\n", size, from.sun_path[0]);
	close(x);
	close(z);
}

/* One end of a pair turns to somebody else, and to nobody: what it had not read is lost. */
static void turned_away(void)
{
	struct sockaddr_un a;
	socklen_t as = address(&a, unique("@guest-unix-c-"));
	int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), pair[2];
	char buf[8];

	printf("-- datagrams, turned away\n");
	bind(other, (void *)&a, as);
	for (int i = 0; i < 3; i++) {
		socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair);
		if (i != 1)
			say("send", send(pair[1], "lost", 4, 0));
		if (i == 2)
			a.sun_family = AF_UNSPEC;
		say("connect", connect(pair[0], (void *)&a, i == 2 ? sizeof a : as));
		say("read", read(pair[0], buf, sizeof buf));
		printf("poll %#x\n", ready(pair[1]));
		say("send", send(pair[1], "x", 1, 0));
		say("send again", send(pair[1], "x", 1, 0));
		say("shutdown", shutdown(pair[1], SHUT_WR));
		say("send behind it", send(pair[1], "x", 1, 0));
		close(pair[0]);
		close(pair[1]);
	}
	close(other);
}

static void send_fds(int s, const int *fds, int count, const char *text)
{
	char control[CMSG_SPACE(sizeof(int) * 8)] = { 0 };
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)count);
	say("sendmsg", sendmsg(s, &m, 0));
}

static int recv_fds(int s, size_t room, size_t bytes, int flags)
{
	char control[256] = { 0 }, buf[64] = "";
	struct iovec iov = { buf, bytes };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room };
	long n = recvmsg(s, &m, flags);
	int fd = -1;

	say("recvmsg", n);
	printf("text [%s] flags %#x control %zu\n", buf, m.msg_flags, m.msg_controllen);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		printf("control level %d type %d size %zu\n", c->cmsg_level, c->cmsg_type, c->cmsg_len);
		if (c->cmsg_type == SCM_RIGHTS) {
			memcpy(&fd, CMSG_DATA(c), sizeof fd);
			printf("cloexec %d\n", fcntl(fd, F_GETFD));
		} else if (c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred u;

			memcpy(&u, CMSG_DATA(c), sizeof u);
			printf("own pid %d\n", u.pid == getpid());
		}
	}
	return fd;
}

static void rights(int type)
{
	int s[2], p[2], one = 1;
	char buf[16] = "";

	printf("-- rights, type %d\n", type);
	socketpair(AF_UNIX, type, 0, s);
	pipe(p);
	write(s[0], "before", 6);
	send_fds(s[0], (int[]){ p[1], p[0] }, 2, "with two");
	write(s[0], "after", 5);
	close(p[1]);
	if (type != SOCK_STREAM)
		recv_fds(s[1], 200, 60, 0);
	int w = recv_fds(s[1], 200, 60, MSG_CMSG_CLOEXEC);
	recv_fds(s[1], 200, 60, 0);
	write(w, "via", 3);
	say("through the passed end", read(p[0], buf, sizeof buf));
	send_fds(s[0], (int[]){ p[0], p[0], p[0] }, 3, "no room");
	recv_fds(s[1], CMSG_SPACE(sizeof(int)), 60, 0);
	send_fds(s[0], (int[]){ p[0] }, 1, "read drops");
	say("read", read(s[1], buf, sizeof buf));
	int bad[1] = { 999 };
	send_fds(s[0], bad, 1, "bad");
	setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
	write(s[0], "who", 3);
	recv_fds(s[1], 200, 60, 0);
	send_fds(s[0], (int[]){ p[0] }, 1, "in flight");
	close(s[0]);
	close(s[1]);
	close(w);
}

static int g_stream[2];

static void *pump(void *arg)
{
	static char block[70000];

	(void)arg;
	for (int i = 0; i < 100; i++) {
		memset(block, 'a' + i % 26, sizeof block);
		if (write(g_stream[0], block, sizeof block) != (ssize_t)sizeof block)
			printf("short write\n");
	}
	shutdown(g_stream[0], SHUT_WR);
	return NULL;
}

static void blocking(void)
{
	pthread_t t;
	size_t total = 0, wrong = 0;
	char buf[9000];
	ssize_t n;
	struct timeval tv = { 0, 20000 };

	printf("-- blocking\n");
	socketpair(AF_UNIX, SOCK_STREAM, 0, g_stream);
	setsockopt(g_stream[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	say("timeout", read(g_stream[1], buf, 1));
	tv.tv_usec = 0;
	setsockopt(g_stream[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	pthread_create(&t, NULL, pump, NULL);
	while ((n = recv(g_stream[1], buf, sizeof buf, MSG_WAITALL)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			wrong += buf[i] != (char)('a' + (total + (size_t)i) / 70000 % 26);
		total += (size_t)n;
	}
	pthread_join(t, NULL);
	printf("%zu bytes, %zu wrong\n", total, wrong);
}

static void credentials_of(const char *what, int fd)
{
	char bytes[16], room[64] __attribute__((aligned(8)));
	struct iovec v = { bytes, sizeof bytes };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
	struct ucred who = { -1, 0, 0 };
	long n = recvmsg(fd, &m, MSG_DONTWAIT);

	if (n >= 0 && m.msg_controllen && CMSG_FIRSTHDR(&m)->cmsg_type == SCM_CREDENTIALS)
		memcpy(&who, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof who);
	printf("%s: %ld, %s\n", what, n, who.pid == getpid() ? "mine" : who.pid == 0 ? "nobody's" : who.pid < 0 ? "not told" : "somebody's");
}

/* One receive takes the bytes of several writers, unless it wants to know whose they are: then each one's by themselves, also the rest of
 * what was taken in part. */
static void writers(void)
{
	int s[2], one = 1;
	char bytes[3];

	for (int wants = 0; wants < 2; wants++) {
		socketpair(AF_UNIX, SOCK_STREAM, 0, s);
		setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
		say("mine", send(s[1], "mine", 4, 0));
		if (!fork()) {
			send(s[1], "a child's", 9, 0);
			send(s[1], "too", 3, 0);
			_exit(0);
		}
		wait(NULL);
		say("mine", send(s[1], "mine", 4, 0));
		setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &wants, sizeof wants);
		credentials_of("the first writer's", s[0]);
		say("a part", recv(s[0], bytes, sizeof bytes, MSG_DONTWAIT));
		credentials_of("the rest", s[0]);
		credentials_of("the last", s[0]);
		close(s[0]), close(s[1]);
	}
}

/* What a look at bytes that came before an error does not see; who is told of an end; that one's own queue has no limit of messages. */
static void ends(void)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	struct sockaddr_un a;
	socklen_t size = address(&a, unique("@guest-unix-self-"));
	int s[2], ep = epoll_create1(0), sent = 0, error = 0;
	char bytes[10];

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	setsockopt(s[0], SOL_SOCKET, SO_RCVLOWAT, &(int){ 5 }, sizeof(int));
	say("never read", send(s[0], "x", 1, 0));
	say("some", send(s[1], "ab", 2, 0));
	close(s[1]);
	say("looked at", recv(s[0], bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT));
	getsockopt(s[0], SOL_SOCKET, SO_ERROR, &error, &(socklen_t){ sizeof error });
	printf("error %s\n", strerrorname_np(error));
	close(s[0]);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &e);
	say("message", send(s[1], "x", 1, 0));
	say("told", epoll_wait(ep, &e, 1, 0));
	close(s[1]);
	say("of the end nothing", epoll_wait(ep, &e, 1, 0));
	close(s[0]);
	s[0] = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	bind(s[0], (struct sockaddr *)&a, size);
	while (sent < 50 && sendto(s[0], "x", 1, 0, (struct sockaddr *)&a, size) == 1)
		sent++;
	printf("%d to itself\n", sent);
	close(s[0]), close(ep);
}

/* Options that mean nothing are remembered; who wants credentials has a name. */
static void options(void)
{
	int s[2], one = 1, flags[] = { SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, SO_OOBINLINE, SO_DONTROUTE }, value;
	struct linger linger = { 1, 7 };
	struct timeval before = { -1, 0 };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t size;
	char byte;

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		say("set", setsockopt(s[0], SOL_SOCKET, flags[i], &one, sizeof one));
		say("get", getsockopt(s[0], SOL_SOCKET, flags[i], &value, &(socklen_t){ sizeof value }));
		printf("is %d\n", value);
	}
	say("linger", setsockopt(s[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
	linger.l_onoff = 0, linger.l_linger = 9;
	say("not", setsockopt(s[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
	getsockopt(s[0], SOL_SOCKET, SO_LINGER, &linger, &(socklen_t){ sizeof linger });
	printf("linger %d %d\n", linger.l_onoff, linger.l_linger);
	say("nothing of nothing", recv(s[0], &byte, 0, MSG_DONTWAIT));
	say("read of nothing", read(s[0], &byte, 0));
	say("time", setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &before, sizeof before));
	say("does not wait", recv(s[0], &byte, 1, 0));
	say("credentials", setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
	say("want", setsockopt(s[0], SOL_SOCKET, SO_RCVLOWAT, &(int){ 3 }, sizeof(int)));
	say("send", send(s[1], "ab", 2, 0));
	say("less", recv(s[0], &byte, 1, 0));
	close(s[1]);
	credentials_of("rest", s[0]);
	credentials_of("end", s[0]);
	close(s[0]);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	say("early", send(s[1], "x", 1, 0));
	say("credentials", setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
	say("late", send(s[1], "x", 1, 0));
	credentials_of("early", s[0]);
	credentials_of("late", s[0]);
	say("reply", send(s[0], "x", 1, 0));
	say("its name", getsockname(s[0], (struct sockaddr *)&a, (size = sizeof a, &size)));
	printf("%u bytes\n", size);
	say("any name", bind(s[0], (struct sockaddr *)&a, 2));
	close(s[0]), close(s[1]);
	s[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	struct ucred who;
	getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &who, &(socklen_t){ sizeof who });
	printf("peer of nobody %d %d %d\n", who.pid, (int)who.uid, (int)who.gid);
	close(s[0]);
}

int main(int argc, char **argv)
{
	int s[2];

	g_word = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	say("inet pair", socketpair(AF_INET, SOCK_STREAM, 0, s));
	say("bad type", socket(AF_UNIX, 9, 0));
	say("bad protocol", socket(AF_UNIX, SOCK_STREAM, 6));
	pairs(SOCK_STREAM, "stream");
	pairs(SOCK_SEQPACKET, "seqpacket");
	pairs(SOCK_DGRAM, "datagram");
	named(unique("@guest-unix-"), SOCK_STREAM);
	named(unique("/tmp/guest-unix-"), SOCK_STREAM);
	named(unique("/tmp/guest-unix-"), SOCK_SEQPACKET);
	datagrams();
	turned_away();
	rights(SOCK_STREAM);
	rights(SOCK_SEQPACKET);
	blocking();
	options();
	writers();
	ends();
	return 0;
}
