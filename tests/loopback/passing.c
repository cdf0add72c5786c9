/*
 * Both ends of two connections in one program: a thread that only looks takes the news of one at the very moment at which another one
 * goes to sleep for the other, and does not look again. The sleeper is woken.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 100000, SLOW = 24, SPREAD_NS = 800, PATIENCE = 20000 };

static int g_looked[2], g_slept[2]; /* the ends of both connections */
static unsigned g_started[2];

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void pause_some(unsigned *seed)
{
	struct timespec t;
	long long until;

	clock_gettime(CLOCK_MONOTONIC, &t);
	until = t.tv_sec * 1000000000LL + t.tv_nsec + rand_r(seed) % SPREAD_NS;
	do
		clock_gettime(CLOCK_MONOTONIC, &t);
	while (t.tv_sec * 1000000000LL + t.tv_nsec < until);
}

/* Both threads begin the next round at once, without sleeping if they can. */
static void together(int me)
{
	unsigned mine = __atomic_add_fetch(&g_started[me], 1, __ATOMIC_SEQ_CST);

	for (int i = 0; __atomic_load_n(&g_started[!me], __ATOMIC_SEQ_CST) < mine; i++)
		if (i > PATIENCE)
			sched_yield();
}

static void *looker(void *arg)
{
	struct pollfd p = { g_looked[1], POLLIN, 0 };
	unsigned seed = 1;
	char c = 0;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		together(0);
		if (i % SLOW)
			pause_some(&seed);
		else
			usleep(200); /* who waits in vain before it sleeps does not do so the next times */
		must(send(g_looked[0], &c, 1, 0) == 1, "send");
		must(poll(&p, 1, 0) == 1, "poll"); /* also if the other one is just being told of it */
		must(recv(g_looked[1], &c, 1, 0) == 1, "recv");
		must(send(g_slept[0], &c, 1, 0) == 1, "send");
	}
	return NULL;
}

static void sleeper(void)
{
	int ep = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN };
	char c;

	must(!epoll_ctl(ep, EPOLL_CTL_ADD, g_slept[1], &e), "epoll_ctl");
	for (int i = 0; i < ROUNDS; i++) {
		together(1);
		must(epoll_wait(ep, &e, 1, -1) == 1, "epoll_wait");
		must(recv(g_slept[1], &c, 1, MSG_DONTWAIT) == 1, "recv");
	}
}

static void join_ends(int listener, const struct sockaddr_in *at, int end[2])
{
	end[0] = socket(AF_INET, SOCK_STREAM, 0);
	must(!connect(end[0], (const struct sockaddr *)at, sizeof *at), "connect");
	end[1] = accept(listener, NULL, NULL);
	must(end[1] >= 0, "accept");
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t thread;

	must(argc == 2, "usage: passing PORT");
	at.sin_port = htons((unsigned short)atoi(argv[1]));
	must(!bind(listener, (struct sockaddr *)&at, sizeof at) && !listen(listener, 2), "listen");
	join_ends(listener, &at, g_looked);
	join_ends(listener, &at, g_slept);
	pthread_create(&thread, NULL, looker, NULL);
	alarm(60);
	sleeper();
	pthread_join(thread, NULL);
	puts("all seen");
	return 0;
}
