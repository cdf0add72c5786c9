/*
 * POSIX message queues: names, errors and their order, limits, priorities, who waits, poll, descriptors, mq_notify, permissions.
 * Args: {name}
 */
#define _GNU_SOURCE
#include "process.h"
#include "say.h"

#include <grp.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#define NOBODY 4321

static char g_name[64], g_other[64];
static char g_buf[10000];
static char *volatile g_nowhere;

static mqd_t make(const char *name, int flags, long count, long size)
{
	struct mq_attr a = { .mq_maxmsg = count, .mq_msgsize = size };

	return mq_open(name, O_CREAT | flags, 0600, &a);
}

static void show(const char *what, mqd_t q)
{
	struct mq_attr a;

	memset(&a, 0xff, sizeof(a));
	if (mq_getattr(q, &a))
		say(what, -1);
	else
		printf("%s: flags %lo, %ld of %ld messages of %ld\n", what, (unsigned long)a.mq_flags, a.mq_curmsgs, a.mq_maxmsg, a.mq_msgsize);
}

static void get(mqd_t q)
{
	unsigned priority = 77;
	ssize_t n = mq_receive(q, g_buf, sizeof(g_buf), &priority);

	if (n < 0)
		printf("receive: %s\n", strerror(errno));
	else
		printf("receive: %zd %u %.*s\n", n, priority, (int)(n < 20 ? n : 20), g_buf);
}

static int put(mqd_t q, unsigned priority, const char *text)
{
	return mq_send(q, text, strlen(text), priority);
}

static void until_asleep(pid_t pid, pid_t tid)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	while (state != 'S') {
		FILE *f = fopen(path, "r");

		if (f && fscanf(f, "%*d %*s %c", &state) != 1)
			state = 0;
		if (f)
			fclose(f);
		usleep(2000);
	}
}

static void names(void)
{
	char longest[300];
	mqd_t q;

	T(mq_open("no-slash", O_RDWR));
	T(mq_open("/", O_RDWR | O_CREAT, 0600, NULL));
	T(mq_open("/.", O_RDWR | O_CREAT, 0600, NULL));
	T(mq_open("/..", O_RDWR | O_CREAT, 0600, NULL));
	T(mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL));
	T(syscall(SYS_mq_open, "", O_RDWR, 0, NULL));
	T(syscall(SYS_mq_open, NULL, O_RDWR, 0, NULL));
	T(syscall(SYS_mq_open, "x", O_RDWR, 0, 1));
	T(syscall(SYS_mq_unlink, NULL));
	T(syscall(SYS_mq_unlink, ""));
	T(mq_unlink("/a/b"));
	T(mq_unlink("/.."));
	memset(longest, 'n', sizeof(longest));
	*longest = '/';
	longest[257] = 0;
	T(mq_open(longest, O_RDWR | O_CREAT, 0600, NULL));
	T(mq_unlink(longest));
	longest[256] = 0;
	memcpy(longest + 1, g_word, strlen(g_word));
	q = mq_open(longest, O_RDWR | O_CREAT, 0600, NULL);
	T(q);
	T(mq_close(q));
	T(mq_unlink(longest));
	T(mq_unlink(longest));
	T(mq_open(g_name, O_RDWR));
	T(mq_unlink(g_name));
}

static void opening(void)
{
	mqd_t q = mq_open(g_name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), r;

	T(q);
	show("default", q);
	T(mq_open(g_name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL));
	T(mq_open(g_name, 3));
	r = make(g_name, O_RDONLY | O_NONBLOCK, 3, 3); /* it is there: no new attributes */
	T(r);
	show("again", r);
	T(put(r, 0, "x"));
	T(mq_close(r));
	T(mq_close(r));
	r = mq_open(g_name, O_WRONLY);
	T(mq_receive(r, g_buf, sizeof(g_buf), NULL));
	T(read(r, g_buf, 1));
	T(put(r, 0, "by the writer"));
	T(mq_close(r));
	get(q);
	T(mq_close(q));
	T(mq_unlink(g_name));
	T(mq_open(g_name, O_RDWR));
	q = mq_open(g_name, 3 | O_CREAT, 0600, NULL); /* neither reads nor writes */
	T(q);
	T(put(q, 0, "x"));
	T(mq_receive(q, g_buf, sizeof(g_buf), NULL));
	T(mq_close(q));
	T(mq_unlink(g_name));
}

