/*
 * What the other end sees when a process dies in the middle of things: "server NAME" dies, "client NAME" looks. Three
 * connections: with everything read, with bytes unread, and in the backlog.
 * Ends: server client
 * Names: tcp unix
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static union {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_un un;
} g_address;
static socklen_t g_size;

static int dial(void)
{
	for (;;) {
		int fd = socket(g_address.sa.sa_family, SOCK_STREAM, 0);

		if (!connect(fd, &g_address.sa, g_size))
			return fd;
		close(fd);
		usleep(20000);
	}
}

static void server(void)
{
	int fd = socket(g_address.sa.sa_family, SOCK_STREAM, 0), one = 1;
	char b[10];

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, &g_address.sa, g_size) || listen(fd, 5))
		exit(1);
	int first = accept(fd, NULL, NULL), second = accept(fd, NULL, NULL);
	struct pollfd p = { second, POLLIN, 0 };

	poll(&p, 1, -1); /* stays unread */
	if (read(first, b, 10) < 1 || write(first, "bye", 3) != 3)
		exit(1);
	if (read(first, b, 10) < 1) /* the third is in the backlog */
		exit(1);
	kill(getpid(), SIGKILL);
}

static void look(const char *what, int fd)
{
	char b[100];
	ssize_t n;
	int e;

	while ((n = read(fd, b, sizeof b)) > 0)
		printf("c %s: %zd bytes\n", what, n);
	e = errno;
	printf("c %s: %s\n", what, n ? strerrorname_np(e) : "end");
	for (int i = 0; i < 100 && (n = send(fd, "x", 1, MSG_NOSIGNAL)) == 1; i++)
		usleep(10000);
	printf("c %s: then %s\n", what, n < 0 ? "no more can be sent" : "bytes can be sent");
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (argv[2][0] == '/') {
		g_address.un.sun_family = AF_UNIX;
		strcpy(g_address.un.sun_path, argv[2]);
		g_size = sizeof g_address.un;
	} else {
		g_address.in.sin_family = AF_INET;
		g_address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		g_address.in.sin_port = htons((uint16_t)atoi(argv[2]));
		g_size = sizeof g_address.in;
	}
	alarm(100);
	if (!strcmp(argv[1], "server"))
		server();
	int first = dial(), second = dial(), third;
	char b[10];

	if (write(second, "unread", 6) != 6 || write(first, "read", 4) != 4 || read(first, b, 3) != 3)
		return 1;
	third = dial();
	if (write(third, "lost", 4) != 4 || write(first, "die", 3) != 3)
		return 1;
	look("all read", first);
	look("unread", second);
	look("backlog", third);
	return 0;
}
