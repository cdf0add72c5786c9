/*
 * fork: what is copied, what is shared, and that parent and child get on side by side however they wait for one another.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

#define PAGE 4096ul

static int g_data = 1;
static int g_bss;
static __thread int t_local = 5;

static volatile sig_atomic_t g_signals;

static int ended(pid_t pid)
{
	int status = -1;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

/* Runs `f` in a child: its exit status. */
static int in_child(int (*f)(void))
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(f());
	CHECK(pid > 0);
	return ended(pid);
}

/* --- memory --- */

static char *g_heap, *g_private, *g_shared, *g_read_only, *g_big;

static int change_all(void)
{
	int local = 7;
	volatile int *p = &local;

	CHECK(g_data == 1 && g_bss == 0 && t_local == 5 && !strcmp(g_heap, "heap") && g_private[PAGE] == 'p' && g_shared[0] == 's');
	CHECK(g_read_only[3] == 'r' && g_big[0] == 1 && g_big[(8 << 20) - 1] == 2);
	g_data = g_bss = t_local = *p = 2;
	strcpy(g_heap, "child");
	g_private[PAGE] = 'c';
	g_shared[0] = 'c';
	g_big[0] = 77;
	/* The child's own memory, where the parent has none, and less of what it had. */
	CHECK(munmap(g_private, PAGE) == 0);
	CHECK(mprotect(g_read_only, PAGE, PROT_READ | PROT_WRITE) == 0);
	g_read_only[3] = 'w';
	free(g_heap);
	for (int i = 0; i < 200; i++)
		g_heap = memset(malloc(100 + (size_t)i * 3000), i, 100);
	CHECK(mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	return g_failures ? 1 : 42;
}

static void memory(void)
{
	int local = 3, status;
	volatile int *p = &local;

	g_heap = strdup("heap");
	g_private = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	g_shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	g_read_only = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	g_big = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	g_private[0] = g_private[PAGE] = 'p';
	g_shared[0] = 's';
	g_read_only[3] = 'r';
	g_big[0] = 1;
	g_big[(8 << 20) - 1] = 2;
	mprotect(g_read_only, PAGE, PROT_READ);
	for (int i = 0; i < 3; i++) {
		g_shared[0] = 's';
		status = in_child(change_all);
		printf("child %d ended with %#x\n", i, status);
		printf("parent: %d %d %d %d %s %c %c %c %d\n", g_data, g_bss, t_local, *p, g_heap, g_private[PAGE], g_shared[0],
		       g_read_only[3], g_big[0]);
	}
	/* The parent changes its memory while a child lives that still has the old one. */
	int go[2];
	pid_t pid;
	char c;

	CHECK(pipe(go) == 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(go[1]);
		CHECK(read(go[0], &c, 1) == 1);
		CHECK(g_data == 1 && !strcmp(g_heap, "heap") && g_big[0] == 1 && g_private[0] == 'p');
		_exit(g_failures ? 1 : 9);
	}
	close(go[0]);
	g_data = 10;
	strcpy(g_heap, "HEAP");
	munmap(g_big, 8 << 20);
	munmap(g_private, 3 * PAGE);
	g_big = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(g_big, 3, 8 << 20);
	for (int i = 0; i < 300; i++)
		memset(malloc(2000), 3, 2000);
	CHECK(write(go[1], "x", 1) == 1);
	close(go[1]);
	printf("child with the old memory: %#x\n", ended(pid));
	g_data = 1;
	CHECK(g_big[5] == 3);
	munmap(g_big, 8 << 20);
}

static void mappings(void)
{
	int fd = memfd_create("m", 0);
	char *private, *shared;
	pid_t pid;

	CHECK(ftruncate(fd, 4 * (off_t)PAGE) == 0 && pwrite(fd, "file", 4, 0) == 4);
	private = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private[1] = 'I';
	fflush(stdout);
	pid = fork();
	if (!pid) {
		CHECK(!memcmp(private, "fIle", 4));
		private[1] = 'X';
		shared[2] = 'L';
		_exit(g_failures ? 1 : 0);
	}
	printf("mappings: %#x", ended(pid));
	printf(" %.4s %.4s\n", private, shared);
	munmap(private, 4 * PAGE);
	munmap(shared, 4 * PAGE);
	close(fd);
}

/* --- talking --- */

/* Much more than a pipe holds, there and back: both must run in turns. */
static void pipes(void)
{
	enum { SIZE = 1 << 20 };
	int there[2], back[2];
	char *buf = malloc(SIZE);
	size_t sum = 0, total = 0;
	ssize_t n;
	pid_t pid, writer;

	CHECK(pipe(there) == 0 && pipe(back) == 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(there[1]);
		close(back[0]);
		while ((n = read(there[0], buf, 5000)) > 0) {
			for (ssize_t i = 0; i < n; i++)
				buf[i]++;
			for (ssize_t i = 0, w; i < n; i += w) {
				w = write(back[1], buf + i, (size_t)(n - i));
				if (w <= 0)
					_exit(1);
			}
		}
		_exit(0);
	}
	writer = fork();
	if (!writer) {
		close(there[0]);
		close(back[0]);
		close(back[1]);
		for (int i = 0; i < SIZE; i++)
			buf[i] = 1;
		for (size_t i = 0; i < SIZE; i += 8192)
			if (write(there[1], buf + i, 8192) != 8192)
				_exit(1);
		_exit(0);
	}
	close(there[0]);
	close(there[1]);
	close(back[1]);
	while ((n = read(back[0], buf, SIZE)) > 0)
		for (ssize_t i = 0; i < n; i++, total++)
			sum += (unsigned char)buf[i];
	printf("pipes: %zu bytes, sum %zu", total, sum);
	printf(", %#x %#x\n", ended(pid), ended(writer));
	close(back[0]);
	free(buf);
}

/* Children that compute and never wait do not keep anybody from going on. */
static void spinning(void)
{
	volatile unsigned long *count = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid[3];
	int all;

	fflush(stdout);
	for (int i = 0; i < 3; i++) {
		pid[i] = fork();
		if (!pid[i])
			for (;;)
				count[i * 8]++;
	}
	do {
		count[32]++;
		all = count[0] > 100000 && count[8] > 100000 && count[16] > 100000;
	} while (!all);
	for (int i = 0; i < 3; i++)
		CHECK(kill(pid[i], SIGKILL) == 0);
	for (int i = 0; i < 3; i++)
		printf("spinning: %#x\n", ended(pid[i]));
	munmap((void *)count, PAGE);
}

static void on_signal(int sig)
{
	(void)sig;
	g_signals++;
}

static void signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t usr1, old;
	pid_t pid;

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &old);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		for (int i = 0; i < 100; i++) {
			kill(getppid(), SIGUSR1);
			while (g_signals <= i)
				sigsuspend(&old);
		}
		_exit(g_signals == 100 ? 3 : 1);
	}
	for (int i = 0; i < 100; i++) {
		while (g_signals <= i)
			sigsuspend(&old);
		kill(pid, SIGUSR1);
	}
	printf("signals: %#x, parent had %d\n", ended(pid), (int)g_signals);
	sigprocmask(SIG_SETMASK, &old, NULL);
	pid = fork();
	if (!pid) {
		*(volatile int *)16 = 1;
		_exit(0);
	}
	printf("a child that faults: signal %d\n", WTERMSIG(ended(pid)));
}

