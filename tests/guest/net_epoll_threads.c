/*
 * One epoll, four threads that serve it with EPOLLONESHOT, 48 clients over TCP, Unix sockets and pipes that come, talk
 * and go; an eventfd stops the threads. Nothing may be lost, doubled or left asleep.
 * Options: --net any
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SERVERS = 4, CLIENTS = 48, ROUNDS = 6, MESSAGES = 40 };

static int g_ep, g_stop, g_tcp, g_unix;
static struct sockaddr_in g_in;
static struct sockaddr_un g_un = { .sun_family = AF_UNIX }; /* the kernel chooses the name: abstract ones are everybody's */
static socklen_t g_un_size = sizeof g_un;
static unsigned long g_bytes, g_wrong, g_ends;

static void watch(int op, int fd)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT, .data.fd = fd };

	if (epoll_ctl(g_ep, op, fd, &e))
		printf("epoll_ctl: %s\n", strerror(errno));
}

static void serve(int fd)
{
	char buf[3000];
	ssize_t n;

	if (fd == g_tcp || fd == g_unix) {
		int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		watch(EPOLL_CTL_MOD, fd);
		if (c >= 0)
			watch(EPOLL_CTL_ADD, c);
		return;
	}
	n = read(fd, buf, sizeof buf);
	if (n <= 0) {
		if (n < 0 && errno == EAGAIN) {
			watch(EPOLL_CTL_MOD, fd);
			return;
		}
		__atomic_add_fetch(&g_ends, 1, __ATOMIC_RELAXED);
		close(fd);
		return;
	}
	for (ssize_t done = 0; done < n;) {
		ssize_t w = write(fd, buf + done, (size_t)(n - done));

		if (w > 0)
			done += w;
		else
			usleep(100);
	}
	watch(EPOLL_CTL_MOD, fd);
}

static void *server(void *arg)
{
	struct epoll_event e[4];

	(void)arg;
	for (;;) {
		int n = epoll_wait(g_ep, e, 4, -1);

		for (int i = 0; i < n; i++) {
			if (e[i].data.fd == g_stop)
				return NULL;
			serve(e[i].data.fd);
		}
	}
}

static int dial(int local)
{
	int s = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);

	if (local ? connect(s, (void *)&g_un, g_un_size) : connect(s, (void *)&g_in, sizeof g_in))
		printf("connect: %s\n", strerror(errno));
	return s;
}

static void *client(void *arg)
{
	unsigned seed = (unsigned)(long)arg;
	char out[4000], in[4000];

	for (int round = 0; round < ROUNDS; round++) {
		int s = dial((seed + (unsigned)round) % 2);

		for (int m = 0; m < MESSAGES; m++) {
			size_t n, got = 0;

			seed = seed * 1103515245u + 12345u;
			n = (seed >> 8) % sizeof out + 1;
			memset(out, (int)(seed >> 3), n);
			write(s, out, n);
			while (got < n) {
				ssize_t r = read(s, in + got, n - got);

				if (r <= 0) {
					__atomic_add_fetch(&g_wrong, 1, __ATOMIC_RELAXED);
					break;
				}
				got += (size_t)r;
			}
			if (memcmp(in, out, n))
				__atomic_add_fetch(&g_wrong, 1, __ATOMIC_RELAXED);
			__atomic_add_fetch(&g_bytes, n, __ATOMIC_RELAXED);
		}
		close(s);
	}
	return NULL;
}

static void listeners(void)
{
	socklen_t size = sizeof g_in;

	g_in.sin_family = AF_INET;
	g_in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	g_tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bind(g_tcp, (void *)&g_in, sizeof g_in);
	getsockname(g_tcp, (void *)&g_in, &size);
	listen(g_tcp, 128);
	g_unix = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bind(g_unix, (void *)&g_un, sizeof g_un.sun_family);
	getsockname(g_unix, (void *)&g_un, &g_un_size);
	listen(g_unix, 128);
}

int main(void)
{
	pthread_t servers[SERVERS], clients[CLIENTS];
	uint64_t one = 1;

	g_ep = epoll_create1(EPOLL_CLOEXEC);
	g_stop = eventfd(0, 0);
	listeners();
	watch(EPOLL_CTL_ADD, g_tcp);
	watch(EPOLL_CTL_ADD, g_unix);
	struct epoll_event e = { .events = EPOLLIN, .data.fd = g_stop };
	epoll_ctl(g_ep, EPOLL_CTL_ADD, g_stop, &e);
	for (long i = 0; i < SERVERS; i++)
		pthread_create(&servers[i], NULL, server, NULL);
	for (long i = 0; i < CLIENTS; i++)
		pthread_create(&clients[i], NULL, client, (void *)(i + 1));
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	while (__atomic_load_n(&g_ends, __ATOMIC_RELAXED) < CLIENTS * ROUNDS)
		usleep(1000);
	write(g_stop, &one, sizeof one);
	for (int i = 0; i < SERVERS; i++)
		pthread_join(servers[i], NULL);
	printf("%lu bytes, %lu wrong, %lu connections ended\n", g_bytes, g_wrong, g_ends);
	return 0;
}
