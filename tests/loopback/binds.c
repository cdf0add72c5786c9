/*
 * A port that is bound a thousand times before anybody listens there lets nobody in: the "client NAME" that tries all the time
 * gets a connection only from the "server NAME" that answers.
 * Ends: server client
 * Names: tcp
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char b[10] = "";
	int fd, one = 1, n = 0;

	if (argc != 3)
		return 2;
	alarm(60);
	a.sin_port = htons((unsigned short)atoi(argv[2]));
	for (; argv[1][0] == 's'; close(fd), n++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (bind(fd, (struct sockaddr *)&a, sizeof a))
			perror("s bind");
		usleep(n % 100 ? 0 : 10000);
		if (n == 1000)
			break;
	}
	if (argv[1][0] == 's') {
		listen(fd, 5);
		fd = accept(fd, NULL, NULL);
		printf("s got %zd\n", read(fd, b, 10));
		return write(fd, "answer", 6) != 6;
	}
	for (;; close(fd)) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (!connect(fd, (struct sockaddr *)&a, sizeof a))
			break;
		if (errno != ECONNREFUSED)
			printf("c connect: %s\n", strerrorname_np(errno));
	}
	if (write(fd, "x", 1) != 1)
		perror("write");
	ssize_t got = read(fd, b, 10);
	printf("c %zd %s\n", got, b);
	return 0;
}