static void limits_of_somebody(void)
{
	static const long tries[][2] = { { 0, 1 }, { 1, 0 }, { -1, 1 }, { 1, -1 }, { 10, 8192 }, { 11, 1 }, { 1, 8193 }, { 65537, 1 },
					 { LONG_MAX, LONG_MAX } };
	struct rlimit old, none = { 0, 0 };

	for (unsigned i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		mqd_t q = make(g_name, O_RDWR | O_EXCL, tries[i][0], tries[i][1]);

		printf("%ld of %ld: %s\n", tries[i][0], tries[i][1], q < 0 ? strerror(errno) : "ok");
		if (q >= 0) {
			mq_close(q);
			mq_unlink(g_name);
		}
	}
	getrlimit(RLIMIT_MSGQUEUE, &old);
	none.rlim_max = old.rlim_max;
	printf("limit %ld\n", (long)old.rlim_cur);
	setrlimit(RLIMIT_MSGQUEUE, &none);
	T(make(g_name, O_RDWR, 1, 1));
	none.rlim_cur = 2 * (1 + 96);
	setrlimit(RLIMIT_MSGQUEUE, &none);
	int a = make(g_name, O_RDWR, 1, 1), b = make(g_other, O_RDWR, 1, 1);
	T(a);
	T(b);
	T(mq_unlink(g_name));
	T(make(g_name, O_RDWR, 1, 1)); /* it is still open */
	T(mq_close(a));
	a = make(g_name, O_RDWR, 1, 1);
	T(a);
	mq_close(a), mq_close(b), mq_unlink(g_name), mq_unlink(g_other);
	setrlimit(RLIMIT_MSGQUEUE, &old);
}

/* Of a user without rights: whether user 0 has them natively, depends. ipc_mqueue_limits.c tries them in a cVM. */
static void limits(void)
{
	pid_t pid = fork();

	if (!pid) {
		if (setgid(NOBODY) || setuid(NOBODY))
			printf("cannot be another user\n");
		limits_of_somebody();
		_exit(0);
	}
	reap("somebody", pid);
}

static void errors(void)
{
	mqd_t q = make(g_name, O_RDWR | O_EXCL, 2, 8);
	struct timespec bad[] = { { -1, 0 }, { 0, -1 }, { 0, 1000000000 } }, past = { 0, 0 };
	struct mq_attr a = { .mq_flags = O_NONBLOCK | O_APPEND };
	struct mq_attr reserved;
	int other = dup(0);

	T(mq_send(-1, "x", 1, 0));
	T(mq_send(other, "x", 1, 0));
	T(mq_send(99, "x", 99, MQ_PRIO_MAX - 1 + 1));
	T(mq_send(q, "x", 1, 32768));
	T(mq_send(q, "123456789", 9, 0));
	T(mq_send(q, g_nowhere, 1, 0));
	T(mq_send(q, g_nowhere, (size_t)-1, 0));
	T(mq_timedsend(99, "x", 1, 32768, &bad[0]));
	for (int i = 0; i < 3; i++)
		T(mq_timedsend(q, "x", 1, 0, &bad[i]));
	T(syscall(SYS_mq_timedsend, q, "x", 1, 0, 1));
	T(mq_receive(-1, g_buf, 8, NULL));
	T(mq_receive(other, g_buf, 8, NULL));
	T(mq_receive(q, g_buf, 7, NULL));
	T(mq_timedreceive(q, g_buf, 8, NULL, &bad[2]));
	T(syscall(SYS_mq_timedreceive, 99, g_buf, 8, NULL, 1));
	T(mq_timedreceive(q, g_buf, 8, NULL, &past));
	T(mq_send(q, g_nowhere, 0, 0));
	T(put(q, 1, "lost"));
	T(mq_timedsend(q, "x", 1, 0, &past));
	T(mq_timedsend(q, g_nowhere, 1, 0, &past));
	T(mq_receive(q, g_nowhere, 8, NULL));
	show("lost", q);
	T(syscall(SYS_mq_timedreceive, q, g_buf, 8, 1, NULL));
	show("lost", q);
	T(mq_setattr(q, &a, NULL));
	T(mq_setattr(99, &a, NULL));
	T(mq_getattr(other, &a));
	T(mq_getattr(99, &a));
	T(syscall(SYS_mq_getsetattr, q, 1, NULL));
	T(syscall(SYS_mq_getsetattr, q, NULL, 1));
	T(syscall(SYS_mq_getsetattr, q, NULL, NULL));
	a = (struct mq_attr){ .mq_flags = O_NONBLOCK, .mq_maxmsg = 99, .mq_msgsize = 99, .mq_curmsgs = 99 };
	memset(&reserved, 0xff, sizeof(reserved));
	T(mq_setattr(q, &a, &reserved));
	printf("before: flags %ld, %ld of %ld, reserved %ld\n", reserved.mq_flags, reserved.mq_maxmsg, reserved.mq_msgsize,
	       ((long *)&reserved)[7]);
	show("not blocking", q);
	get(q);
	put(q, 0, "a"), put(q, 0, "b");
	T(put(q, 0, "c"));
	T(mq_timedsend(q, "c", 1, 0, &past));
	close(other);
	mq_close(q), mq_unlink(g_name);
}

