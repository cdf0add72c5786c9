/*
 * Four threads wait for one epoll, level-triggered: what stays ready wakes them all, however the first ones that come look for
 * more. Then the same with an item for each, which only as many as there are items may take.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WAITERS = 4, ROUNDS = 1500 };

static int g_ep, g_stays, g_once[WAITERS];
static unsigned g_woken, g_taken[WAITERS];
static pthread_barrier_t g_round;

static void watch(int fd, uint32_t events, uint32_t which)
{
	struct epoll_event e = { .events = events, .data.u32 = which };

	if (epoll_ctl(g_ep, EPOLL_CTL_ADD, fd, &e))
		perror("epoll_ctl");
}

static void *waiter(void *arg)
{
	struct epoll_event e[WAITERS];

	(void)arg;
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&g_round);
		if (epoll_wait(g_ep, e, WAITERS, -1) == 1 && e[0].data.u32 == WAITERS)
			__atomic_add_fetch(&g_woken, 1, __ATOMIC_RELAXED);
		pthread_barrier_wait(&g_round);
	}
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&g_round);
		if (epoll_wait(g_ep, e, 1, -1) == 1)
			__atomic_add_fetch(&g_taken[e[0].data.u32], 1, __ATOMIC_RELAXED);
		pthread_barrier_wait(&g_round);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[WAITERS];
	uint64_t n = 1;

	g_ep = epoll_create1(0);
	g_stays = eventfd(0, 0);
	watch(g_stays, EPOLLIN, WAITERS);
	pthread_barrier_init(&g_round, NULL, WAITERS + 1);
	for (int i = 0; i < WAITERS; i++)
		pthread_create(&threads[i], NULL, waiter, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&g_round);
		if (round % 3)
			usleep(round % 100);
		write(g_stays, &n, sizeof n);
		pthread_barrier_wait(&g_round);
		read(g_stays, &n, sizeof n);
	}
	epoll_ctl(g_ep, EPOLL_CTL_DEL, g_stays, NULL);
	for (uint32_t i = 0; i < WAITERS; i++) {
		g_once[i] = eventfd(0, 0);
		watch(g_once[i], EPOLLIN | EPOLLET, i);
	}
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&g_round);
		for (int i = 0; i < WAITERS; i++)
			write(g_once[i], &n, sizeof n);
		pthread_barrier_wait(&g_round);
	}
	for (int i = 0; i < WAITERS; i++)
		pthread_join(threads[i], NULL);
	printf("%u woken\n", g_woken);
	for (int i = 0; i < WAITERS; i++)
		printf("%u taken of %d\n", g_taken[i], i);
	return 0;
}
