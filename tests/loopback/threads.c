/*
 * Threads that each wait by an epoll of their own, on both ends, for messages that come at odd moments: none is forgotten while
 * another one looks for its own.
 * Ends: server client
 * Names: tcp unix
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS 4000

static union {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_un un;
} g_address;
static socklen_t g_size;
static int g_client;

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static int make(void)
{
	int fd = socket(g_address.any.sa_family, SOCK_STREAM, 0), one = 1;

	must(fd >= 0, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	return fd;
}

/* Some nanoseconds up to what it takes to go to sleep and be woken, without sleeping. */
static void pause_some(unsigned *seed)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	for (long long until = t.tv_nsec + t.tv_sec * 1000000000LL + rand_r(seed) % 60000; t.tv_nsec + t.tv_sec * 1000000000LL < until;)
		clock_gettime(CLOCK_MONOTONIC, &t);
}

static void *talk(void *argument)
{
	int fd = (int)(long)argument, epoll = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN };
	unsigned seed = (unsigned)fd;
	char byte = 0;

	must(epoll >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e), "epoll");
	for (int i = 0; i < 2 * ROUNDS; i++)
		if ((i & 1) == g_client) {
			must(epoll_wait(epoll, &e, 1, -1) == 1, "epoll_wait");
			must(read(fd, &byte, 1) == 1, "read");
		} else {
			pause_some(&seed);
			byte++;
			must(write(fd, &byte, 1) == 1, "write");
		}
	return (void *)(long)byte;
}

int main(int argc, char **argv)
{
	pthread_t thread[THREADS];
	int listener = -1, good = 0;

	if (argc != 3)
		return 2;
	alarm(100);
	g_client = argv[1][0] == 'c';
	if (argv[2][0] == '/') {
		g_address.un.sun_family = AF_UNIX;
		strncpy(g_address.un.sun_path, argv[2], sizeof g_address.un.sun_path - 1);
		g_size = sizeof g_address.un;
	} else {
		g_address.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		g_address.in.sin_port = htons((unsigned short)atoi(argv[2]));
		g_size = sizeof g_address.in;
	}
	if (!g_client) {
		listener = make();
		must(!bind(listener, &g_address.any, g_size) && !listen(listener, THREADS), "listen");
	}
	for (int i = 0; i < THREADS; i++) {
		int fd = g_client ? make() : accept(listener, NULL, NULL);

		while (g_client && connect(fd, &g_address.any, g_size)) {
			close(fd);
			usleep(10000);
			fd = make();
		}
		must(fd >= 0 && !pthread_create(&thread[i], NULL, talk, (void *)(long)fd), "accept");
	}
	for (int i = 0; i < THREADS; i++) {
		void *last;

		pthread_join(thread[i], &last);
		good += last == (void *)(long)(char)(2 * ROUNDS);
	}
	printf("%c %d of %d\n", argv[1][0], good, THREADS);
	return 0;
}