static void order(void)
{
	mqd_t q = make(g_name, O_RDWR | O_NONBLOCK, 10, 100);

	put(q, 1, "one"), put(q, 32767, "most"), put(q, 0, "none"), put(q, 1, "one again"), put(q, 5, "five"), put(q, 0, "none again");
	put(q, 32767, ""), put(q, 5, "five again");
	show("eight", q);
	for (int i = 0; i < 9; i++)
		get(q);
	mq_close(q), mq_unlink(g_name);
	q = make(g_name, O_RDWR | O_NONBLOCK, 1, 8192);
	for (int i = 0; i < 8192; i++)
		g_buf[i] = (char)('a' + i % 26);
	T(mq_send(q, g_buf, 8192, 3));
	memset(g_buf, 0, sizeof(g_buf));
	get(q);
	printf("the last %c\n", g_buf[8191]);
	mq_close(q), mq_unlink(g_name);
}

static pid_t receiver(mqd_t q)
{
	pid_t pid = fork();

	if (!pid) {
		unsigned priority;
		ssize_t n = mq_receive(q, g_buf, sizeof(g_buf), &priority);

		_exit(n < 0 ? 100 + errno : (int)priority * 10 + (int)n);
	}
	until_asleep(pid, pid);
	return pid;
}

static pid_t sender(mqd_t q, unsigned priority, const char *text)
{
	pid_t pid = fork();

	if (!pid)
		_exit(put(q, priority, text) ? errno : 0);
	until_asleep(pid, pid);
	return pid;
}

static void on_signal(int sig)
{
	(void)sig;
}

static void processes(void)
{
	mqd_t q = make(g_name, O_RDWR, 1, 100);
	pid_t a = receiver(q), b = receiver(q);

	put(q, 2, "one");
	reap("the older", a);
	put(q, 3, "three");
	reap("the younger", b);
	show("none is left", q);
	put(q, 1, "first");
	a = sender(q, 2, "second");
	b = sender(q, 3, "third");
	show("two wait", q);
	get(q);
	reap("the older", a);
	show("it is in", q);
	get(q);
	reap("the younger", b);
	get(q);
	show("none", q);
	a = receiver(q);
	mq_close(q), mq_unlink(g_name); /* the child still has it */
	kill(a, SIGTERM);
	reap("killed", a);
}

struct worker {
	pthread_t thread;
	mqd_t q;
	pid_t tid;
	unsigned number;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	long sum = 0;

