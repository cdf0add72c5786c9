/*
 * Threads as the kernel sees them: 1000 created and joined, numbers, names, robust mutexes whose owner dies, futexes
 * with timeouts and their errors, cancellation in system calls, the first thread leaving before the others, clone's
 * refusals, affinity and limits.
 * Build: gcc
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_int g_ran;
static int g_pipe[2];

static void *run(void *argument)
{
	g_ran++;
	return argument;
}

static void many(void)
{
	pthread_t thread[50];
	long sum = 0;

	for (int round = 0; round < 20; round++) {
		for (long i = 0; i < 50; i++)
			if (pthread_create(&thread[i], NULL, run, (void *)i))
				printf("create failed\n");
		for (int i = 0; i < 50; i++) {
			void *result;
			pthread_join(thread[i], &result);
			sum += (long)result;
		}
	}
	printf("ran %d, sum %ld\n", g_ran, sum);
}

static void *name(void *argument)
{
	char text[16];

	(void)argument;
	prctl(PR_GET_NAME, text);
	printf("inherited %d\n", !strcmp(text, "first"));
	pthread_setname_np(pthread_self(), "second");
	prctl(PR_GET_NAME, text);
	printf("name %s, tid is not pid %d\n", text, syscall(SYS_gettid) != getpid());
	return NULL;
}

static void *die_with_lock(void *mutex)
{
	pthread_mutex_lock(mutex);
	return NULL;
}

static void robust(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t mutex;
	pthread_t thread;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&mutex, &attr);
	for (int i = 0; i < 3; i++) {
		pthread_create(&thread, NULL, die_with_lock, &mutex);
		pthread_join(thread, NULL);
		int err = pthread_mutex_lock(&mutex);
		printf("lock: %s", strerror(err));
		printf(", consistent: %d", pthread_mutex_consistent(&mutex));
		printf(", unlock: %d\n", pthread_mutex_unlock(&mutex));
	}
}

static long futex(void *word, int op, unsigned value, const struct timespec *timeout, void *second, unsigned third)
{
	return syscall(SYS_futex, word, op, value, timeout, second, third);
}

static void say(const char *what, long ret)
{
	printf("%s: %ld %s\n", what, ret, ret < 0 ? strerror(errno) : "");
}

static void futexes(void)
{
	static unsigned word[4] = { 5, 6 };
	struct timespec short_time = { 0, 10000000 }, bad = { 0, 1000000000 }, now;

	say("other value", futex(word, FUTEX_WAIT, 4, NULL, NULL, 0));
	say("timeout", futex(word, FUTEX_WAIT, 5, &short_time, NULL, 0));
	say("bad timeout", futex(word, FUTEX_WAIT, 5, &bad, NULL, 0));
	clock_gettime(CLOCK_MONOTONIC, &now);
	say("past", futex(word, FUTEX_WAIT_BITSET_PRIVATE, 5, &now, NULL, FUTEX_BITSET_MATCH_ANY));
	clock_gettime(CLOCK_REALTIME, &now);
	say("past, real", futex(word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &now, NULL, FUTEX_BITSET_MATCH_ANY));
	say("no bits", futex(word, FUTEX_WAIT_BITSET, 5, &now, NULL, 0));
	say("no memory", futex((void *)16, FUTEX_WAIT, 5, NULL, NULL, 0));
	say("not aligned", futex((char *)word + 1, FUTEX_WAIT, 5, NULL, NULL, 0));
	say("wake nobody", futex(word, FUTEX_WAKE, 1, NULL, NULL, 0));
	say("requeue, changed", futex(word, FUTEX_CMP_REQUEUE, 1, (void *)1, word + 1, 9));
	say("requeue", futex(word, FUTEX_CMP_REQUEUE, 1, (void *)1, word + 1, 5));
	say("wake op", futex(word, FUTEX_WAKE_OP, 1, (void *)1, word + 1, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 6)));
	printf("second word %u\n", word[1]);
	say("no such operation", futex(word, 99, 1, NULL, NULL, 0));
}

static void *block_in_read(void *argument)
{
	char c;

	(void)argument;
	g_ran = 1;
	return (void *)read(g_pipe[0], &c, 1);
}

static void cancel(void)
{
	for (int i = 0; i < 20; i++) {
		pthread_t thread;
		void *result;

		if (pipe(g_pipe))
			return;
		g_ran = 0;
		pthread_create(&thread, NULL, block_in_read, NULL);
		while (!g_ran)
			sched_yield();
		if (i & 1)
			usleep(1000);
		pthread_cancel(thread);
		pthread_join(thread, &result);
		if (result != PTHREAD_CANCELED)
			printf("not cancelled\n");
		close(g_pipe[0]);
		close(g_pipe[1]);
	}
	printf("cancelled\n");
}

static void refusals(void)
{
	cpu_set_t set;
	struct rlimit limit;
	struct sched_param param = { 1 };

	say("sighand without vm", syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, NULL, NULL, NULL, NULL));
	say("thread without sighand", syscall(SYS_clone, CLONE_THREAD | CLONE_VM, NULL, NULL, NULL, NULL));
	say("tgkill", syscall(SYS_tgkill, getpid(), 999999, 0));
	say("tkill 0", syscall(SYS_tkill, 0, 0));
	say("robust list", syscall(SYS_set_robust_list, &set, 3));
	CPU_ZERO(&set);
	say("empty affinity", sched_setaffinity(0, sizeof set, &set));
	sched_getaffinity(0, sizeof set, &set);
	printf("some processors %d\n", CPU_COUNT(&set) > 0);
	say("same affinity", sched_setaffinity(0, sizeof set, &set));
	printf("scheduler %d, max %d, min %d\n", sched_getscheduler(0), sched_get_priority_max(SCHED_OTHER),
	       sched_get_priority_min(SCHED_FIFO));
	say("other with priority", sched_setscheduler(0, SCHED_OTHER, &param));
	getrlimit(RLIMIT_STACK, &limit);
	printf("stack limit %ld\n", (long)limit.rlim_cur);
	limit.rlim_cur = 100, limit.rlim_max = 50;
	say("limit above maximum", setrlimit(RLIMIT_CORE, &limit));
	say("no such limit", syscall(SYS_getrlimit, 99, &limit));
	say("no children", syscall(SYS_wait4, -1, NULL, 0, NULL));
	say("prctl", prctl(99999));
}

static void *last(void *argument)
{
	pthread_join(*(pthread_t *)argument, NULL);
	printf("the first thread has left\n");
	exit(7);
}

int main(void)
{
	static pthread_t main_thread;
	pthread_t thread;

	many();
	prctl(PR_SET_NAME, "first");
	pthread_create(&thread, NULL, name, NULL);
	pthread_join(thread, NULL);
	robust();
	futexes();
	cancel();
	refusals();
	main_thread = pthread_self();
	pthread_create(&thread, NULL, last, &main_thread);
	pthread_exit(NULL);
}
