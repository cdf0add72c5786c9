/*
 * Both ends of a stream socket, each a process of its own: "server NAME" and "client NAME", NAME a port of 127.0.0.1 or
 * the path of a Unix socket. Run as two native processes and as two cVMs, the ends must say the same. Scenarios run in
 * lock-step: step() lets both go on together.
 * Ends: server client
 * Names: tcp unix
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static bool g_server, g_tcp;
static int g_listener, g_control;
static union {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_un un;
} g_address;
static socklen_t g_size;
static char g_end;

static void say(const char *text, ...)
{
	char line[400];
	va_list args;
	int n = snprintf(line, sizeof line, "%c ", g_end);

	va_start(args, text);
	n += vsnprintf(line + n, sizeof line - 2 - (size_t)n, text, args);
	va_end(args);
	line[n++] = '\n';
	if (write(1, line, (size_t)n) != n)
		exit(9);
}

static void result(const char *what, long r)
{
	int e = errno;

	say("%s: %ld%s%s", what, r, r < 0 ? " " : "", r < 0 ? strerrorname_np(e) : "");
}

static void step(void)
{
	char c = 0;

	if (write(g_control, "x", 1) != 1 || read(g_control, &c, 1) != 1) {
		say("the other end is gone");
		exit(8);
	}
}

static int open_socket(int flags)
{
	return socket(g_address.sa.sa_family, SOCK_STREAM | flags, 0);
}

static int connect_blocking(void)
{
	int fd = open_socket(0);

	if (connect(fd, &g_address.sa, g_size)) {
		result("connect", -1);
		exit(7);
	}
	return fd;
}

/* A new connection between the ends. */
static int pair(void)
{
	return g_server ? accept(g_listener, NULL, NULL) : connect_blocking();
}

