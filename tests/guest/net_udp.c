/*
 * UDP over loopback: addresses, boundaries, batches, errors.
 * Options: --net any
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void say(const char *what, long r)
{
	printf("%s: %ld%s%s\n", what, r, r < 0 ? " " : "", r < 0 ? strerrorname_np(errno) : "");
}

static int bound(struct sockaddr_in *a)
{
	socklen_t size = sizeof *a;
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	say("bind", bind(s, (void *)a, sizeof *a));
	getsockname(s, (void *)a, &size);
	return s;
}

int main(void)
{
	struct sockaddr_in a, b, from;
	socklen_t size = sizeof from;
	int x = bound(&a), y = bound(&b), n;
	char buf[100] = "", two[100] = "";

	say("send unconnected", send(x, "x", 1, 0));
	say("sendto", sendto(x, "hello", 5, 0, (void *)&b, sizeof b));
	say("sendto", sendto(x, "", 0, 0, (void *)&b, sizeof b));
	say("sendto", sendto(x, "a long datagram", 15, 0, (void *)&b, sizeof b));
	ioctl(y, FIONREAD, &n);
	printf("first %d\n", n);
	say("recvfrom", recvfrom(y, buf, sizeof buf, 0, (void *)&from, &size));
	printf("%s from the right one %d size %u\n", buf, from.sin_port == a.sin_port, size);
	say("empty", recv(y, buf, sizeof buf, 0));
	say("truncated", recv(y, buf, 6, MSG_TRUNC));
	say("nothing from nowhere", sendto(x, (void *)8, 0, 0, (void *)&b, sizeof b));
	say("nothing to nowhere", recv(y, NULL, 0, 0));
	say("none", recv(y, buf, 6, MSG_DONTWAIT));
	say("connect", connect(x, (void *)&b, sizeof b));
	say("send", send(x, "connected", 9, 0));
	say("write", write(x, "written", 7));
	struct iovec iov[2] = { { buf, 4 }, { two, 50 } };
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = iov, .msg_iovlen = 2 };
	say("recvmsg", recvmsg(y, &m, 0));
	printf("%.4s|%s name %u flags %#x\n", buf, two, m.msg_namelen, m.msg_flags);
	say("read", read(y, buf, sizeof buf));
	struct mmsghdr v[3] = { 0 };
	for (int i = 0; i < 3; i++) {
		v[i].msg_hdr.msg_iov = &iov[i % 2];
		v[i].msg_hdr.msg_iovlen = 1;
	}
	iov[0].iov_len = 3;
	iov[1].iov_len = 5;
	say("sendmmsg", sendmmsg(x, v, 3, 0));
	iov[0].iov_len = iov[1].iov_len = 50;
	say("recvmmsg", recvmmsg(y, v, 3, MSG_WAITFORONE, NULL));
	printf("%u %u %u\n", v[0].msg_len, v[1].msg_len, v[2].msg_len);
	static char big[70000];
	say("too big", send(x, big, sizeof big, 0));
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	say("disconnect", connect(x, &none, sizeof none));
	size = sizeof from;
	say("peer", getpeername(x, (void *)&from, &size));
	struct timeval tv = { 0, 20000 };
	setsockopt(y, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	say("timeout", recv(y, buf, 1, 0));
	close(y);
	connect(x, (void *)&b, sizeof b);
	send(x, "to nobody", 9, 0);
	usleep(1000);
	say("refused", recv(x, buf, 1, MSG_DONTWAIT));
	say("bad name", sendto(x, "x", 1, 0, (void *)&a, 4));
	say("shutdown", shutdown(x, SHUT_RD));
	close(x);
	say("datagrams over TCP", socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
	say("a stream over UDP", socket(AF_INET6, SOCK_STREAM, IPPROTO_UDP));
	return 0;
}
