/*
 * Control data of UDP and TCP sockets: what is asked for comes with each datagram and is cut to the room there is; what is sent says
 * where from, with how many hops and which traffic class, and what is wrong is refused as on Linux.
 * Options: --net any
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

static char g_control[512];

static const char *error(long ret)
{
	return ret < 0 ? strerror(errno) : "ok";
}

static void set(int s, int level, int name, const char *what)
{
	int on = 1, value = 0;
	socklen_t size = sizeof value;
	int ret = setsockopt(s, level, name, &on, sizeof on);

	printf("%s: %s", what, error(ret));
	ret = getsockopt(s, level, name, &value, &size);
	printf(", %s %d\n", error(ret), value);
}

/* A bound socket, with its address. */
static int bound(int family, const char *text, union address *a)
{
	int s = socket(family, SOCK_DGRAM, 0);
	socklen_t size = sizeof *a;

	memset(a, 0, sizeof *a);
	a->any.sa_family = (sa_family_t)family;
	inet_pton(family, text, family == AF_INET ? (void *)&a->four.sin_addr : (void *)&a->six.sin6_addr);
	if (bind(s, &a->any, family == AF_INET ? sizeof a->four : sizeof a->six) || getsockname(s, &a->any, &size))
		printf("bind %s: %s\n", text, strerror(errno));
	return s;
}

static void print_address(const char *what, const union address *a)
{
	char text[64] = "?";

	inet_ntop(a->any.sa_family, a->any.sa_family == AF_INET ? (void *)&a->four.sin_addr : (void *)&a->six.sin6_addr, text, sizeof text);
	printf(" %s %s", what, text);
}

static void print_piece(struct cmsghdr *c)
{
	void *data = CMSG_DATA(c);
	union address a = { .any.sa_family = c->cmsg_level == IPPROTO_IP ? AF_INET : AF_INET6 };
	int number = 0;

	memcpy(&number, data, c->cmsg_len - CMSG_LEN(0) < sizeof number ? c->cmsg_len - CMSG_LEN(0) : sizeof number);
	printf(" [%d/%d, %zu bytes:", c->cmsg_level, c->cmsg_type, c->cmsg_len);
	if (c->cmsg_level == SOL_SOCKET) {
		struct timeval now;

		gettimeofday(&now, NULL);
		printf(" %s", now.tv_sec - ((struct timeval *)data)->tv_sec < 60 ? "now" : "long ago");
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO && c->cmsg_len == CMSG_LEN(sizeof(struct in_pktinfo))) {
		struct in_pktinfo *info = data;

		a.four.sin_addr = info->ipi_addr;
		print_address("to", &a);
		a.four.sin_addr = info->ipi_spec_dst;
		print_address("at", &a);
		printf(" by %d", info->ipi_ifindex);
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO && c->cmsg_len == CMSG_LEN(sizeof(struct in6_pktinfo))) {
		struct in6_pktinfo *info = data;

		a.six.sin6_addr = info->ipi6_addr;
		print_address("to", &a);
		printf(" by %d", info->ipi6_ifindex);
	} else {
		printf(" %d", number);
	}
	printf("]");
}

static void receive(int s, size_t room)
{
	char text[16];
	union address from = { .any.sa_family = 0 };
	struct iovec iov = { text, sizeof text };
	struct msghdr m = { &from, sizeof from, &iov, 1, g_control, room, 0 };
	ssize_t n;

	memset(g_control, 0x55, sizeof g_control);
	n = recvmsg(s, &m, 0);
	printf("  %zd bytes, control %zu of %zu, flags %x", n, (size_t)m.msg_controllen, room, m.msg_flags);
	print_address("from", &from);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		print_piece(c);
	printf("\n");
}

static struct msghdr g_message;
static struct iovec g_text = { "text", 4 };

static void begin(const union address *to)
{
	memset(g_control, 0, sizeof g_control);
	g_message = (struct msghdr){ (void *)to, to ? (to->any.sa_family == AF_INET ? sizeof to->four : sizeof to->six) : 0, &g_text, 1, g_control, 0, 0 };
}