/* --- generations --- */

static int descend(int depth)
{
	int mine = depth * 3;
	pid_t pid;
	int status;

	if (!depth)
		return 1;
	pid = fork();
	if (!pid)
		_exit(descend(depth - 1) + 1);
	if (pid < 0)
		return 100;
	waitpid(pid, &status, 0);
	return mine == depth * 3 ? WEXITSTATUS(status) : 200;
}

static int tree(int depth)
{
	int sum = 1;
	pid_t pid[2];

	if (!depth)
		return 1;
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(tree(depth - 1));
	}
	for (int i = 0; i < 2; i++) {
		int status = 0;

		if (pid[i] < 0 || waitpid(pid[i], &status, 0) != pid[i])
			return 200;
		sum += WEXITSTATUS(status);
	}
	return sum;
}

/* The child of a child whose parent has gone still has its memory. */
static void orphan(void)
{
	int p[2];
	char buf[16] = "";
	pid_t pid;

	CHECK(pipe(p) == 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		g_data = 33;
		if (!fork()) {
			usleep(20000);
			snprintf(buf, sizeof buf, "%d", g_data);
			CHECK(write(p[1], buf, strlen(buf)) == 2);
			_exit(0);
		}
		_exit(0);
	}
	close(p[1]);
	CHECK(ended(pid) == 0);
	CHECK(read(p[0], buf, sizeof buf) == 2);
	printf("orphan: %s, here %d\n", buf, g_data);
	close(p[0]);
}

