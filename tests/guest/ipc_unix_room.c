/*
 * Senders of datagrams whose receiver knows nothing of them wait by poll, select and edge-triggered epoll for room in its queue, and
 * hear of its end.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SENDERS = 3, MESSAGES = 4000 };

static struct sockaddr_un g_address;
static socklen_t g_size = sizeof g_address;

static int connected(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (connect(fd, (void *)&g_address, g_size))
		perror("connect");
	return fd;
}

static int receiver(void)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (bind(fd, (void *)&any, sizeof any.sun_family))
		perror("bind");
	g_size = sizeof g_address;
	getsockname(fd, (void *)&g_address, &g_size);
	return fd;
}

static void wait_by_poll(int fd, int ep)
{
	struct pollfd p = { fd, POLLOUT, 0 };

	(void)ep;
	poll(&p, 1, -1);
}

static void wait_by_select(int fd, int ep)
{
	fd_set set;

	(void)ep;
	FD_ZERO(&set);
	FD_SET(fd, &set);
	select(fd + 1, NULL, &set, NULL, NULL);
}

static void wait_by_epoll(int fd, int ep)
{
	struct epoll_event e;

	(void)fd;
	epoll_wait(ep, &e, 1, -1);
}

static void (*const g_wait[SENDERS])(int fd, int ep) = { wait_by_poll, wait_by_select, wait_by_epoll };

static void *sender(void *arg)
{
	struct epoll_event e = { .events = EPOLLOUT | EPOLLET };
	int fd = connected(), ep = epoll_create1(0);
	char which = (char)(long)arg;

	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
	for (int sent = 0; sent < MESSAGES;) {
		if (write(fd, &which, 1) == 1)
			sent++;
		else if (errno == EAGAIN)
			g_wait[(int)which](fd, ep);
		else
			perror("write");
	}
	close(ep);
	close(fd);
	return NULL;
}

static void *closer(void *arg)
{
	usleep(20000);
	close(*(int *)arg);
	return NULL;
}

int main(void)
{
	int fd = receiver(), client, n, got[SENDERS] = { 0 };
	pthread_t threads[SENDERS];
	struct pollfd p;
	char which;

	for (long i = 0; i < SENDERS; i++)
		pthread_create(&threads[i], NULL, sender, (void *)i);
	for (n = 0; n < SENDERS * MESSAGES && read(fd, &which, 1) == 1; n++)
		got[(int)which]++;
	for (int i = 0; i < SENDERS; i++) {
		pthread_join(threads[i], NULL);
		printf("%d of sender %d\n", got[i], i);
	}
	client = connected();
	for (n = 0; write(client, "x", 1) == 1; n++)
		;
	printf("room for %d, %m\n", n);
	pthread_create(&threads[0], NULL, closer, &fd);
	p = (struct pollfd){ client, POLLOUT, 0 };
	n = poll(&p, 1, -1);
	printf("closed: poll %d, events %#x\n", n, p.revents);
	pthread_join(threads[0], NULL);
	n = (int)write(client, "x", 1);
	printf("write %d, %m\n", n);
	return 0;
}
