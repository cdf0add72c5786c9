/*
 * A capability that is passed to a program of plain sockets: "server PORT" polls and reads a connection, to which "client PORT", which uses
 * libcvm, passes capabilities before it sends a byte. They are nothing to read, so poll and read go on waiting, and signals end both.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

#include "cvm/file.h"
#include "cvm/stream.h"

#define PASSED 3

static volatile sig_atomic_t g_alarms;

static void on_alarm(int sig)
{
	(void)sig;
	g_alarms++;
}

static void alarms(long us)
{
	struct itimerval timer = { { 0, us }, { 0, us } };

	setitimer(ITIMER_REAL, &timer, NULL);
}

static int accept_one(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	IS(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	IS(listen(listener, 5), 0);
	return accept(listener, NULL, NULL);
}

static void server(uint16_t port)
{
	struct sigaction action = { .sa_handler = on_alarm };
	int fd = accept_one(port);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	sigaction(SIGALRM, &action, NULL);
	while (g_alarms < 5) {
		alarms(100000);
		IS(poll(&p, 1, -1), -1);
		IS(errno, EINTR);
		IS(read(fd, &byte, 1), -1);
		IS(errno, EINTR);
		alarms(0);
	}
	IS(write(fd, "x", 1), 1);
	IS(poll(&p, 1, -1), 1);
	IS(p.revents, POLLIN);
	IS(read(fd, &byte, 1), 1);
	IS(byte, 'y');
}

static void client(uint16_t port)
{
	char name[20], byte;
	int file = cp_file_create(NULL, 4096), stream;

	snprintf(name, sizeof(name), "tcp/%u", port);
	do { /* while the server binds, a listener that lets nobody in comes and goes */
		pause_ms(1);
		stream = cp_connect(name, 0);
	} while (stream == -ENOENT || stream == -EAGAIN || stream == -EKEYREVOKED);
	IS(stream > 0, 1);
	for (int passed = 0; passed < PASSED; passed += cp_stream_send_cap(stream, file) == 0) /* not before it is accepted */
		pause_ms(10);
	IS(cp_stream_recv(stream, &byte, 1, 0), 1);
	IS(cp_stream_send(stream, "y", 1, 0), 1);
	IS(cp_stream_recv(stream, &byte, 1, 0), 0);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "server") == 0)
		server((uint16_t)atoi(argv[2]));
	else
		client((uint16_t)atoi(argv[2]));
	return check_end(argv[1]);
}
