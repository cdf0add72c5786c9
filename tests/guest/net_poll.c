/*
 * poll, select and epoll over sockets of the host, pipes, eventfds, timers and Unix sockets together: level and edge
 * triggered, one-shot, nested, duplicates, wake-ups from other threads, signals and masks.
 * Options: --net any
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what, long r)
{
	printf("%s: %ld%s%s\n", what, r, r < 0 ? " " : "", r < 0 ? strerrorname_np(errno) : "");
}

static void tcp_pair(int s[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0);

	bind(l, (void *)&a, sizeof a);
	listen(l, 1);
	getsockname(l, (void *)&a, &size);
	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	connect(s[0], (void *)&a, sizeof a);
	s[1] = accept(l, NULL, NULL);
	close(l);
}

static int g_tcp[2], g_unix[2], g_pipe[2], g_event;

static void open_all(void)
{
	tcp_pair(g_tcp);
	socketpair(AF_UNIX, SOCK_STREAM, 0, g_unix);
	pipe(g_pipe);
	g_event = eventfd(0, EFD_NONBLOCK);
}

static void close_all(void)
{
	for (int i = 0; i < 2; i++) {
		close(g_tcp[i]);
		close(g_unix[i]);
		close(g_pipe[i]);
	}
	close(g_event);
}

static void bump(void)
{
	uint64_t one = 1;

	write(g_event, &one, 8);
}

static void show(const struct pollfd *p, int n, int r)
{
	printf("%d:", r);
	for (int i = 0; i < n; i++)
		printf(" %#x", p[i].revents);
	printf("\n");
}

static void *later(void *arg)
{
	usleep(30000);
	switch ((long)arg) {
	case 0:
		write(g_tcp[1], "t", 1);
		break;
	case 1:
		write(g_unix[1], "u", 1);
		break;
	case 2:
		write(g_pipe[1], "p", 1);
		break;
	default:
		bump();
	}
	return NULL;
}

static void drain(void)
{
	char buf[100];

	recv(g_tcp[0], buf, sizeof buf, MSG_DONTWAIT);
	recv(g_unix[0], buf, sizeof buf, MSG_DONTWAIT);
	struct pollfd p = { g_pipe[0], POLLIN, 0 };
	if (poll(&p, 1, 0) == 1)
		read(g_pipe[0], buf, sizeof buf);
	read(g_event, buf, 8);
}

static void polls(void)
{
	struct pollfd p[6] = { { g_tcp[0], POLLIN, 0 },	   { g_unix[0], POLLIN, 0 }, { g_pipe[0], POLLIN, 0 },
			       { g_event, POLLIN, 0 }, { -1, POLLIN, 0 },	     { g_pipe[1], POLLIN, 0 } };
	pthread_t t;

	show(p, 6, poll(p, 6, 0));
	p[5].fd = 999;
	show(p, 6, poll(p, 6, -1));
	p[5].fd = -5;
	show(p, 6, poll(p, 6, 10));
	for (long i = 0; i < 4; i++) {
		pthread_create(&t, NULL, later, (void *)i);
		show(p, 6, poll(p, 6, 60000));
		pthread_join(t, NULL);
		drain();
	}
	for (long i = 0; i < 4; i++) {
		fd_set in;
		struct timeval tv = { 1000, 0 };

		FD_ZERO(&in);
		for (int k = 0; k < 4; k++)
			FD_SET(p[k].fd, &in);
		pthread_create(&t, NULL, later, (void *)i);
		int r = select(p[3].fd + 1, &in, NULL, NULL, &tv);
		printf("select %d:", r);
		for (int k = 0; k < 4; k++)
			printf(" %d", FD_ISSET(p[k].fd, &in) != 0);
		printf(" time left %d\n", tv.tv_sec > 0 && tv.tv_sec < 1000);
		pthread_join(t, NULL);
		drain();
	}
	fd_set out;
	FD_ZERO(&out);
	FD_SET(g_pipe[1], &out);
	FD_SET(g_tcp[0], &out);
	say("select writable", select(100, NULL, &out, NULL, NULL));
	FD_SET(50, &out);
	say("select closed", select(51, NULL, &out, NULL, NULL));
	say("select negative", select(-1, NULL, NULL, NULL, NULL));
	say("poll only to wait", poll(NULL, 0, 5));
	int file = open("/etc/hostname", O_RDONLY), null = open("/dev/null", O_RDWR);
	p[0] = (struct pollfd){ file, POLLIN | POLLOUT, 0 };
	p[1] = (struct pollfd){ null, POLLIN | POLLOUT, 0 };
	show(p, 2, poll(p, 2, -1));
	close(file);
	close(null);
}

static void show_events(const struct epoll_event *e, int n)
{
	uint32_t by_data[100] = { 0 };

	printf("%d:", n);
	for (int i = 0; i < n; i++)
		by_data[e[i].data.u64 % 100] = e[i].events;
	for (int i = 0; i < 100; i++)
		if (by_data[i])
			printf(" %d=%#x", i, by_data[i]);
	printf("\n");
}

static int add(int ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = { .events = events, .data.u64 = data };

	return epoll_ctl(ep, op, fd, &e);
}

static int g_ep;

static void wait_show(const char *what, int timeout)
{
	struct epoll_event e[20];

	printf("%s ", what);
	show_events(e, epoll_wait(g_ep, e, 20, timeout));
}

static void epolls(uint32_t mode)
{
	pthread_t t;

	printf("-- epoll mode %#x\n", mode);
	g_ep = epoll_create1(EPOLL_CLOEXEC);
	wait_show("empty", 0);
	wait_show("empty", 5);
	say("add tcp", add(g_ep, EPOLL_CTL_ADD, g_tcp[0], EPOLLIN | mode, 1));
	wait_show("tcp", 0);
	say("add unix", add(g_ep, EPOLL_CTL_ADD, g_unix[0], EPOLLIN | mode, 2));
	say("add pipe", add(g_ep, EPOLL_CTL_ADD, g_pipe[0], EPOLLIN | mode, 3));
	say("add event", add(g_ep, EPOLL_CTL_ADD, g_event, EPOLLIN | mode, 4));
	wait_show("idle", 0);
	for (long i = 0; i < 4; i++) {
		pthread_create(&t, NULL, later, (void *)i);
		wait_show("woken", 60000);
		pthread_join(t, NULL);
		wait_show("again", 0);
		write((int[]){ g_tcp[1], g_unix[1], g_pipe[1], g_event }[i], "12345678", 8);
		wait_show("more", 0);
		drain();
		wait_show("drained", 0);
		if (mode & EPOLLONESHOT)
			say("re-arm", add(g_ep, EPOLL_CTL_MOD, (int[]){ g_tcp[0], g_unix[0], g_pipe[0], g_event }[i],
					  EPOLLIN | mode, (uint64_t)i + 1));
	}
	write(g_tcp[1], "a", 1);
	write(g_unix[1], "a", 1);
	write(g_pipe[1], "a", 1);
	bump();
	usleep(1000);
	wait_show("all", 0);
	struct epoll_event e;
	for (int i = 0; i < 4; i++)
		printf("one at a time: %d\n", epoll_wait(g_ep, &e, 1, 0));
	drain();
	close(g_ep);
}

static void control(void)
{
	int dup_fd, file = open("/etc/hostname", O_RDONLY);
	struct epoll_event e[4];

	printf("-- control\n");
	say("bad flags", epoll_create1(1));
	say("bad size", epoll_create(0));
	g_ep = epoll_create(1);
	say("add", add(g_ep, EPOLL_CTL_ADD, g_tcp[0], EPOLLIN, 1));
	say("twice", add(g_ep, EPOLL_CTL_ADD, g_tcp[0], EPOLLIN, 1));
	say("regular file", add(g_ep, EPOLL_CTL_ADD, file, EPOLLIN, 1));
	say("itself", add(g_ep, EPOLL_CTL_ADD, g_ep, EPOLLIN, 1));
	say("closed", add(g_ep, EPOLL_CTL_ADD, 999, EPOLLIN, 1));
	say("not an epoll", add(g_tcp[0], EPOLL_CTL_ADD, g_unix[0], EPOLLIN, 1));
	say("absent", add(g_ep, EPOLL_CTL_MOD, g_unix[0], EPOLLIN, 1));
	say("absent", epoll_ctl(g_ep, EPOLL_CTL_DEL, g_pipe[0], NULL));
	say("bad op", add(g_ep, 17, g_tcp[0], EPOLLIN, 1));
	say("bad event", epoll_ctl(g_ep, EPOLL_CTL_ADD, g_unix[0], NULL));
	say("no events", epoll_wait(g_ep, e, 0, 0));
	say("wait on a socket", epoll_wait(g_tcp[0], e, 1, 0));
	say("exclusive mod", add(g_ep, EPOLL_CTL_MOD, g_tcp[0], EPOLLIN | EPOLLEXCLUSIVE, 1));
	dup_fd = dup(g_tcp[0]);
	say("duplicate", add(g_ep, EPOLL_CTL_ADD, dup_fd, EPOLLIN, 2));
	write(g_tcp[1], "x", 1);
	usleep(1000);
	wait_show("both", 0);
	say("remove one", epoll_ctl(g_ep, EPOLL_CTL_DEL, g_tcp[0], NULL));
	wait_show("other", 0);
	close(dup_fd);
	wait_show("number closed, file open", 0);
	drain();
	int p[2];
	pipe(p);
	say("add pipe", add(g_ep, EPOLL_CTL_ADD, p[1], EPOLLOUT, 3));
	wait_show("writable", 0);
	say("modify", add(g_ep, EPOLL_CTL_MOD, p[1], 0, 4));
	wait_show("nothing wanted", 0);
	close(p[0]);
	wait_show("reader gone", 0);
	close(p[1]);
	wait_show("closed", 0);
	tcp_pair(p);
	add(g_ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLRDHUP, 5);
	shutdown(p[1], SHUT_WR);
	usleep(1000);
	wait_show("half closed", 0);
	close(p[0]);
	close(p[1]);
	wait_show("closed", 0);
	close(g_ep);
	close(file);
}

static void nested(void)
{
	int outer = epoll_create1(0), third = epoll_create1(0);
	struct epoll_event e[4];
	struct pollfd p;
	pthread_t t;

	printf("-- nested\n");
	g_ep = epoll_create1(0);
	add(g_ep, EPOLL_CTL_ADD, g_pipe[0], EPOLLIN, 1);
	add(g_ep, EPOLL_CTL_ADD, g_tcp[0], EPOLLIN, 2);
	p = (struct pollfd){ g_ep, POLLIN, 0 };
	printf("poll %d\n", poll(&p, 1, 0));
	say("add", add(outer, EPOLL_CTL_ADD, g_ep, EPOLLIN, 7));
	say("circle", add(g_ep, EPOLL_CTL_ADD, outer, EPOLLIN, 8));
	say("third", add(third, EPOLL_CTL_ADD, outer, EPOLLIN, 9));
	say("circle of three", add(g_ep, EPOLL_CTL_ADD, third, EPOLLIN, 8));
	show_events(e, epoll_wait(outer, e, 4, 0));
	for (long i = 0; i < 3; i += 2) {
		pthread_create(&t, NULL, later, (void *)i);
		show_events(e, epoll_wait(third, e, 4, 60000));
		pthread_join(t, NULL);
		show_events(e, epoll_wait(outer, e, 4, 0));
		printf("poll %d\n", poll(&p, 1, 0));
		wait_show("inner", 0);
		drain();
		wait_show("inner", 0);
		printf("poll %d\n", poll(&p, 1, 0));
		show_events(e, epoll_wait(third, e, 4, 0));
		pthread_create(&t, NULL, later, (void *)i);
		printf("poll %d\n", poll(&p, 1, 60000));
		pthread_join(t, NULL);
		drain();
	}
	close(third);
	close(outer);
	close(g_ep);
}

static volatile sig_atomic_t g_signals;

static void on_signal(int sig)
{
	(void)sig;
	g_signals++;
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct pollfd p[2] = { { g_tcp[0], POLLIN, 0 }, { g_pipe[0], POLLIN, 0 } };
	struct epoll_event e;
	sigset_t block, none;
	struct timespec ts = { 5, 0 };

	printf("-- signals\n");
	sigaction(SIGALRM, &sa, NULL);
	ualarm(20000, 20000); /* again and again: one alone might come before the call that it is to interrupt */
	say("poll", poll(p, 2, -1));
	say("poll of the host", poll(p, 1, -1));
	say("poll of a pipe", poll(p + 1, 1, 60000));
	g_ep = epoll_create1(0);
	add(g_ep, EPOLL_CTL_ADD, g_tcp[0], EPOLLIN, 1);
	say("epoll", epoll_wait(g_ep, &e, 1, -1));
	add(g_ep, EPOLL_CTL_ADD, g_pipe[0], EPOLLIN, 1);
	say("epoll", epoll_wait(g_ep, &e, 1, 60000));
	fd_set in;
	FD_ZERO(&in);
	FD_SET(g_pipe[0], &in);
	say("select", select(g_pipe[0] + 1, &in, NULL, NULL, NULL));
	FD_SET(g_pipe[0], &in);
	struct timeval ages = { 0, 18446744073709552 }; /* in ns 2^64 and some */
	say("select for ages", syscall(SYS_select, g_pipe[0] + 1, &in, NULL, NULL, &ages));
	ualarm(0, 0);
	printf("signals for each %d\n", g_signals >= 7);
	g_signals = 0;
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, NULL);
	raise(SIGALRM);
	say("blocked", poll(p, 2, 5));
	say("ppoll lets it in", ppoll(p, 2, &ts, &none));
	raise(SIGALRM);
	say("epoll_pwait lets it in", epoll_pwait(g_ep, &e, 1, 5000, &none));
	raise(SIGALRM);
	say("pselect lets it in", pselect(0, NULL, NULL, NULL, &ts, &none));
	printf("signals %d\n", (int)g_signals);
	sigprocmask(SIG_BLOCK, NULL, &none);
	printf("mask is back %d\n", sigismember(&none, SIGALRM));
	sigprocmask(SIG_UNBLOCK, &block, NULL);
	close(g_ep);
}

