/*
 * TCP over loopback: connection in all ways, data, options, shutdown, errors.
 * Options: --net any
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void say(const char *what, long r)
{
	printf("%s: %ld%s%s\n", what, r, r < 0 ? " " : "", r < 0 ? strerrorname_np(errno) : "");
}

static int ready(int fd, int events, int timeout)
{
	struct pollfd p = { fd, (short)events, 0 };

	poll(&p, 1, timeout);
	return p.revents;
}

union any {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static int listener(int family, union any *a, socklen_t *size)
{
	int l = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	memset(a, 0, sizeof *a);
	a->sa.sa_family = (sa_family_t)family;
	*size = family == AF_INET ? sizeof a->in : sizeof a->in6;
	if (family == AF_INET)
		a->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		a->in6.sin6_addr = in6addr_loopback;
	say("reuseaddr", setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
	say("bind", bind(l, &a->sa, *size));
	say("listen", listen(l, 100));
	say("getsockname", getsockname(l, &a->sa, size));
	printf("size %u port given %d\n", *size, a->in.sin_port != 0);
	return l;
}

static void *echo(void *arg)
{
	int c = *(int *)arg;
	char buf[5000];
	ssize_t n;

	while ((n = read(c, buf, sizeof buf)) > 0)
		for (ssize_t done = 0; done < n;)
			done += write(c, buf + done, (size_t)(n - done));
	shutdown(c, SHUT_WR);
	return NULL;
}

static void talk(int family)
{
	union any a, b;
	socklen_t size, bs = sizeof b;
	int l = listener(family, &a, &size), c = socket(family, SOCK_STREAM, 0), n, v;
	char buf[64] = "";
	pthread_t t;
	struct stat st;

	printf("-- family %d\n", family);
	say("connect", connect(c, &a.sa, size));
	say("connect again", connect(c, &a.sa, size));
	n = accept4(l, &b.sa, &bs, SOCK_NONBLOCK | SOCK_CLOEXEC);
	printf("accepted %d size %u loopback %d\n", n >= 0, bs, family != AF_INET || ntohl(b.in.sin_addr.s_addr) == 0x7f000001);
	printf("flags %d %d\n", fcntl(n, F_GETFD), (fcntl(n, F_GETFL) & O_NONBLOCK) != 0);
	say("nothing yet", recv(n, buf, 10, 0));
	fstat(n, &st);
	printf("socket %d\n", S_ISSOCK(st.st_mode));
	say("seek", lseek(n, 0, SEEK_CUR));
	say("nodelay", setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof v));
	size = sizeof v;
	say("get", getsockopt(c, IPPROTO_TCP, TCP_NODELAY, &v, &size));
	printf("nodelay %d\n", v);
	getsockopt(c, SOL_SOCKET, SO_TYPE, &v, &size);
	printf("type %d\n", v);
	getsockopt(c, SOL_SOCKET, SO_ERROR, &v, &size);
	printf("error %d\n", v);
	getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &v, &size);
	printf("acceptconn %d\n", v);
	struct iovec iov[3] = { { "one", 3 }, { " two", 4 }, { " three", 6 } };
	say("writev", writev(c, iov, 3));
	printf("poll %#x\n", ready(n, POLLIN | POLLOUT, 60000));
	ioctl(n, FIONREAD, &v);
	printf("waiting %d\n", v);
	say("peek", recv(n, buf, 5, MSG_PEEK));
	struct iovec in[2] = { { buf, 4 }, { buf + 20, 20 } };
	struct msghdr m = { .msg_iov = in, .msg_iovlen = 2 };
	say("recvmsg", recvmsg(n, &m, 0));
	printf("%.4s|%s flags %#x\n", buf, buf + 20, m.msg_flags);
	v = 0;
	ioctl(n, FIONBIO, &v);
	pthread_create(&t, NULL, echo, &n);
	long total = 0, wrong = 0;
	static char out[200000], back[200000];
	for (size_t i = 0; i < sizeof out; i++)
		out[i] = (char)(i * 7 >> 4);
	for (int round = 0; round < 20; round++) {
		size_t size_now = 1 + (size_t)round * 997;

		total += send(c, out, size_now, 0);
		recv(c, back, size_now, MSG_WAITALL);
		wrong += memcmp(out, back, size_now) != 0;
	}
	printf("echoed %ld, wrong %ld\n", total, wrong);
	say("shutdown", shutdown(c, SHUT_WR));
	say("end", recv(c, buf, 1, 0));
	pthread_join(t, NULL);
	say("send after shutdown", send(c, "x", 1, MSG_NOSIGNAL));
	close(n);
	close(c);
	close(l);
}

static volatile sig_atomic_t g_pipes;

static void on_pipe(int sig)
{
	(void)sig;
	g_pipes++;
}

static void nonblocking(void)
{
	union any a;
	socklen_t size;
	int l = listener(AF_INET, &a, &size), c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), v;
	static char big[1 << 20];
	long total = 0, n;

	printf("-- nonblocking\n");
	fcntl(l, F_SETFL, O_NONBLOCK);
	say("accept", accept(l, NULL, NULL));
	int r = connect(c, &a.sa, size);
	printf("connect %s\n", r == 0 || errno == EINPROGRESS ? "under way" : strerror(errno));
	printf("poll %#x %#x\n", ready(c, POLLOUT, 60000), ready(l, POLLIN, 60000));
	size = sizeof v;
	getsockopt(c, SOL_SOCKET, SO_ERROR, &v, &size);
	printf("error %d\n", v);
	int s = accept(l, NULL, NULL);
	while ((n = write(c, big, sizeof big)) > 0)
		total += n;
	say("full", n);
	while (total > 0 && (n = read(s, big, sizeof big)) > 0)
		total -= n;
	printf("left %ld, poll %#x\n", total, ready(c, POLLOUT, 60000));
	close(s);
	printf("poll %#x\n", ready(c, POLLIN | POLLRDHUP, 60000));
	say("end", read(c, big, 1));
	signal(SIGPIPE, on_pipe);
	do {
		n = write(c, "x", 1);
		usleep(1000);
	} while (n > 0 || errno == ECONNRESET);
	say("write", n);
	say("send", send(c, "x", 1, MSG_NOSIGNAL));
	say("sendmsg", sendmsg(c, &(struct msghdr){ .msg_iov = &(struct iovec){ "x", 1 }, .msg_iovlen = 1 }, 0));
	printf("SIGPIPE %d\n", (int)g_pipes);
	close(c);
	close(l);
	c = socket(AF_INET, SOCK_STREAM, 0);
	size = sizeof a.in;
	say("refused", connect(c, &a.sa, size));
	close(c);
}

static void say_priority(const char *when, int s)
{
	int value = -1;
	socklen_t size = sizeof value;

	getsockopt(s, SOL_SOCKET, SO_PRIORITY, &value, &size);
	printf("priority %s: %d of %d bytes\n", when, value, (int)size);
}

static void priority(int s)
{
	say_priority("at first", s);
	say("priority 6", setsockopt(s, SOL_SOCKET, SO_PRIORITY, &(int){ 6 }, sizeof(int)));
	say_priority("then", s);
	say("type of service", setsockopt(s, IPPROTO_IP, IP_TOS, &(int){ IPTOS_LOWDELAY }, sizeof(int)));
	say_priority("by type of service", s);
	say("priority 0", setsockopt(s, SOL_SOCKET, SO_PRIORITY, &(int){ 0 }, sizeof(int)));
	say_priority("again", s);
	say("too short", setsockopt(s, SOL_SOCKET, SO_PRIORITY, &(int){ 1 }, 2));
	say("nowhere", setsockopt(s, SOL_SOCKET, SO_PRIORITY, (void *)8, sizeof(int)));
	say_priority("still", s);
}

static void errors(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int s = socket(AF_INET, SOCK_STREAM, 0), l = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t size = sizeof a;
	char c;

	printf("-- errors\n");
	say("family", socket(200, SOCK_STREAM, 0));
	say("flags", socket(AF_INET, SOCK_STREAM | 0x100000, 0));
	say("not open", connect(999, (void *)&a, sizeof a));
	say("not a socket", bind(0, (void *)&a, sizeof a));
	say("bad address", connect(s, (void *)8, sizeof a));
	say("short address", connect(s, (void *)&a, 1));
	say("short address", bind(s, (void *)&a, 8));
	say("huge address", bind(s, (void *)&a, 1000));
	say("peer", getpeername(s, (void *)&a, &size));
	say("recv", recv(s, &c, 1, 0));
	say("send", send(s, &c, 1, MSG_NOSIGNAL));
	say("shutdown", shutdown(s, SHUT_RDWR));
	say("accept", accept(s, NULL, NULL));
	say("bind", bind(l, (void *)&a, sizeof a));
	say("listen", listen(l, 1));
	getsockname(l, (void *)&a, &size);
	say("in use", bind(s, (void *)&a, sizeof a));
	say("bad option", setsockopt(s, IPPROTO_TCP, 9999, &(int){ 1 }, sizeof(int)));
	size = sizeof(int);
	void *nowhere = (void *)8;
	say("bad option buffer", getsockopt(s, SOL_SOCKET, SO_RCVBUF, nowhere, &size));
	priority(s);
	struct timeval tv = { 0, 30000 }, got;
	say("timeout", setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
	size = sizeof got;
	getsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &got, &size);
	printf("timeout %ld.%06ld\n", (long)got.tv_sec, (long)got.tv_usec);
	say("accept times out", accept(l, NULL, NULL));
	close(l);
	close(s);
}

/* What a stream takes no address for, and options of other protocols. */
static void addresses(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } }, other = a;
	int l = socket(AF_INET, SOCK_STREAM, 0), s = socket(AF_INET, SOCK_STREAM, 0), fd, value, udp = socket(AF_INET, SOCK_DGRAM, 0);
	static const int levels[] = { 500, IPPROTO_UDP, IPPROTO_TCP, IPPROTO_IP, IPPROTO_IPV6 };
	socklen_t size = sizeof a;
	char buf[8] = "";
	struct iovec iov = { "msg", 3 };
	struct msghdr m = { .msg_name = &other, .msg_namelen = sizeof other, .msg_iov = &iov, .msg_iovlen = 1 };

	printf("-- addresses\n");
	other.sin_port = htons(9);
	if (bind(l, (void *)&a, sizeof a) || listen(l, 1) || getsockname(l, (void *)&a, &size) || connect(s, (void *)&a, size))
		return;
	fd = accept(l, NULL, NULL);
	say("to another", sendto(s, "one", 3, 0, (void *)&other, sizeof other));
	say("to the same", sendto(s, "two", 3, 0, (void *)&a, sizeof a));
	say("too short", sendto(s, "six", 3, 0, (void *)&a, 1));
	say("not there", sendto(s, "no", 2, 0, (void *)8, sizeof a));
	say("message", sendmsg(s, &m, 0));
	size = sizeof other;
	say("from", recvfrom(fd, buf, 3, MSG_WAITALL, (void *)&other, &size));
	printf("%s, size of the address %u\n", buf, size);
	size = sizeof other;
	say("to no memory", recvfrom(fd, buf, 3, MSG_WAITALL, (void *)8, &size));
	printf("%s, size of the address %u\n", buf, size);
	for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++)
		for (int set = 0; set < 2; set++) {
			size = sizeof value;
			printf("%s level %d, ", set ? "set" : "get", levels[i]);
			say("stream", set ? setsockopt(s, levels[i], 9999, &value, size) : getsockopt(s, levels[i], 9999, &value, &size));
			printf("%s level %d, ", set ? "set" : "get", levels[i]);
			say("datagram", set ? setsockopt(udp, levels[i], 9999, &value, size) : getsockopt(udp, levels[i], 9999, &value, &size));
		}
	say("accept of datagrams", accept(udp, NULL, NULL));
	say("listen for datagrams", listen(udp, 1));
	close(fd);
	close(l);
	close(s);
	close(udp);
}

static void names(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *res;
	int r = getaddrinfo("127.0.0.1", "80", &hints, &res);

	printf("-- names\ngetaddrinfo %d family %d\n", r, r ? 0 : res->ai_family);
	hints.ai_flags = AI_ADDRCONFIG;
	hints.ai_family = AF_INET;
	r = getaddrinfo("localhost", "80", &hints, &res);
	printf("localhost %d %s\n", r, r ? "" : inet_ntoa(((struct sockaddr_in *)res->ai_addr)->sin_addr));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	talk(AF_INET);
	talk(AF_INET6);
	nonblocking();
	errors();
	addresses();
	names();
	return 0;
}