static void executing(void)
{
	char buf[64] = "";
	int p[2];
	FILE *f;
	pid_t pid;

	CHECK(pipe(p) == 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(p[1], 1);
		close(p[0]);
		close(p[1]);
		execlp("sh", "sh", "-c", "x=$(echo sub | tr a-z A-Z); (echo $x; exit 3); echo $?", NULL);
		_exit(1);
	}
	close(p[1]);
	f = fdopen(p[0], "r");
	while (fgets(buf, sizeof buf, f))
		printf("sh says %s", buf);
	fclose(f);
	printf("sh ended: %#x\n", ended(pid));
}

/* What C libraries know of the thread is right on both sides. */
static int identity(void)
{
	pthread_mutexattr_t a;
	pthread_mutex_t m;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&m, &a);
	CHECK(pthread_mutex_lock(&m) == 0 && pthread_mutex_lock(&m) == EDEADLK);
	CHECK(m.__data.__owner == gettid() && pthread_mutex_unlock(&m) == 0);
	g_signals = 0;
	CHECK(raise(SIGUSR1) == 0 && g_signals == 1);
	return g_failures ? 1 : 6;
}

/* --- threads --- */

static atomic_int g_stop;
static atomic_ulong g_turns;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_cond = PTHREAD_COND_INITIALIZER;
static int g_token;

static void *work(void *arg)
{
	int me = (int)(intptr_t)arg;

	while (!g_stop) {
		pthread_mutex_lock(&g_mutex);
		while (g_token != me && !g_stop)
			pthread_cond_wait(&g_cond, &g_mutex);
		g_token = !me;
		g_turns++;
		pthread_cond_broadcast(&g_cond);
		pthread_mutex_unlock(&g_mutex);
	}
	return NULL;
}

static int alone(void)
{
	pthread_t t;

	/* The others are not here. New ones can be. */
	g_stop = 1;
	pthread_mutex_init(&g_mutex, NULL);
	CHECK(pthread_create(&t, NULL, work, (void *)0) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	return g_failures ? 1 : 8;
}

static void threads(void)
{
	pthread_t t[2];
	int wrong = 0;

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, work, (void *)(intptr_t)i);
	for (int i = 0; i < 20; i++) {
		unsigned long before = g_turns;

		while (g_turns < before + 10)
			usleep(100);
		wrong += in_child(alone) != 8 << 8;
	}
	g_stop = 1;
	pthread_cond_broadcast(&g_cond);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	printf("threads: %d wrong\n", wrong);
}

/* What another thread writes in an order is not copied as if it had written in another one. */
#define MARKS_SIZE (4ul << 20)
static volatile uint64_t *g_low, *g_high;

static void *mark(void *arg)
{
	for (uint64_t i = 1; !g_stop; i++) {
		g_low[0] = i;
		g_high[0] = i;
		g_high[1] = i;
		g_low[1] = i;
	}
	return arg;
}

static int in_order(void)
{
	return g_low[0] - g_high[0] <= 1 && g_high[1] - g_low[1] <= 1 ? 9 : 1;
}

