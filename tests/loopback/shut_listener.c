/*
 * A listener that is shut down by another thread ends accept and poll, also where another one of the cVM has its port: of the other
 * family, or with SO_REUSEPORT. usage: shut_listener PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum with { NOBODY, OTHER_FAMILY, OTHER_OF_PORT, WITH_END };

static unsigned short g_port;

static int listener(int family, enum with with)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(g_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(g_port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(family, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (with == OTHER_OF_PORT)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (family == AF_INET ? bind(fd, (struct sockaddr *)&four, sizeof four) : bind(fd, (struct sockaddr *)&six, sizeof six)) {
		perror("bind");
		exit(1);
	}
	if (listen(fd, 5)) {
		perror("listen");
		exit(1);
	}
	return fd;
}

static void *accept_one(void *arg)
{
	int fd = accept(*(int *)arg, NULL, NULL);

	printf("accept: %s\n", fd < 0 ? strerror(errno) : "a connection");
	return NULL;
}

static void *poll_one(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	printf("poll: %d, hung up %d\n", poll(&p, 1, -1), !!(p.revents & POLLHUP));
	return NULL;
}

static void *epoll_one(void *arg)
{
	struct epoll_event e = { .events = EPOLLIN };
	int ep = epoll_create1(0);

	epoll_ctl(ep, EPOLL_CTL_ADD, *(int *)arg, &e);
	printf("epoll: %d, hung up %d\n", epoll_wait(ep, &e, 1, -1), !!(e.events & EPOLLHUP));
	close(ep);
	return NULL;
}

static void shut_while(void *(*wait)(void *), enum with with)
{
	int fd = listener(AF_INET, with), other = -1;
	pthread_t thread;

	if (with)
		other = listener(with == OTHER_FAMILY ? AF_INET6 : AF_INET, with);
	pthread_create(&thread, NULL, wait, &fd);
	usleep(50000); /* mostly it sleeps then, which is what this is about */
	shutdown(fd, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(fd);
	if (with)
		close(other);
}

int main(int argc, char **argv)
{
	g_port = argc == 2 ? (unsigned short)atoi(argv[1]) : 0;
	for (enum with with = NOBODY; with < WITH_END; with++) {
		shut_while(accept_one, with);
		shut_while(poll_one, with);
		shut_while(epoll_one, with);
	}
	return 0;
}