static void timing(void)
{
	struct timespec a, b;
	struct pollfd p[2] = { { g_tcp[0], POLLIN, 0 }, { g_pipe[0], POLLIN, 0 } };
	struct epoll_event e;

	printf("-- time\n");
	g_ep = epoll_create1(0);
	add(g_ep, EPOLL_CTL_ADD, g_tcp[0], EPOLLIN, 1);
	for (int i = 0; i < 4; i++) {
		clock_gettime(CLOCK_MONOTONIC, &a);
		int r = i < 2 ? poll(p, (nfds_t)i + 1, 50) : epoll_wait(g_ep, &e, 1, 50);
		clock_gettime(CLOCK_MONOTONIC, &b);
		long us = (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000;
		printf("%d after %s\n", r, us >= 50000 && us < 1000000 ? "50 ms" : "the wrong time");
		add(g_ep, EPOLL_CTL_ADD, g_pipe[0], EPOLLIN, 2);
	}
	close(g_ep);
}

/* More descriptors than one host call takes. */
static void many(void)
{
	struct pollfd p[602];
	int s[2];
	pthread_t t;

	printf("-- many\n");
	tcp_pair(s);
	for (int i = 0; i < 600; i++)
		p[i] = (struct pollfd){ i % 2 ? s[0] : g_tcp[0], POLLIN, 0 };
	p[600] = (struct pollfd){ g_pipe[0], POLLIN, 0 };
	printf("ready %d\n", poll(p, 601, 10));
	for (long i = 0; i < 3; i += 2) {
		pthread_create(&t, NULL, later, (void *)i);
		printf("ready %d\n", poll(p, 601, 60000));
		pthread_join(t, NULL);
		drain();
	}
	write(s[1], "x", 1);
	printf("ready %d\n", poll(p, 600, -1));
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	open_all();
	polls();
	epolls(0);
	epolls(EPOLLET);
	epolls(EPOLLONESHOT);
	control();
	nested();
	interrupted();
	timing();
	many();
	close_all();
	return 0;
}