	for (;;) {
		unsigned n = 0;

		if (mq_receive(w->q, (char *)&n, sizeof(n), NULL) != sizeof(n) || !n)
			return (void *)sum;
		sum += n;
	}
}

static void threads(void)
{
	mqd_t q = make(g_name, O_RDWR, 3, sizeof(unsigned));
	struct worker w[3];
	long sum = 0;

	for (int i = 0; i < 3; i++) {
		w[i].q = q;
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	for (unsigned i = 1; i <= 3000; i++)
		mq_send(q, (char *)&i, sizeof(i), i % 7);
	for (unsigned i = 0, end = 0; i < 3; i++)
		mq_send(q, (char *)&end, sizeof(end), 0);
	for (int i = 0; i < 3; i++) {
		void *part;

		pthread_join(w[i].thread, &part);
		sum += (long)part;
	}
	printf("sum %ld\n", sum);
	mq_close(q), mq_unlink(g_name);
}

/* Two processes, each waiting for the other's answer. */
static void to_and_fro(void)
{
	mqd_t there = make(g_name, O_RDWR, 1, 4), back = make(g_other, O_RDWR, 1, 4);
	unsigned n = 0;
	pid_t pid = fork();

	if (!pid) {
		for (int i = 0; i < 500; i++) {
			mq_receive(there, (char *)&n, sizeof(n), NULL);
			n++;
			mq_send(back, (char *)&n, sizeof(n), 0);
		}
		_exit(0);
	}
	for (int i = 0; i < 500; i++) {
		mq_send(there, (char *)&n, sizeof(n), 0);
		mq_receive(back, (char *)&n, sizeof(n), NULL);
	}
	reap("partner", pid);
	printf("counted to %u\n", n);
	mq_close(there), mq_close(back), mq_unlink(g_name), mq_unlink(g_other);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct timespec soon(int ms)
{
	int64_t at = now_ms() + ms;

	return (struct timespec){ at / 1000, at % 1000 * 1000000 };
}

static void *send_late(void *arg)
{
	struct worker *w = arg;

	until_asleep(getpid(), w->tid);
	put(w->q, 4, "late");
	return NULL;
}

static void timeouts(void)
{
	mqd_t q = make(g_name, O_RDWR, 1, 100);
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval t = { .it_value.tv_usec = 20000, .it_interval.tv_usec = 20000 }, off = { 0 };
	struct timespec far = { LONG_MAX, 0 }, at = soon(30);
	struct worker w = { .q = q, .tid = (pid_t)syscall(SYS_gettid) };
	int64_t from = now_ms();

	T(mq_timedreceive(q, g_buf, sizeof(g_buf), NULL, &at));
	printf("waited %d\n", now_ms() - from >= 28);
	put(q, 0, "full");
	at = soon(30), from = now_ms();
	T(mq_timedsend(q, "x", 1, 0, &at));
	printf("waited %d\n", now_ms() - from >= 28);
	T(mq_timedreceive(q, g_buf, sizeof(g_buf), NULL, &at)); /* there is one: no matter how late */
	pthread_create(&w.thread, NULL, send_late, &w);
	T(mq_timedreceive(q, g_buf, sizeof(g_buf), NULL, &far));
	pthread_join(w.thread, NULL);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
	T(mq_receive(q, g_buf, sizeof(g_buf), NULL));
	T(mq_timedreceive(q, g_buf, sizeof(g_buf), NULL, &far));
	put(q, 0, "full");
	T(put(q, 0, "more"));
	get(q);
	action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	at = soon(90), from = now_ms();
	T(mq_timedreceive(q, g_buf, sizeof(g_buf), NULL, &at)); /* restarted, the time is the same */
	printf("waited %d\n", now_ms() - from >= 88);
	setitimer(ITIMER_REAL, &off, NULL);
	show("none", q);
	mq_close(q), mq_unlink(g_name);
}

static void ready(const char *what, mqd_t q, int ep)
{
	struct pollfd p = { .fd = q, .events = POLLIN | POLLOUT };
	struct epoll_event e = { 0 };
	int n = poll(&p, 1, 0), m = epoll_wait(ep, &e, 1, 0);

	printf("%s: poll %d %x, epoll %d %x\n", what, n, (unsigned)p.revents, m, e.events);
}

static void polling(void)
{
	mqd_t q = make(g_name, O_RDWR | O_NONBLOCK, 2, 100), r = mq_open(g_name, O_RDONLY);
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT };
	struct pollfd p = { .fd = r, .events = POLLIN };
	int ep = epoll_create1(0);
	pid_t pid;

	T(epoll_ctl(ep, EPOLL_CTL_ADD, q, &e));
	ready("empty", q, ep);
	put(q, 0, "one");
	ready("one", q, ep);
	put(q, 0, "two");
	ready("full", q, ep);
	get(q);
	ready("one", q, ep);
	get(q);
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(poll(&p, 1, -1) == 1 && p.revents == POLLIN ? 0 : 1);
	until_asleep(pid, pid);
	put(q, 0, "wakes");
	reap("poll", pid);
	put(q, 0, "full");
	e.events = EPOLLOUT | EPOLLET;
	T(epoll_ctl(ep, EPOLL_CTL_MOD, q, &e));
	printf("not yet %d\n", epoll_wait(ep, &e, 1, 0));
	pid = fork();
	if (!pid)
		_exit(epoll_wait(ep, &e, 1, -1) == 1 && e.events == EPOLLOUT ? 0 : 1);
	until_asleep(pid, pid);
	get(q);
	reap("epoll", pid);
	close(ep), mq_close(q), mq_close(r), mq_unlink(g_name);
}

static void line(const char *what, mqd_t q)
{
	char text[200];
	ssize_t n = pread(q, text, sizeof(text), 0);
	char *pid = n > 0 ? memmem(text, (size_t)n, "NOTIFY_PID:", 11) : NULL;

	if (!pid)
		say(what, n);
	else
		printf("%s: %.*s%s\n", what, (int)(pid + 11 - text), text, atoi(pid + 11) == getpid() ? "me" : atoi(pid + 11) ? "other" : "none");
}

static void descriptors(void)
{
	mqd_t q, r;
	struct stat st;
	char text[100], link[40];
	ssize_t n;

	umask(027);
	q = mq_open(g_name, O_RDWR | O_CREAT | O_NONBLOCK, 01666, NULL);
	umask(0);
	r = mq_open(g_name, O_RDONLY | O_CLOEXEC);
	printf("descriptor %d, file %o\n", fcntl(r, F_GETFD), (unsigned)fcntl(r, F_GETFL));
	mq_close(r);
	fstat(q, &st);
	printf("mode %o, links %ld, size %ld, mine %d %d, times %d\n", st.st_mode, (long)st.st_nlink, (long)st.st_size, st.st_uid == getuid(),
	       st.st_gid == getgid(), st.st_mtime != 0 && st.st_atime != 0 && st.st_ctime != 0);
	printf("descriptor %d, file %o\n", fcntl(q, F_GETFD), (unsigned)fcntl(q, F_GETFL));
	put(q, 1, "12345"), put(q, 0, "678");
	n = read(q, text, sizeof(text));
	printf("%zd %.*s", n, (int)n, text);
	T(read(q, text, sizeof(text)));
	printf("at %ld\n", (long)lseek(q, 6, SEEK_SET));
	n = read(q, text, 3);
	printf("%zd %.*s, at %ld, end %ld\n", n, (int)n, text, (long)lseek(q, 0, SEEK_CUR), (long)lseek(q, 0, SEEK_END));
	T(lseek(q, -1, SEEK_SET));
	T(pread(q, text, 10, 1000));
	T(pread(q, g_nowhere, 10, 0));
	T(write(q, "x", 1));
	T(fchmod(q, 0640));
	T(fchown(q, NOBODY, NOBODY));
	fstat(q, &st);
	printf("mode %o, of %d %d\n", st.st_mode, (int)st.st_uid, (int)st.st_gid);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", q);
	n = readlink(link, text, sizeof(text));
	printf("%d\n", n == (ssize_t)strlen(g_name) && !memcmp(text, g_name, (size_t)n));
	T(fcntl(q, F_SETFL, 0));
	show("blocking", q);
	T(fcntl(q, F_SETFL, O_NONBLOCK));
	show("not blocking", q);
	T(mq_unlink(g_name));
	fstat(q, &st);
	printf("links %ld\n", (long)st.st_nlink);
	n = readlink(link, text, sizeof(text));
	printf("deleted %d\n", n == (ssize_t)strlen(g_name) + 10 && !memcmp(text + n - 10, " (deleted)", 10));
	get(q);
	get(q);
	mq_close(q);
}

static void pass(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	T(sendmsg(socket, &m, 0));
}

static int passed(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(socket, &m, 0) == 1 && CMSG_FIRSTHDR(&m))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static void inherited(void)
{
	mqd_t q = make(g_name, O_RDWR | O_NONBLOCK, 5, 100), r;
	int pair[2];
	char *word;
	pid_t pid;

	put(q, 1, "from before");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		get(q);
		put(q, 2, "from the child");
		fflush(stdout);
		_exit(0);
	}
	reap("child", pid);
	get(q);
	if (asprintf(&word, "%d", q) > 0) {
		reap("closed by execve", start("use", word, NULL));
		keep(q);
		reap("kept", start("use", word, NULL));
	}
	get(q);
	T(mq_unlink(g_name));
	r = make(g_name, O_RDWR | O_NONBLOCK, 5, 100); /* another one */
	put(q, 0, "in the old one");
	get(r);
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pass(pair[0], q);
	mq_close(q);
	q = passed(pair[1]);
	get(q);
	close(pair[0]), close(pair[1]), mq_close(q), mq_close(r), mq_unlink(g_name);
}