static void snapshot(void)
{
	char *marks = mmap(NULL, MARKS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t t;
	int wrong = 0;

	memset(marks + PAGE, 1, MARKS_SIZE - 2 * PAGE);
	g_low = (uint64_t *)marks;
	g_high = (uint64_t *)(marks + MARKS_SIZE - PAGE);
	g_stop = 0;
	pthread_create(&t, NULL, mark, NULL);
	for (int i = 0; i < 40; i++)
		wrong += in_child(in_order) != 9 << 8;
	g_stop = 1;
	pthread_join(t, NULL);
	munmap(marks, MARKS_SIZE);
	printf("snapshot: %d wrong\n", wrong);
}

static int nothing(void)
{
	return 0;
}

static void *fork_on(void *arg)
{
	while (!g_stop) {
		in_child(nothing);
		usleep(2000);
	}
	return arg;
}

static void say(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

/* Waits end in their time though another thread forks again and again meanwhile. */
static void timeouts(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0), local = eventfd(0, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
	struct pollfd p[2] = { { .fd = timer, .events = POLLIN }, { .fd = local, .events = POLLIN } };
	struct timespec time = { .tv_nsec = 100000000 };
	uint32_t word = 1;
	pthread_t t;

	CHECK(!epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event));
	g_stop = 0;
	fflush(stdout);
	pthread_create(&t, NULL, fork_on, NULL);
	say("epoll_wait", epoll_wait(epoll, &event, 1, 100));
	say("poll of the host's", poll(p, 1, 100));
	say("poll of both", poll(p, 2, 100));
	say("futex", syscall(SYS_futex, &word, FUTEX_WAIT, 1, &time, NULL, 0));
	say("nanosleep", nanosleep(&time, NULL));
	g_stop = 1;
	pthread_join(t, NULL);
	close(timer);
	close(local);
	close(epoll);
}

/* A process-shared mutex and condition between parent and child. */
static void shared_locks(void)
{
	struct both {
		pthread_mutex_t mutex;
		pthread_cond_t cond;
		int turn, count;
	} *b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t ma;
	pthread_condattr_t ca;
	pid_t pid;

	pthread_mutexattr_init(&ma);
	pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
	pthread_condattr_init(&ca);
	pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&b->mutex, &ma);
	pthread_cond_init(&b->cond, &ca);
	fflush(stdout);
	pid = fork();
	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&b->mutex);
		while (b->turn != !pid)
			pthread_cond_wait(&b->cond, &b->mutex);
		b->turn = !b->turn;
		b->count++;
		pthread_cond_signal(&b->cond);
		pthread_mutex_unlock(&b->mutex);
	}
	if (!pid)
		_exit(0);
	printf("shared locks: %#x", ended(pid));
	printf(", %d turns\n", b->count);
	munmap(b, PAGE);
}

static void growing(void)
{
	pid_t pid[4];

	fflush(stdout);
	for (int c = 0; c < 4; c++) {
		pid[c] = fork();
		if (!pid[c]) {
			char *list[200];

			for (int round = 0; round < 5; round++) {
				for (int i = 0; i < 200; i++) {
					list[i] = malloc((size_t)(i * 137 % 70000) + 1);
					memset(list[i], c + round, (size_t)(i * 137 % 70000) + 1);
					if (i % 50 == 0)
						sched_yield();
				}
				for (int i = 0; i < 200; i++) {
					CHECK(list[i][i * 137 % 70000] == c + round);
					free(list[i]);
				}
			}
			_exit(g_failures ? 1 : c);
		}
	}
	for (int c = 0; c < 4; c++)
		printf("growing: %#x\n", ended(pid[c]));
}

int main(void)
{
	memory();
	mappings();
	pipes();
	spinning();
	signals();
	printf("generations: %d\n", descend(12));
	fflush(stdout);
	printf("tree: %d\n", tree(4));
	orphan();
	executing();
	printf("identity: child %#x", in_child(identity));
	printf(", parent %d\n", identity());
	threads();
	snapshot();
	timeouts();
	shared_locks();
	growing();
	printf("%d failures\n", g_failures);
	return g_failures != 0;
}
