/* Bulk transfer over TCP on 127.0.0.1: "server PORT" receives, "client PORT MESSAGE-BYTES TOTAL-MIB" sends and prints MB/s. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static char buffer[1 << 20];
	struct timespec from, to;
	int fd, one = 1;

	if (argc < 3)
		return 2;
	a.sin_port = htons((unsigned short)atoi(argv[2]));
	if (!strcmp(argv[1], "server")) {
		int l = socket(AF_INET, SOCK_STREAM, 0);
		ssize_t n;

		setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (bind(l, (struct sockaddr *)&a, sizeof a) || listen(l, 1) || (fd = accept(l, NULL, NULL)) < 0)
			return 1;
		while ((n = read(fd, buffer, 65536)) > 0)
			;
		return n || write(fd, "x", 1) != 1;
	}
	for (;;) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (!connect(fd, (struct sockaddr *)&a, sizeof a))
			break;
		close(fd);
		usleep(10000);
	}
	size_t size = (size_t)atol(argv[3]);
	long left = atol(argv[4]) << 20, total = left;

	memset(buffer, 'x', sizeof buffer);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (; left > 0; left -= (long)size)
		if (write(fd, buffer, size) != (ssize_t)size)
			return 1;
	shutdown(fd, SHUT_WR);
	if (read(fd, buffer, 1) != 1)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%.1f\n", (double)total / 1e6 / ((double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9));
	return 0;
}