static int use(const char *word)
{
	mqd_t q = atoi(word);

	return put(q, 3, "from the program") ? errno : 0;
}

/* --- mq_notify --- */

static siginfo_t g_info;

static void on_notice(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	g_info = *info;
}

static void told(const char *what)
{
	if (!g_info.si_signo)
		printf("%s: nothing\n", what);
	else
		printf("%s: signal %d code %d value %d, from %s, user %d\n", what, g_info.si_signo, g_info.si_code, g_info.si_value.sival_int,
		       g_info.si_pid == getpid() ? "me" : "other", (int)g_info.si_uid);
	memset(&g_info, 0, sizeof(g_info));
}

static void notify_errors(mqd_t q)
{
	struct sigevent e = { .sigev_notify = 9 };
	char cookie[32] = { 0 };
	int pair[2], none[2];

	T(mq_notify(q, &e));
	e.sigev_notify = SIGEV_SIGNAL, e.sigev_signo = 65;
	T(mq_notify(q, &e));
	e.sigev_signo = -1;
	T(mq_notify(99, &e));
	e.sigev_signo = SIGUSR1;
	T(mq_notify(99, &e));
	T(mq_notify(99, NULL));
	new_pipe(none);
	T(mq_notify(none[0], &e));
	T(mq_notify(q, NULL));
	T(syscall(SYS_mq_notify, q, 1));
	e.sigev_notify = SIGEV_THREAD;
	T(syscall(SYS_mq_notify, q, &e));
	e.sigev_value.sival_ptr = cookie;
	e.sigev_signo = 99;
	T(syscall(SYS_mq_notify, q, &e));
	e.sigev_signo = none[0];
	T(syscall(SYS_mq_notify, q, &e));
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	e.sigev_signo = pair[0];
	T(syscall(SYS_mq_notify, q, &e));
	line("nobody", q);
	close(pair[0]), close(pair[1]), close(none[0]), close(none[1]);
}

