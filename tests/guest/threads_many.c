/*
 * Threads: creation and joining, thread-local storage, mutexes, condition variables, barriers, robust mutexes,
 * a deep stack, and 200 threads one after the other.
 * Build: gcc musl static musl-static
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define THREADS 8

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_turned = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t g_barrier;
static _Thread_local long t_count;
static long g_sum;
static atomic_long g_atomic;
static int g_turn;

static void *add(void *argument)
{
	for (int i = 0; i < 20000; i++) {
		t_count++;
		atomic_fetch_add(&g_atomic, 1);
		pthread_mutex_lock(&g_lock);
		g_sum++;
		pthread_mutex_unlock(&g_lock);
	}
	pthread_barrier_wait(&g_barrier);
	return (void *)(t_count + (long)argument);
}

static void *take_turns(void *argument)
{
	int me = (int)(long)argument;

	pthread_mutex_lock(&g_lock);
	for (int round = 0; round < 3; round++) {
		while (g_turn % THREADS != me)
			pthread_cond_wait(&g_turned, &g_lock);
		printf("%d%s", me, me == THREADS - 1 ? "\n" : " ");
		g_turn++;
		pthread_cond_broadcast(&g_turned);
	}
	pthread_mutex_unlock(&g_lock);
	return NULL;
}

static void *die_holding(void *mutex)
{
	pthread_mutex_lock(mutex);
	return NULL;
}

static long deep(int n)
{
	volatile char frame[4096];

	frame[0] = (char)n;
	return n ? deep(n - 1) + frame[0] - frame[0] + 1 : 0;
}

static void *run_deep(void *argument)
{
	(void)argument;
	return (void *)deep(400);
}

static void *nothing(void *argument)
{
	return argument;
}

static void run_all(void *(*function)(void *), const char *what)
{
	pthread_t thread[THREADS];

	for (long i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, function, (void *)i);
	for (int i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(thread[i], &result);
		if (what)
			printf("%s %d: %ld\n", what, i, (long)result);
	}
}

int main(void)
{
	pthread_barrier_init(&g_barrier, NULL, THREADS);
	run_all(add, "thread");
	printf("sum %ld, atomic %ld, main's own count %ld\n", g_sum, atomic_load(&g_atomic), t_count);
	run_all(take_turns, NULL);

	pthread_mutexattr_t robust;
	pthread_mutex_t mutex;
	pthread_t thread;
	pthread_mutexattr_init(&robust);
	pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&mutex, &robust);
	pthread_create(&thread, NULL, die_holding, &mutex);
	pthread_join(thread, NULL);
	printf("owner died: %d\n", pthread_mutex_lock(&mutex) == EOWNERDEAD);

	struct timespec deadline;
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_nsec += 20000000;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_sec++;
		deadline.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&g_lock);
	int ret = 0;
	while (ret == 0)
		ret = pthread_cond_timedwait(&g_turned, &g_lock, &deadline);
	printf("timed wait: %s\n", strerror(ret));
	pthread_mutex_unlock(&g_lock);

	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 4 << 20);
	void *depth;
	pthread_create(&thread, &attributes, run_deep, NULL);
	pthread_join(thread, &depth);
	printf("depth %ld\n", (long)depth);

	long joined = 0;
	for (long i = 0; i < 200; i++) {
		void *result;
		if (pthread_create(&thread, NULL, nothing, (void *)i) == 0 && pthread_join(thread, &result) == 0)
			joined += (long)result == i;
	}
	printf("%ld of 200 threads\n", joined);
	return 0;
}