static void say(int level, int type, const void *data, size_t size)
{
	struct cmsghdr *c = (struct cmsghdr *)(g_control + g_message.msg_controllen);

	*c = (struct cmsghdr){ CMSG_LEN(size), level, type };
	memcpy(CMSG_DATA(c), data, size);
	g_message.msg_controllen += CMSG_SPACE(size);
}

static void say_number(int level, int type, int number)
{
	say(level, type, &number, sizeof number);
}

static bool go(int s, const char *what)
{
	ssize_t n = sendmsg(s, &g_message, 0);

	printf("%s: %zd %s\n", what, n, error(n));
	return n >= 0;
}

static void four(void)
{
	union address at, from;
	int r = bound(AF_INET, "0.0.0.0", &at), s = bound(AF_INET, "0.0.0.0", &from);
	struct in_pktinfo info = { 0 };
	uint8_t byte = 0x18;

	at.four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	begin(&at);
	go(s, "nothing");
	receive(r, sizeof g_control);
	set(r, IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO");
	set(r, IPPROTO_IP, IP_RECVTTL, "IP_RECVTTL");
	set(r, IPPROTO_IP, IP_RECVTOS, "IP_RECVTOS");
	go(s, "all");
	receive(r, sizeof g_control);
	set(r, SOL_SOCKET, SO_TIMESTAMP, "SO_TIMESTAMP");
	for (size_t room = 0; room < 130; room += 12) {
		go(s, "less room");
		receive(r, room);
	}
	say_number(IPPROTO_IP, IP_TTL, 7);
	go(s, "TTL");
	receive(r, sizeof g_control);
	begin(&at);
	say(IPPROTO_IP, IP_TOS, &byte, 1);
	say_number(IPPROTO_IP, IP_TTL, 255);
	go(s, "TOS of one byte");
	receive(r, sizeof g_control);
	begin(&at);
	inet_pton(AF_INET, "127.1.2.3", &info.ipi_spec_dst);
	say(IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	say_number(IPPROTO_IP, IP_TOS, 0x28);
	go(s, "another source");
	receive(r, sizeof g_control);
	begin(&at);
	info.ipi_ifindex = 1;
	info.ipi_spec_dst.s_addr = 0;
	say(IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	go(s, "by lo");
	receive(r, sizeof g_control);
	connect(s, &at.any, sizeof at.four);
	begin(NULL);
	say_number(IPPROTO_IP, IP_TTL, 9);
	say_number(IPPROTO_IPV6, IPV6_HOPLIMIT, 10);
	go(s, "connected, and IPv6's");
	receive(r, sizeof g_control);
	g_text.iov_len = 3;
	struct iovec many[100];
	for (int i = 0; i < 100; i++)
		many[i] = g_text;
	begin(NULL);
	say_number(IPPROTO_IP, IP_TTL, 11);
	g_message.msg_iov = many;
	g_message.msg_iovlen = 100;
	go(s, "of many pieces");
	g_text.iov_len = 4;
	receive(r, sizeof g_control);
	close(r);
	close(s);
}

static void wrong(void)
{
	static const struct {
		int level, type, size, number;
	} rows[] = {
		{ IPPROTO_IP, IP_TTL, 4, 0 }, { IPPROTO_IP, IP_TTL, 4, 256 }, { IPPROTO_IP, IP_TTL, 4, -1 }, { IPPROTO_IP, IP_TTL, 1, 5 },
		{ IPPROTO_IP, IP_TTL, 8, 5 }, { IPPROTO_IP, IP_TOS, 4, 256 }, { IPPROTO_IP, IP_TOS, 4, -1 }, { IPPROTO_IP, IP_TOS, 2, 5 },
		{ IPPROTO_IP, IP_PKTINFO, 4, 0 }, { IPPROTO_IP, IP_PKTINFO, 16, 0 }, { IPPROTO_IP, IP_PKTINFO, 12, 99 }, { IPPROTO_IP, 99, 4, 0 },
		{ SOL_SOCKET, SCM_RIGHTS, 4, 0 }, { SOL_SOCKET, SCM_CREDENTIALS, 4, 0 }, { SOL_SOCKET, 99, 4, 0 }, { 99, 1, 4, 0 },
	};
	union address at, from;
	int r = bound(AF_INET, "127.0.0.1", &at), s = bound(AF_INET, "127.0.0.1", &from);

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char what[64], data[64] = { 0 };

		snprintf(what, sizeof what, "%d/%d, %d bytes of %d", rows[i].level, rows[i].type, rows[i].size, rows[i].number);
		memcpy(data, &rows[i].number, sizeof rows[i].number);
		begin(&at);
		say(rows[i].level, rows[i].type, data, (size_t)rows[i].size);
		if (go(s, what))
			receive(r, sizeof g_control);
	}
	begin(&at);
	say_number(IPPROTO_IP, IP_TTL, 5);
	((struct cmsghdr *)g_control)->cmsg_len = 400;
	go(s, "too long");
	((struct cmsghdr *)g_control)->cmsg_len = 15;
	go(s, "too short");
	g_message.msg_controllen = 15;
	go(s, "cut off");
	receive(r, sizeof g_control);
	struct in_pktinfo info = { 0 };
	inet_pton(AF_INET, "192.0.2.77", &info.ipi_spec_dst);
	begin(&at);
	say(IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	go(s, "a source that is not this machine's");
	close(r);
	close(s);
}

static void six(void)
{
	union address at, from, mapped;
	int r = bound(AF_INET6, "::", &at), s = bound(AF_INET6, "::", &from);
	struct in6_pktinfo info = { 0 };

	set(r, IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO");
	set(r, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, "IPV6_RECVHOPLIMIT");
	set(r, IPPROTO_IPV6, IPV6_RECVTCLASS, "IPV6_RECVTCLASS");
	mapped = at;
	at.six.sin6_addr = in6addr_loopback;
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.six.sin6_addr);
	begin(&at);
	say_number(IPPROTO_IPV6, IPV6_HOPLIMIT, 7);
	say_number(IPPROTO_IPV6, IPV6_TCLASS, 0x30);
	info.ipi6_addr = in6addr_loopback;
	say(IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
	go(s, "all");
	receive(r, sizeof g_control);
	begin(&at);
	say_number(IPPROTO_IPV6, IPV6_HOPLIMIT, -1);
	say_number(IPPROTO_IPV6, IPV6_TCLASS, -1);
	say_number(IPPROTO_IP, IP_TTL, 1000);
	go(s, "as it is");
	receive(r, sizeof g_control);
	for (int i = -2; i < 257; i += i == -2 || i == 255 ? 1 : 257) {
		begin(&at);
		say_number(IPPROTO_IPV6, IPV6_HOPLIMIT, i);
		if (go(s, "hop limit"))
			receive(r, sizeof g_control);
		begin(&at);
		say_number(IPPROTO_IPV6, IPV6_TCLASS, i);
		if (go(s, "traffic class"))
			receive(r, sizeof g_control);
	}
	begin(&mapped);
	say_number(IPPROTO_IP, IP_TTL, 6);
	inet_pton(AF_INET6, "::ffff:127.4.5.6", &info.ipi6_addr);
	say(IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
	go(s, "to IPv4");
	receive(r, sizeof g_control);
	begin(&mapped);
	info.ipi6_addr = in6addr_loopback;
	say(IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
	go(s, "to IPv4 from IPv6");
	close(r);
	close(s);
}

/* A stream ignores what is IP's, and tells when its bytes came. */
static void stream(void)
{
	union address at;
	socklen_t size = sizeof at;
	int l = socket(AF_INET, SOCK_STREAM, 0), s = socket(AF_INET, SOCK_STREAM, 0), r;

	memset(&at, 0, sizeof at);
	at.four = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	bind(l, &at.any, sizeof at.four);
	listen(l, 1);
	getsockname(l, &at.any, &size);
	printf("connect: %s\n", error(connect(s, &at.any, size)));
	r = accept(l, NULL, NULL);
	begin(NULL);
	say_number(IPPROTO_IP, IP_TTL, 1000);
	go(s, "IP's on a stream");
	receive(r, sizeof g_control);
	begin(NULL);
	say_number(SOL_SOCKET, 99, 0);
	go(s, "an unknown one on a stream");
	close(l);
	close(s);
	close(r);
}

static void say_option(int s, int level, int name, socklen_t size)
{
	unsigned char value[8];
	socklen_t got = size;
	int r, number = -1;

	memset(value, 0xee, sizeof value);
	r = getsockopt(s, level, name, value, &got);
	if (!r && got == sizeof number)
		memcpy(&number, value, sizeof number);
	printf("  option %d of %d: %s, %u bytes, %d, %02x %02x\n", name, level, error(r), got, number, value[0], value[got]);
}

/* What programs set of any socket, whether they send to groups or not. */
static void groups(int family, int type)
{
	static const struct {
		int level, name;
	} options[] = {
		{ IPPROTO_IP, IP_MULTICAST_TTL }, { IPPROTO_IP, IP_MULTICAST_LOOP },
		{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS }, { IPPROTO_IPV6, IPV6_MULTICAST_LOOP },
	};
	static const int values[] = { 0, 1, 32, 255, -1, 256, -2, 1 << 20 };
	int s = socket(family, type, 0);

	printf("groups, family %d, type %d\n", family, type);
	for (unsigned i = 0; i < (family == AF_INET6 ? 4 : 2); i++) {
		int level = options[i].level, name = options[i].name, number = 5;

		say_option(s, level, name, sizeof number);
		for (unsigned j = 0; j < sizeof values / sizeof values[0]; j++) {
			printf("%d: %s\n", values[j], error(setsockopt(s, level, name, &values[j], sizeof values[j])));
			say_option(s, level, name, sizeof number);
		}
		printf("a byte: %s\n", error(setsockopt(s, level, name, "\007", 1)));
		say_option(s, level, name, 1);
		say_option(s, level, name, 3);
		say_option(s, level, name, 0);
		printf("nothing: %s\n", error(setsockopt(s, level, name, "\007", 0)));
		printf("much: %s\n", error(setsockopt(s, level, name, "\001\0\0\0\0\0\0", 8)));
		say_option(s, level, name, 7);
		printf("nowhere: %s\n", error(setsockopt(s, level, name, NULL, sizeof number)));
	}
	for (int level = IPPROTO_IP; ; level = IPPROTO_IPV6) {
		int name = level == IPPROTO_IP ? IP_MULTICAST_IF : IPV6_MULTICAST_IF, none = 0;
		int other = level == IPPROTO_IP ? (int)htonl(0xc0000201) /* 192.0.2.1 */ : 9999;
		struct ip_mreqn r = { .imr_ifindex = 0 };

		say_option(s, level, name, sizeof none);
		printf("any interface: %s\n", error(setsockopt(s, level, name, &none, sizeof none)));
		printf("none there: %s\n", error(setsockopt(s, level, name, &other, sizeof other)));
		printf("a byte: %s\n", error(setsockopt(s, level, name, &none, 1)));
		if (level == IPPROTO_IPV6)
			break;
		printf("any, at length: %s\n", error(setsockopt(s, level, name, &r, sizeof r)));
		r.imr_ifindex = 9999;
		printf("no such number: %s\n", error(setsockopt(s, level, name, &r, sizeof r)));
		r.imr_ifindex = 0;
		r.imr_address.s_addr = htonl(0xc0000201);
		printf("no such address: %s\n", error(setsockopt(s, level, name, &r, sizeof r)));
		if (family != AF_INET6)
			break;
	}
	close(s);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	four();
	wrong();
	six();
	stream();
	groups(AF_INET, SOCK_DGRAM);
	groups(AF_INET6, SOCK_DGRAM);
	groups(AF_INET, SOCK_STREAM);
	groups(AF_INET6, SOCK_STREAM);
	return 0;
}