static void notify_signal(mqd_t q)
{
	struct sigaction action = { .sa_sigaction = on_notice, .sa_flags = SA_SIGINFO };
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42 };
	mqd_t again = mq_open(g_name, O_RDONLY);
	pid_t pid;

	sigaction(SIGUSR1, &action, NULL);
	T(mq_notify(q, &e));
	line("asked", q);
	T(mq_notify(again, &e));
	put(q, 0, "one");
	told("not empty");
	line("once", q);
	T(mq_notify(q, &e));
	put(q, 0, "two"); /* it was not empty */
	told("two");
	get(q), get(q);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		T(mq_notify(q, &e));
		line("the child", q);
		T(mq_notify(q, NULL));
		mq_close(again); /* not the parent's */
		fflush(stdout);
		put(q, 0, "from the child");
		_exit(0);
	}
	reap("child", pid);
	told("by the child");
	get(q);
	e.sigev_value.sival_int = 43;
	T(mq_notify(q, &e));
	pid = receiver(q);
	put(q, 1, "xx"); /* for who waits: the queue stays empty */
	reap("receiver", pid);
	told("with a receiver");
	T(mq_notify(q, NULL));
	put(q, 0, "xx");
	told("asked no more");
	get(q);
	T(mq_notify(q, &e));
	mq_close(again); /* any descriptor */
	line("closed", q);
	put(q, 0, "xx");
	told("closed");
	get(q);
	e.sigev_signo = 0;
	T(mq_notify(q, &e));
	put(q, 0, "xx");
	told("signal 0");
	line("signal 0", q);
	get(q);
	e.sigev_notify = SIGEV_NONE;
	T(mq_notify(q, &e));
	line("none", q);
	e.sigev_notify = SIGEV_SIGNAL;
	T(mq_notify(q, &e));
	put(q, 0, "xx");
	line("none any more", q);
	get(q);
}