static void nonblock(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static const char *bits(unsigned e)
{
	static char text[100];

	snprintf(text, sizeof text, "%s%s%s%s%s", e & POLLIN ? " in" : "", e & POLLOUT ? " out" : "", e & POLLRDHUP ? " rdhup" : "",
		 e & POLLHUP ? " hup" : "", e & POLLERR ? " err" : "");
	return text;
}

static void poll_now(const char *what, int fd, int ms)
{
	struct pollfd p = { fd, POLLIN | POLLOUT | POLLRDHUP, 0 };
	int r = poll(&p, 1, ms);

	say("%s: %d%s", what, r, bits((unsigned)p.revents));
}

static void poll_for(const char *what, int fd, short events, int ms)
{
	struct pollfd p = { fd, events, 0 };
	int r = poll(&p, 1, ms);

	say("%s: %d%s", what, r, bits((unsigned)p.revents));
}

static void epoll_now(const char *what, int ep, int ms)
{
	struct epoll_event e = { 0, { 0 } };
	int r = epoll_wait(ep, &e, 1, ms);

	say("%s: %d%s", what, r, r > 0 ? bits(e.events) : "");
}

static int epoll_of(int fd, unsigned events)
{
	struct epoll_event e = { events, { .fd = fd } };
	int ep = epoll_create1(0);

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
		result("epoll_ctl", -1);
	return ep;
}

static void names(void)
{
	int fd = pair();
	struct sockaddr_storage mine = { 0 }, other = { 0 };
	socklen_t a = sizeof mine, b = sizeof other;
	struct stat st;
	char link[64] = "", path[32];

	result("getsockname", getsockname(fd, (void *)&mine, &a));
	result("getpeername", getpeername(fd, (void *)&other, &b));
	say("sizes %u %u families %d %d", a, b, mine.ss_family, other.ss_family);
	if (g_tcp) {
		struct sockaddr_in *m = (void *)&mine, *o = (void *)&other;
		uint16_t theirs = 0;

		if (write(fd, &m->sin_port, 2) != 2 || read(fd, &theirs, 2) != 2)
			say("no port came");
		say("127.0.0.1: %d %d, the other end's port is what it says: %d", m->sin_addr.s_addr == htonl(INADDR_LOOPBACK),
		    o->sin_addr.s_addr == htonl(INADDR_LOOPBACK), theirs == o->sin_port && theirs);
	}
	fstat(fd, &st);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (readlink(path, link, sizeof link - 1) < 0)
		result("readlink", -1);
	say("a socket: %d %d, %.8s", S_ISSOCK(st.st_mode), lseek(fd, 0, SEEK_CUR) < 0 && errno == ESPIPE, link);
	result("connect again", connect(fd, &g_address.sa, g_size));
	result("listen on it", listen(fd, 1));
	result("accept on it", accept(fd, NULL, NULL));
	step();
	close(fd);
}

static void vectors(void)
{
	int fd = pair();
	char a[3], b[10], c[4096], big[40000];
	struct iovec out[3] = { { "one", 3 }, { "", 0 }, { "two-three", 9 } }, in[2] = { { a, 3 }, { b, 9 } };
	struct msghdr m = { .msg_iov = out, .msg_iovlen = 3 };
	ssize_t n;

	if (g_server) {
		result("writev", writev(fd, out, 3));
		step();
		m.msg_iov = in;
		m.msg_iovlen = 2;
		result("recvmsg", recvmsg(fd, &m, 0));
		say("%.3s|%.9s flags %x", a, b, m.msg_flags);
		for (n = 0; n < 40000;) {
			ssize_t r = read(fd, c, sizeof c);
			if (r <= 0)
				break;
			n += r;
		}
		say("large vector: %zd", n);
		int file = memfd_create("x", 0);
		memset(big, 'q', sizeof big);
		result("file", write(file, big, sizeof big));
		off_t at = 100;
		result("sendfile", sendfile(fd, file, &at, 30000));
		say("offset %ld", (long)at);
		close(file);
		step();
	} else {
		step();
		result("readv", readv(fd, in, 2));
		say("%.3s|%.9s", a, b);
		result("sendmsg", sendmsg(fd, &m, MSG_NOSIGNAL));
		memset(big, 'z', sizeof big);
		struct iovec large[2] = { { big, 15000 }, { big, 25000 } };
		result("writev", writev(fd, large, 2));
		for (n = 0; n < 30000;) {
			ssize_t r = recv(fd, c, sizeof c, 0);
			if (r <= 0)
				break;
			n += r;
		}
		say("from sendfile: %zd %c", n, c[0]);
		step();
	}
	close(fd);
}

static void flags(void)
{
	int fd = pair(), n = -1;
	char b[100] = "";

	if (g_server) {
		step();
		result("send", send(fd, "0123456789", 10, 0));
		step();
		result("send", send(fd, "abcde", 5, 0));
		usleep(50000);
		result("send", send(fd, "fghij", 5, 0));
		step();
		result("send", send(fd, "klmnopqrst", 10, 0));
		step();
		step();
	} else {
		result("recv with nothing", recv(fd, b, 1, MSG_DONTWAIT) < 0 ? 0 : 1);
		step();
		poll_for("readable", fd, POLLIN, 60000);
		result("peek", recv(fd, b, 4, MSG_PEEK));
		struct iovec iov[2] = { { b, 2 }, { b + 50, 20 } };
		struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
		result("peek of two", recvmsg(fd, &m, MSG_PEEK));
		say("%.2s %.8s", b, b + 50);
		ioctl(fd, FIONREAD, &n);
		say("FIONREAD %d", n);
		result("recv", recv(fd, b, 4, 0));
		poll_for("still readable", fd, POLLIN, 0);
		result("recv the rest", recv(fd, b, 6, 0));
		poll_for("nothing left", fd, POLLIN, 0);
		result("read none", read(fd, b, 0));
		step();
		memset(b, 0, sizeof b);
		result("wait for all", recv(fd, b, 10, MSG_WAITALL));
		say("%s", b);
		step();
		if (g_tcp) {
			poll_for("readable", fd, POLLIN, 60000);
			result("dropped", recv(fd, NULL, 5, MSG_TRUNC));
		} else {
			result("recv", recv(fd, b, 5, 0));
		}
		memset(b, 0, sizeof b);
		result("recv", recv(fd, b, 20, 0));
		say("%s", b);
		result("out of band", g_tcp ? recv(fd, b, 1, MSG_OOB) : -1);
		step();
		result("EFAULT", recv(fd, b, 10, MSG_DONTWAIT));
		step();
	}
	close(fd);
}

static void full(void)
{
	int fd = pair();
	static char b[65536];
	long total = 0, n;

	nonblock(fd);
	if (g_server) {
		step();
		long want = 0;
		if (read(g_control, &want, sizeof want) != sizeof want)
			say("no number");
		while (total < want) {
			n = read(fd, b, sizeof b);
			if (n > 0)
				total += n;
			else
				poll_for("", fd, POLLIN, 100);
			if (n == 0)
				break;
		}
		say("all came: %d", total == want);
		step();
	} else {
		poll_now("empty", fd, 0);
		while ((n = write(fd, b, sizeof b)) > 0)
			total += n;
		result("full", n);
		poll_for("no room", fd, POLLOUT, 0);
		int ep = epoll_of(fd, EPOLLOUT | EPOLLET);
		epoll_now("no edge", ep, 0);
		say("more than 64 KiB: %d", total > 65536);
		step();
		if (write(g_control, &total, sizeof total) != sizeof total)
			say("no number");
		epoll_now("edge", ep, 60000);
		epoll_now("no second edge", ep, 0);
		close(ep);
		poll_for("room", fd, POLLOUT, 60000);
		step();
	}
	close(fd);
}

static void level(void)
{
	int fd = pair();
	char b[10];

	if (g_server) {
		step();
		result("send", send(fd, "abcdef", 6, 0));
		step();
		step();
	} else {
		int ep = epoll_of(fd, EPOLLIN);
		epoll_now("nothing", ep, 0);
		step();
		epoll_now("data", ep, 60000);
		step();
		epoll_now("still", ep, 0);
		result("read", read(fd, b, 3));
		epoll_now("the rest", ep, 0);
		result("read", read(fd, b, 3));
		epoll_now("nothing", ep, 0);
		struct epoll_event e = { EPOLLOUT, { 0 } };
		result("mod", epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e));
		epoll_now("out", ep, 0);
		result("del", epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
		epoll_now("none", ep, 0);
		step();
		close(ep);
	}
	close(fd);
}

static void edge(void)
{
	int fd = pair();
	char b[100];

	nonblock(fd);
	if (g_server) {
		for (int i = 0; i < 4; i++) {
			step();
			result("send", send(fd, "abc", 3, 0));
			step();
		}
		step();
	} else {
		int ep = epoll_of(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
		epoll_now("at first", ep, 0);
		epoll_now("no more", ep, 0);
		for (int i = 0; i < 2; i++) {
			step();
			epoll_now("an edge", ep, 60000);
			step();
			epoll_now("no more", ep, 0);
			if (i) /* short read: all there was */
				result("read", read(fd, b, sizeof b));
			else
				while (read(fd, b, 2) > 0)
					;
		}
		close(ep);
		ep = epoll_of(fd, EPOLLIN | EPOLLONESHOT);
		step();
		epoll_now("one shot", ep, 60000);
		step();
		epoll_now("no more", ep, 0);
		step();
		usleep(50000);
		epoll_now("still no more", ep, 0);
		struct epoll_event e = { EPOLLIN | EPOLLONESHOT, { 0 } };
		epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
		epoll_now("armed again", ep, 60000);
		step();
		step();
		close(ep);
	}
	close(fd);
}

/* Every arrival is an edge, also when bytes were left (nginx stops at what FIONREAD told). */
static void unread(void)
{
	int fd = pair();
	char b[10];

	if (g_server) {
		for (int i = 0; i < 3; i++) {
			step();
			result("send", send(fd, "abc", 3, 0));
			step();
		}
	} else {
		int ep = epoll_of(fd, EPOLLIN | EPOLLET);

		for (int i = 0; i < 3; i++) {
			step();
			epoll_now("an edge", ep, 60000);
			step();
			result("read one of them", read(fd, b, 1));
			epoll_now("no more", ep, 0);
		}
		close(ep);
	}
	step();
	close(fd);
}

static void halves(void)
{
	int fd = pair();
	char b[10];

	if (g_server) {
		result("send", send(fd, "last", 4, 0));
		result("shutdown", shutdown(fd, SHUT_WR));
		result("send behind it", send(fd, "x", 1, MSG_NOSIGNAL));
		step();
		result("recv", recv(fd, b, 10, 0));
		step();
		poll_for("both ended", fd, POLLIN, 60000);
		poll_now("both ended", fd, 0);
		result("recv", recv(fd, b, 10, 0));
		step();
	} else {
		step();
		int ep = epoll_of(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
		epoll_now("ended with data", ep, 60000);
		result("recv", recv(fd, b, 10, 0));
		result("end", recv(fd, b, 10, 0));
		result("end", recv(fd, b, 10, 0));
		poll_now("ended", fd, 0);
		result("send the other way", send(fd, "reply", 5, 0));
		step();
		result("shutdown", shutdown(fd, SHUT_WR));
		epoll_now("both ended", ep, 60000);
		step();
		close(ep);
	}
	close(fd);
	fd = pair();
	if (g_server) {
		step();
		close(fd);
		step();
	} else {
		int ep = epoll_of(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
		epoll_now("open", ep, 0);
		step();
		epoll_now("closed", ep, 60000);
		step();
		result("end", recv(fd, b, 10, 0));
		close(ep);
		int n = 0;
		while (send(fd, "x", 1, MSG_NOSIGNAL) == 1 && n++ < 100)
			usleep(10000);
		result("send in the end", -1);
		close(fd);
	}
	if (g_server)
		close(-1);
}

static volatile int g_signals;
static void on_signal(int n)
{
	(void)n;
	g_signals++;
}

static void reset(void)
{
	int fd = pair(), e = -1;
	socklen_t size = sizeof e;
	char b[10];

	if (g_server) {
		step();
		poll_for("readable", fd, POLLIN, 60000);
		close(fd); /* with bytes unread */
		step();
		fd = pair();
		step();
		poll_for("readable", fd, POLLIN, 60000);
		close(fd);
		step();
		return;
	}
	result("send", send(fd, "unread", 6, 0));
	step();
	step();
	poll_for("reset", fd, POLLIN, 60000);
	result("recv", recv(fd, b, 10, 0));
	result("recv again", recv(fd, b, 10, 0));
	result("send", send(fd, "x", 1, MSG_NOSIGNAL));
	signal(SIGPIPE, on_signal);
	result("write", write(fd, "x", 1));
	say("signals %d", g_signals);
	signal(SIGPIPE, SIG_DFL);
	close(fd);
	fd = pair();
	result("send", send(fd, "unread", 6, 0));
	step();
	step();
	poll_for("reset", fd, POLLIN, 60000);
	result("SO_ERROR", getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &size));
	say("%s", strerrorname_np(e));
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &size);
	say("then %d", e);
	result("recv", recv(fd, b, 10, 0));
	close(fd);
}

static long elapsed(struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - from->tv_sec) * 1000 + (now.tv_nsec - from->tv_nsec) / 1000000;
}

static void timeouts(void)
{
	int fd = pair();
	static char b[1 << 20];
	struct timespec start;

	if (!g_server) {
		struct timeval tv = { 0, 100000 }, back;
		socklen_t size = sizeof back;
		result("SO_RCVTIMEO", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
		result("SO_SNDTIMEO", setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv));
		getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &back, &size);
		say("%ld %ld", back.tv_sec, back.tv_usec);
		clock_gettime(CLOCK_MONOTONIC, &start);
		result("recv", recv(fd, b, 10, 0));
		say("waited: %d", elapsed(&start) >= 100);
		while (send(fd, b, sizeof b, 0) > 0)
			;
		clock_gettime(CLOCK_MONOTONIC, &start);
		result("send when full", send(fd, b, sizeof b, 0));
		say("waited: %d", elapsed(&start) >= 100);
		clock_gettime(CLOCK_MONOTONIC, &start);
		poll_for("poll", fd, POLLIN, 100);
		say("waited: %d", elapsed(&start) >= 100);
		fd_set set;
		FD_ZERO(&set);
		FD_SET(fd, &set);
		result("select", select(fd + 1, &set, NULL, NULL, &(struct timeval){ 0, 50000 }));
	}
	step();
	close(fd);
	fd = pair();
	if (g_server) {
		step();
		usleep(100000);
		result("send", send(fd, "x", 1, 0));
		step();
	} else {
		struct sigaction a = { .sa_handler = on_signal };
		g_signals = 0;
		sigaction(SIGALRM, &a, NULL);
		ualarm(50000, 50000); /* one alone might come before the call */
		result("interrupted", recv(fd, b, 10, 0));
		ualarm(0, 0);
		int before = g_signals;
		a.sa_flags = SA_RESTART;
		sigaction(SIGALRM, &a, NULL);
		step();
		ualarm(50000, 50000);
		result("restarted", recv(fd, b, 10, 0));
		while (g_signals == before)
			usleep(1000);
		ualarm(0, 0);
		say("signals %d", before > 0 && g_signals > before);
		signal(SIGALRM, SIG_DFL);
		fd_set in, out;
		FD_ZERO(&in);
		FD_ZERO(&out);
		FD_SET(fd, &in);
		FD_SET(fd, &out);
		result("select", select(fd + 1, &in, &out, NULL, &(struct timeval){ 5, 0 }));
		say("in %d out %d", FD_ISSET(fd, &in) != 0, FD_ISSET(fd, &out) != 0);
		step();
	}
	close(fd);
}