static int deaf(const char *word)
{
	mqd_t q = atoi(word);

	line("the program", q);
	T(put(q, 0, "would kill"));
	line("the program", q);
	return 0;
}

/* Who has executed another program is not sent the old one's signals, but stands there. */
static void notify_exec(mqd_t q)
{
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	char *word = keep(q);
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		char *words[] = { g_self, "deaf", word, NULL };

		T(mq_notify(q, &e));
		fflush(stdout);
		execve(g_self, words, environ);
		_exit(126);
	}
	reap("deaf", pid);
	drop(q);
	get(q);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		T(mq_notify(q, &e));
		_exit(0);
	}
	reap("asked and ended", pid);
	line("it has ended", q);
}

static int g_done; /* descriptor of who waits for the thread */
static int g_value;

static void in_thread(union sigval value)
{
	g_value = value.sival_int;
	tell(g_done);
}

static void notify_thread(mqd_t q)
{
	int ends[2];
	struct sigevent e = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = in_thread, .sigev_value.sival_int = 7 };

	new_pipe(ends);
	g_done = ends[1];
	for (int i = 0; i < 3; i++) {
		e.sigev_value.sival_int = 7 + i;
		T(mq_notify(q, &e));
		line("thread", q);
		put(q, 0, "for a thread");
		T(hear(ends[0]));
		printf("value %d\n", g_value);
		get(q);
	}
	T(mq_notify(q, &e));
	T(mq_notify(q, NULL));
	line("no thread", q);
	put(q, 0, "for nobody");
	get(q);
	close(ends[0]), close(ends[1]);
}

/* What the C library does for SIGEV_THREAD, by hand. */
static void notify_socket(mqd_t q)
{
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	unsigned char cookie[32], got[64];
	struct sigevent e = { .sigev_notify = SIGEV_THREAD, .sigev_signo = s, .sigev_value.sival_ptr = cookie };
	struct pollfd p = { .fd = s, .events = POLLIN };

	for (unsigned i = 0; i < sizeof(cookie); i++)
		cookie[i] = (unsigned char)(i * 7);
	for (int i = 0; i < 2; i++) {
		ssize_t n;

		T(syscall(SYS_mq_notify, q, &e));
		printf("poll %d\n", poll(&p, 1, 0));
		if (i)
			T(mq_notify(q, NULL));
		else
			T(put(q, 0, "to the socket"));
		printf("poll %d %x\n", poll(&p, 1, 0), (unsigned)p.revents);
		printf("peek %zd\n", recv(s, got, 5, MSG_PEEK | MSG_TRUNC));
		n = recv(s, got, sizeof(got), MSG_WAITALL);
		printf("%zd bytes, the same %d, code %d\n", n, !memcmp(got, cookie, 31), got[31]);
	}
	T(recv(s, got, sizeof(got), MSG_DONTWAIT));
	get(q);
	close(s);
}

static void notify(void)
{
	mqd_t q = make(g_name, O_RDWR, 5, 100);

	notify_errors(q);
	notify_signal(q);
	notify_exec(q);
	notify_socket(q);
	notify_thread(q);
	mq_close(q), mq_unlink(g_name);
}

/* --- other users --- */

/* Of whose group a queue is. */
static void groups(void)
{
	mqd_t q = mq_open(g_name, O_RDWR | O_CREAT, 0, NULL);
	pid_t pid;

	T(fchown(q, -1, 77));
	T(fchmod(q, 0060));
	for (gid_t group = 76; group <= 78; group++) {
		pid = fork();
		if (!pid) {
			if (setgroups(2, (gid_t[]){group, 5}) || setgid(NOBODY) || setuid(NOBODY))
				printf("cannot be another user\n");
			T(mq_open(g_name, O_RDWR));
			q = mq_open(g_other, O_RDWR | O_CREAT, 0600, NULL);
			T(fchown(q, -1, 77));
			T(fchown(q, -1, 5));
			T(mq_unlink(g_other));
			_exit(0);
		}
		reap("of a group", pid);
	}
	mq_close(q);
	T(mq_unlink(g_name));
}

static void others(void)
{
	mqd_t q = mq_open(g_name, O_RDWR | O_CREAT, 0, NULL);
	struct mq_attr a;
	pid_t pid;

	T(fchmod(q, 0644));
	pid = fork();
	if (!pid) {
		if (setgid(NOBODY) || setuid(NOBODY))
			printf("cannot be another user\n");
		T(mq_open(g_name, O_RDONLY));
		T(mq_open(g_name, O_WRONLY));
		T(mq_open(g_name, O_RDWR));
		T(mq_open(g_name, O_RDWR | O_CREAT, 0600, NULL));
		T(mq_open(g_name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL));
		T(mq_unlink(g_name));
		T(fchmod(q, 0666));
		T(put(q, 0, "by what it inherited"));
		T(mq_getattr(q, &a));
		q = mq_open(g_other, O_RDWR | O_CREAT, 0, NULL); /* who makes it may use it */
		T(q);
		T(mq_open(g_other, O_RDONLY));
		T(fchmod(q, 0200));
		T(mq_open(g_other, O_RDONLY));
		T(mq_open(g_other, O_WRONLY));
		T(fchown(q, 0, -1));
		_exit(0);
	}
	reap("somebody", pid);
	get(q);
	mq_close(q);
	T(mq_unlink(g_name));
	T(mq_open(g_other, O_RDWR)); /* user 0 may */
	T(mq_unlink(g_other));
	for (const char *const *name = (const char *const[]){ "queues_max", "msg_max", "msg_default", "msgsize_max", "msgsize_default", NULL }; *name;
	     name++) {
		char path[80], text[20];
		FILE *f;

		snprintf(path, sizeof(path), "/proc/sys/fs/mqueue/%s", *name);
		f = fopen(path, "r");
		printf("%s %s", *name, f && fgets(text, sizeof(text), f) ? text : "?\n");
		if (f)
			fclose(f);
	}
}

static void tests(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(g_name, sizeof(g_name), "/cvm-%s", g_word);
	snprintf(g_other, sizeof(g_other), "/cvm-%s-other", g_word);
	names();
	opening();
	limits();
	errors();
	order();
	processes();
	threads();
	to_and_fro();
	timeouts();
	polling();
	descriptors();
	inherited();
	notify();
	others();
	groups();
}

int main(int argc, char **argv)
{
	g_self = argv[0];
	if (argc > 2 && !strcmp(argv[1], "use"))
		return use(argv[2]);
	if (argc > 2 && !strcmp(argv[1], "deaf"))
		return deaf(argv[2]);
	return apart(argc, argv, tests);
}