static void option(int fd, const char *what, int level, int name, int value)
{
	int back = -1;
	socklen_t size = sizeof back;
	long r = value < 0 ? 0 : setsockopt(fd, level, name, &value, sizeof value);

	if (r)
		result(what, r);
	r = getsockopt(fd, level, name, &back, &size);
	if (r)
		result(what, r);
	else
		say("%s %d %u", what, back, size);
}

static void options(void)
{
	int fd = pair();

	option(fd, "SO_TYPE", SOL_SOCKET, SO_TYPE, -1);
	option(fd, "SO_DOMAIN", SOL_SOCKET, SO_DOMAIN, -1);
	option(fd, "SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL, -1);
	option(fd, "SO_ERROR", SOL_SOCKET, SO_ERROR, -1);
	option(fd, "SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN, -1);
	option(g_server ? g_listener : fd, "SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN, -1);
	if (g_tcp) {
		option(fd, "SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, 1);
		option(fd, "SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, 1);
		option(fd, "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 1);
		option(fd, "TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 60);
		option(fd, "TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, 3);
		option(fd, "TCP_CORK", IPPROTO_TCP, TCP_CORK, 0);
		option(fd, "IP_TOS", IPPROTO_IP, IP_TOS, 16);
		struct tcp_info info;
		socklen_t size = sizeof info;
		result("TCP_INFO", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
		say("state %d", info.tcpi_state);
	} else {
		option(fd, "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 1);
	}
	option(fd, "SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, 100000);
	option(fd, "SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, 1 << 16);
	option(fd, "no such option", SOL_SOCKET, 12345, 1);
	struct linger l = { 1, 5 }, back = { 0, 0 };
	socklen_t size = sizeof back;
	result("SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l));
	getsockopt(fd, SOL_SOCKET, SO_LINGER, &back, &size);
	if (g_tcp)
		say("%d %d", back.l_onoff, back.l_linger);
	step();
	close(fd);
}

static void *shut_later(void *p)
{
	usleep(100000);
	result("shutdown", shutdown(*(int *)p, SHUT_RDWR));
	return NULL;
}

static void others(void)
{
	int fd = pair(), copy = dup(fd);
	char b[10];
	pthread_t t;

	close(fd);
	if (g_server) {
		result("send to the copy", send(copy, "hello", 5, 0));
		step();
		result("the end", recv(copy, b, 10, 0));
		step();
	} else {
		result("recv at the copy", recv(copy, b, 10, 0));
		step();
		pthread_create(&t, NULL, shut_later, &copy);
		ssize_t n = recv(copy, b, 10, 0);
		pthread_join(t, NULL);
		result("woken by a shutdown", n);
		step();
	}
	close(copy);
}

/* Watched before it is connected; connected without waiting. */
static void early(void)
{
	int fd, e = -1, ep = -1;
	socklen_t size = sizeof e;
	char b[10];

	if (g_server) {
		fd = pair();
		result("send", send(fd, "hi", 2, 0));
	} else {
		fd = open_socket(SOCK_NONBLOCK);
		ep = epoll_of(fd, EPOLLIN | EPOLLOUT);
		if (connect(fd, &g_address.sa, g_size) && errno != EINPROGRESS)
			result("connect", -1);
		poll_for("connected", fd, POLLOUT, 60000);
		result("SO_ERROR", getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &size));
		say("%d", e);
		poll_for("readable", fd, POLLIN, 60000);
		epoll_now("in the epoll", ep, 60000);
		result("recv", recv(fd, b, 10, 0));
		epoll_now("in the epoll", ep, 60000);
		close(ep);
	}
	step();
	close(fd);
}

#define MANY 300
static void many(void)
{
	int fd[MANY], got = 0, seen[MANY] = { 0 }, both = 0;
	char b[4];

	if (g_server) {
		step();
		for (int i = 0; i < MANY; i++)
			fd[i] = accept(g_listener, NULL, NULL);
		for (int i = 0; i < MANY; i++) {
			unsigned n = 0;
			if (read(fd[i], &n, 4) == 4 && n < MANY && !seen[n]++)
				got++;
			if (write(fd[i], &n, 4) != 4)
				say("write failed");
		}
		say("connections %d", got);
	} else {
		step();
		for (int i = 0; i < MANY; i++) {
			fd[i] = open_socket(g_tcp ? SOCK_NONBLOCK : 0);
			if (connect(fd[i], &g_address.sa, g_size) && errno != EINPROGRESS)
				result("connect", -1);
		}
		for (int i = 0; i < MANY; i++) {
			struct pollfd p = { fd[i], POLLOUT, 0 };
			if (poll(&p, 1, 20000) != 1 || write(fd[i], &i, 4) != 4)
				result("write", -1);
		}
		for (int i = 0; i < MANY; i++) {
			struct pollfd p = { fd[i], POLLIN, 0 };
			int n = -1;
			if (poll(&p, 1, 20000) == 1 && read(fd[i], &n, 4) == 4 && n == i)
				both++;
		}
		say("answers %d", both);
	}
	step();
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	(void)b;
}

#define BULK (24l << 20)
static unsigned g_seed = 1;
static unsigned number(void)
{
	return g_seed = g_seed * 1664525 + 1013904223;
}

/* Both directions at once, in pieces of any size, through poll; every byte is checked. */
static void bulk(void)
{
	int fd = pair();
	static unsigned char out[100000], in[100000];
	long sent = 0, got = 0, wrong = 0;

	nonblock(fd);
	while (sent < BULK || got < BULK) {
		struct pollfd p = { fd, (short)((sent < BULK ? POLLOUT : 0) | (got < BULK ? POLLIN : 0)), 0 };
		poll(&p, 1, -1);
		if (p.revents & POLLOUT) {
			long n = 1 + number() % sizeof out;
			if (n > BULK - sent)
				n = BULK - sent;
			for (long i = 0; i < n; i++)
				out[i] = (unsigned char)((sent + i) * 7 ^ (sent + i) >> 13);
			n = write(fd, out, (size_t)n);
			if (n > 0)
				sent += n;
		}
		if (p.revents & POLLIN) {
			long n = read(fd, in, 1 + number() % sizeof in);
			for (long i = 0; i < n; i++)
				wrong += in[i] != (unsigned char)((got + i) * 7 ^ (got + i) >> 13);
			if (n > 0)
				got += n;
			if (n == 0)
				break;
		}
	}
	say("sent %ld got %ld wrong %ld", sent, got, wrong);
	step();
	close(fd);
}

#define WORKERS 4
#define CLIENTS 40
#define ROUNDS 100
static int g_ep;

static void *worker(void *p)
{
	struct epoll_event e;
	char b[64];

	while (epoll_wait(g_ep, &e, 1, -1) == 1) {
		int fd = e.data.fd;
		ssize_t n;

		if (fd == -1)
			break;
		while ((n = read(fd, b, sizeof b)) > 0)
			if (write(fd, b, (size_t)n) != n)
				say("write failed");
		e.events = EPOLLIN | EPOLLET | EPOLLONESHOT;
		if (n == 0)
			epoll_ctl(g_ep, EPOLL_CTL_DEL, fd, NULL);
		else
			epoll_ctl(g_ep, EPOLL_CTL_MOD, fd, &e);
	}
	return p;
}

static void *talker(void *p)
{
	int fd = *(int *)p;
	long good = 0;

	for (int i = 0; i < ROUNDS; i++) {
		int n = 0;
		if (write(fd, &i, 4) == 4 && recv(fd, &n, 4, MSG_WAITALL) == 4 && n == i)
			good++;
	}
	return (void *)good;
}

/* Threads share an epoll at one end, and block at the other. */
static void threads(void)
{
	int fd[CLIENTS];
	pthread_t t[CLIENTS];
	long good = 0;

	for (int i = 0; i < CLIENTS; i++)
		fd[i] = pair();
	if (g_server) {
		int end = eventfd(1, 0);
		g_ep = epoll_create1(0);
		for (int i = 0; i < CLIENTS; i++) {
			struct epoll_event e = { EPOLLIN | EPOLLET | EPOLLONESHOT, { .fd = fd[i] } };
			nonblock(fd[i]);
			epoll_ctl(g_ep, EPOLL_CTL_ADD, fd[i], &e);
		}
		for (int i = 0; i < WORKERS; i++)
			pthread_create(&t[i], NULL, worker, NULL);
		step();
		struct epoll_event e = { EPOLLIN, { .fd = -1 } };
		epoll_ctl(g_ep, EPOLL_CTL_ADD, end, &e);
		for (int i = 0; i < WORKERS; i++)
			pthread_join(t[i], NULL);
		close(g_ep);
		close(end);
		say("workers ended");
	} else {
		for (int i = 0; i < CLIENTS; i++)
			pthread_create(&t[i], NULL, talker, &fd[i]);
		for (int i = 0; i < CLIENTS; i++) {
			void *r;
			pthread_join(t[i], &r);
			good += (long)r;
		}
		say("answers %ld", good);
		step();
	}
	step();
	for (int i = 0; i < CLIENTS; i++)
		close(fd[i]);
}

static void *sleeper(void *p)
{
	struct epoll_event e;

	while (epoll_wait(g_ep, &e, 1, -1) == 1) {
		char b[64];
		ssize_t n = read(e.data.fd, b, sizeof b);

		if (n <= 0)
			break;
		if (write(e.data.fd, b, (size_t)n) != n)
			say("write failed");
	}
	return p;
}

/* Threads that sleep in an epoll before there is any connection to be put into it. */
static void sleepers(void)
{
	pthread_t t[2];
	int fd, n = 0;

	if (g_server) {
		g_ep = epoll_create1(0);
		int dummy = eventfd(0, 0);
		struct epoll_event e = { EPOLLIN, { .fd = dummy } };
		epoll_ctl(g_ep, EPOLL_CTL_ADD, dummy, &e);
		for (int i = 0; i < 2; i++)
			pthread_create(&t[i], NULL, sleeper, NULL);
		usleep(100000);
		fd = pair();
		e = (struct epoll_event){ EPOLLIN, { .fd = fd } };
		epoll_ctl(g_ep, EPOLL_CTL_ADD, fd, &e);
		for (int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
		say("both ended");
		close(dummy);
		close(g_ep);
	} else {
		fd = pair();
		for (int i = 0; i < 200; i++) {
			int back = -1;
			if (i % 50 == 0)
				usleep(20000);
			if (write(fd, &i, 4) == 4 && recv(fd, &back, 4, MSG_WAITALL) == 4 && back == i)
				n++;
		}
		say("answers %d", n);
		shutdown(fd, SHUT_WR);
	}
	step();
	close(fd);
}

#define WAKES 200
#define WAITS 40
static pthread_t g_waiter;
static int g_pipe[2];
static atomic_int g_stage; /* bytes come, signals come, the end */
enum { BYTES, SIGNALS, OVER };

static void *waker(void *p)
{
	while (g_stage != OVER) {
		if (g_stage == BYTES)
			(void)!write(g_pipe[1], "x", 1);
		if (g_stage == SIGNALS) {
			usleep(1000);
			pthread_kill(g_waiter, SIGUSR1);
		}
	}
	return p;
}

/* A thread that was woken more often than it slept waits for a connection, until a signal comes. */
static void interrupted(void)
{
	struct epoll_event e;
	int fd = pair(), ep = epoll_of(fd, EPOLLIN), ended = 0;
	struct sigaction old, action = { .sa_handler = on_signal };
	pthread_t t;

	if (g_server) {
		sigaction(SIGUSR1, &action, &old);
		g_waiter = pthread_self();
		if (pipe2(g_pipe, O_NONBLOCK))
			say("no pipe");
		g_stage = BYTES;
		pthread_create(&t, NULL, waker, NULL);
		for (int i = 0; i < WAITS; i++) {
			g_stage = BYTES;
			for (int k = 0; k < WAKES; k++) {
				struct pollfd p = { .fd = g_pipe[0], .events = POLLIN };
				char byte;

				(void)!(poll(&p, 1, -1) == 1 && read(g_pipe[0], &byte, 1));
			}
			g_stage = SIGNALS;
			ended += epoll_wait(ep, &e, 1, -1) < 0 && errno == EINTR;
		}
		g_stage = OVER;
		pthread_join(t, NULL);
		close(g_pipe[0]);
		close(g_pipe[1]);
		sigaction(SIGUSR1, &old, NULL);
		say("ended by a signal: %d", ended);
	}
	step();
	close(ep);
	close(fd);
}

static void control_data(void)
{
	int fd = pair();
	char space[CMSG_SPACE(sizeof(struct ucred))] = "", b[10];
	struct iovec iov = { "x", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	if (g_server) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = 77;
		c->cmsg_len = CMSG_LEN(4);
		result("unknown control data", sendmsg(fd, &m, 0));
		m.msg_control = NULL;
		m.msg_controllen = 0;
		result("none", sendmsg(fd, &m, 0));
	} else {
		m.msg_iov->iov_base = b;
		result("recvmsg", recvmsg(fd, &m, 0));
		say("control %zu flags %x", (size_t)m.msg_controllen, m.msg_flags);
	}
	step();
	close(fd);
}

static void set_address(const char *name)
{
	g_tcp = name[0] != '/';
	if (g_tcp) {
		g_address.in.sin_family = AF_INET;
		g_address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		g_address.in.sin_port = htons((uint16_t)atoi(name));
		g_size = sizeof g_address.in;
	} else {
		g_address.un.sun_family = AF_UNIX;
		strcpy(g_address.un.sun_path, name);
		g_size = sizeof g_address.un;
	}
}

static void start(void)
{
	int one = 1;

	if (g_server) {
		g_listener = open_socket(0);
		setsockopt(g_listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		result("bind", bind(g_listener, &g_address.sa, g_size));
		result("listen", listen(g_listener, 100));
		g_control = accept(g_listener, NULL, NULL);
	} else {
		for (;;) {
			g_control = open_socket(0);
			if (!connect(g_control, &g_address.sa, g_size))
				break;
			close(g_control);
			usleep(20000);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} scenario[] = { { "names", names },	     { "vectors", vectors },   { "flags", flags },	 { "full", full },
			 { "level", level },	     { "edge", edge },	       { "unread", unread },	 { "halves", halves },	 { "reset", reset },
			 { "timeouts", timeouts },   { "options", options },   { "others", others },	 { "early", early },
			 { "many", many },	     { "bulk", bulk },	       { "threads", threads },
			 { "sleepers", sleepers },     { "interrupted", interrupted },
			 { "control data", control_data } };

	if (argc < 3)
		return 2;
	g_server = !strcmp(argv[1], "server");
	g_end = g_server ? 's' : 'c';
	set_address(argv[2]);
	alarm(200);
	start();
	for (unsigned i = 0; i < sizeof scenario / sizeof scenario[0]; i++) {
		if (argc > 3 && strcmp(argv[3], scenario[i].name))
			continue;
		step();
		say("== %s", scenario[i].name);
		scenario[i].run();
	}
	say("end");
	close(g_control);
	return 0;
}
