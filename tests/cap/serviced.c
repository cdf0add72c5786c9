/* A program whose system calls serves.c serves: argv[1] is what is to happen. */
#include <fcntl.h>
#include <poll.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "abi/boot.h"
#include "abi/capability.h"
#include "abi/hostcall.h"
#include "check.h"
#include "serviced.h"

#define FAILS(expression, error) do { errno = 0; IS(expression, -1); IS(errno, error); } while (0)

static uint8_t g_here; /* the server looks at it when the program has ended */
static volatile sig_atomic_t g_signals;

static long pid(void)
{
	return syscall(SYS_getpid, &g_here);
}

static void results(void)
{
	long r, kept, in = 0x1122334455667788;

	IS(pid(), PID);
	IS(syscall(SYS_getpgid, 0), LARGE);
	FAILS(syscall(SYS_getppid), EXDEV);
	__asm__ volatile("movq %2, %%xmm7; syscall; movq %%xmm7, %1"
			 : "=a"(r), "=&r"(kept) : "r"(in), "a"((long)SYS_getpid) : "rcx", "r11", "xmm7", "memory");
	IS(r, PID);
	IS(kept, in);
	FAILS(syscall(SYS_uname, FAR), EFAULT);
}

static void files(void)
{
	static char bytes[TEXT_SIZE];
	struct stat st;
	int fd = open("/s/text", O_RDONLY), other, pair[2];

	TRUE(fd > 2 && fd < 20);
	FAILS(open("/s/none", O_RDONLY), ENOENT);
	FAILS(open((char *)FAR, O_RDONLY), EFAULT);
	IS(read(fd, bytes, 100), 100);
	for (int i = 0; i < 100; i++)
		IS(bytes[i], TEXT_BYTE(i));
	FAILS(read(fd, (void *)FAR, 100), EFAULT);
	IS(fstat(fd, &st), 0);
	IS(st.st_size, TEXT_SIZE);
	IS(lseek(fd, LARGE, SEEK_SET), LARGE);
	other = dup(fd);
	IS(read(other, bytes, 1), 1);
	IS(bytes[0], TEXT_BYTE(100));
	IS(pread(other, bytes, TEXT_SIZE, 9990), 10);
	IS(bytes[9], TEXT_BYTE(9999));
	char *map = mmap(NULL, TEXT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	TRUE(map != MAP_FAILED);
	for (int i = 0; map != MAP_FAILED && i < TEXT_SIZE; i++)
		if (map[i] != TEXT_BYTE(i))
			IS(i, -1);
	IS(close(fd), 0);
	FAILS(close(fd), EBADF);
	IS(syscall(SYS_getuid), 0);
	IS(pread(other, bytes, 1, 0), 1);
	IS(close(other), 0);
	if (map != MAP_FAILED) {
		IS(map[9999], TEXT_BYTE(9999));
		munmap(map, TEXT_SIZE);
	}
	IS(syscall(SYS_getuid), 1);
	IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	IS(write(pair[0], "x", 1), 200);
	IS(write(pair[1], "x", 1), 300);
	close(pair[0]), close(pair[1]);
	IS(syscall(SYS_getuid), 3);
	fd = open("/etc/passwd", O_RDONLY); /* handed back to the libOS, then as any other */
	TRUE(read(fd, bytes, 10) > 0);
	close(fd);
}

/* What the libOS keeps of a descriptor that the server gave. */
static void duplicates(void)
{
	long before = syscall(SYS_getuid);
	int fd = open("/s/gate", O_RDWR), other, in = dup(0), pair[2];
	struct rlimit few, limit;
	char byte;

	IS(fcntl(fd, F_GETFD), FD_CLOEXEC);
	IS(fcntl(fd, F_GETFL), O_RDWR); /* the server's answer */
	IS(fcntl(fd, F_DUPFD, 100), 100);
	IS(fcntl(100, F_GETFD), 0);
	IS(fcntl(fd, F_DUPFD_CLOEXEC, 100), 101);
	IS(fcntl(101, F_GETFD), FD_CLOEXEC);
	IS(dup2(fd, 102), 102);
	IS(dup3(fd, 103, O_CLOEXEC), 103);
	FAILS(dup3(fd, fd, 0), EINVAL);
	FAILS(dup2(fd, 1 << 30), EBADF);
	IS(close_range(100, 102, CLOSE_RANGE_CLOEXEC), 0);
	IS(fcntl(100, F_GETFD), FD_CLOEXEC);
	IS(write(102, "g", 1), 1);
	IS(read(103, &byte, 1), 1);
	IS(close_range(100, 103, 0), 0);
	FAILS(read(102, &byte, 1), EBADF);
	IS(syscall(SYS_getuid), before);
	IS(dup2(fd, 0), 0);
	IS(close(fd), 0);
	IS(write(0, "g", 1), 1);
	IS(read(0, &byte, 1), 1);
	IS(byte, 'g');
	IS(dup2(in, 0), 0); /* the last of them */
	IS(syscall(SYS_getuid), before + 1);
	close(in);

	/* Descriptors for which there is no room go back to the server. */
	IS(getrlimit(RLIMIT_NOFILE, &limit), 0);
	fd = open("/dev/null", O_RDONLY), close(fd);
	few = (struct rlimit){ .rlim_cur = (rlim_t)fd, .rlim_max = limit.rlim_max };
	IS(setrlimit(RLIMIT_NOFILE, &few), 0);
	FAILS(open("/s/text", O_RDONLY), EMFILE);
	few.rlim_cur++;
	IS(setrlimit(RLIMIT_NOFILE, &few), 0);
	FAILS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), EMFILE);
	IS(setrlimit(RLIMIT_NOFILE, &limit), 0);
	FAILS(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)FAR), EFAULT);
	IS(syscall(SYS_getuid), before + 6);

	/* Two of both kinds in one call: the server's to answer. */
	fd = open("/s/text", O_RDONLY);
	other = open("/etc/passwd", O_RDONLY);
	FAILS(sendfile(1, fd, NULL, 1), EBADF); /* handed back, but nothing of the libOS's */
	FAILS(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0, ENODEV);
	close(other), close(fd);
}

static void *lets_through(void *fd)
{
	pause_ms(50);
	IS(write(*(int *)fd, "g", 1), 1);
	return NULL;
}

static void waits_for_many(void)
{
	int gate = open("/s/gate", O_RDWR), text = open("/s/text", O_RDONLY), own = eventfd(0, 0), set = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = 1 }, got[4];
	struct pollfd p[] = { { .fd = own, .events = POLLIN }, { .fd = gate, .events = POLLIN }, { .fd = text, .events = 0 } };
	struct timeval soon = { 0, 0 };
	pthread_t thread;
	fd_set in, out;
	char byte;

	IS(poll(p, 3, 0), 0);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(gate, &in);
	FD_SET(own, &in);
	FD_SET(gate, &out);
	IS(select(gate + 10, &in, &out, NULL, &soon), 1);
	TRUE(!FD_ISSET(gate, &in) && FD_ISSET(gate, &out));
	pthread_create(&thread, NULL, lets_through, &gate);
	IS(poll(p, 3, -1), 1);
	IS(p[1].revents, POLLIN);
	pthread_join(thread, NULL);
	FD_SET(gate, &in);
	FD_SET(own, &in);
	IS(select(gate + 10, &in, NULL, NULL, NULL), 1);
	TRUE(FD_ISSET(gate, &in) && !FD_ISSET(own, &in));

	IS(epoll_ctl(set, EPOLL_CTL_ADD, gate, &e), 0);
	FAILS(epoll_ctl(set, EPOLL_CTL_ADD, gate, &e), EEXIST);
	for (int i = 0; i < 2; i++) /* by level */
		IS(epoll_wait(set, got, 4, -1), 1);
	IS(got[0].events, EPOLLIN);
	IS(read(gate, &byte, 1), 1);
	IS(epoll_wait(set, got, 4, 0), 0);
	e.events = EPOLLIN | EPOLLET;
	IS(epoll_ctl(set, EPOLL_CTL_MOD, gate, &e), 0);
	for (int i = 0; i < 3; i++) {
		pthread_create(&thread, NULL, lets_through, &gate);
		IS(epoll_wait(set, got, 4, -1), 1);
		pthread_join(thread, NULL);
		IS(epoll_wait(set, got, 4, 0), 0); /* by edge, although there is something to read */
	}
	e.events = EPOLLIN | EPOLLONESHOT;
	IS(epoll_ctl(set, EPOLL_CTL_MOD, gate, &e), 0);
	IS(epoll_wait(set, got, 4, -1), 1);
	IS(epoll_wait(set, got, 4, 0), 0);
	IS(epoll_ctl(set, EPOLL_CTL_DEL, gate, &e), 0);
	for (int i = 0; i < 3; i++)
		IS(read(gate, &byte, 1), 1);
	e.events = EPOLLIN;
	IS(epoll_ctl(set, EPOLL_CTL_ADD, gate, &e), 0);
	p[0].fd = set;
	IS(poll(p, 1, 0), 0);
	pthread_create(&thread, NULL, lets_through, &gate);
	IS(poll(p, 1, -1), 1); /* a set that is waited for */
	pthread_join(thread, NULL);
	IS(read(gate, &byte, 1), 1);
	close(gate); /* leaves the set by itself */
	IS(epoll_wait(set, got, 4, 0), 0);
	close(set), close(own), close(text);
}

static void *writes(void *fd)
{
	while (g_signals < 3)
		pause_ms(1);
	IS(write(*(int *)fd, "g", 1), 1);
	return NULL;
}

static void count(int signal)
{
	(void)signal;
	g_signals++;
}

static void waits(void)
{
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, off = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = count };
	int fd = open("/s/gate", O_RDWR);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	pthread_t thread;
	char byte;

	IS(poll(&p, 1, 0), 0);
	g_signals = 3;
	pthread_create(&thread, NULL, writes, &fd);
	IS(poll(&p, 1, -1), 1);
	IS(p.revents, POLLIN);
	pthread_join(thread, NULL);
	IS(read(fd, &byte, 1), 1);
	IS(byte, 'g');
	IS(poll(&p, 1, 0), 0);

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	FAILS(read(fd, &byte, 1), EINTR);
	setitimer(ITIMER_REAL, &off, NULL);
	action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	g_signals = 0;
	pthread_create(&thread, NULL, writes, &fd);
	setitimer(ITIMER_REAL, &often, NULL);
	IS(read(fd, &byte, 1), 1);
	TRUE(g_signals >= 3);
	setitimer(ITIMER_REAL, &off, NULL);
	pthread_join(thread, NULL);
	close(fd);
}

static void *meets(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++)
		IS(syscall(SYS_geteuid), MET);
	return NULL;
}

static void threads(void)
{
	pthread_t thread[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, meets, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

enum { CROWD = 40 };

static void *one_of_many(void *number)
{
	char bytes[64];

	for (int i = 0; i < 100; i++) {
		long at = ((long)number * 100 + i) % (TEXT_SIZE - 64), wrong = 0;
		int fd = open("/s/text", O_RDONLY), other = dup(fd);

		IS(pread(fd, bytes, sizeof bytes, at), sizeof bytes);
		for (int j = 0; j < 64; j++)
			wrong += bytes[j] != TEXT_BYTE(at + j);
		IS(wrong, 0);
		IS(close(other) | close(fd), 0);
		IS(pid(), PID);
	}
	return NULL;
}

/* Far more threads than serve. */
static void crowd(void)
{
	long closed = syscall(SYS_getuid);
	pthread_t thread[CROWD];

	for (long i = 0; i < CROWD; i++)
		IS(pthread_create(&thread[i], NULL, one_of_many, (void *)i), 0);
	for (int i = 0; i < CROWD; i++)
		pthread_join(thread[i], NULL);
	IS(syscall(SYS_getuid), closed + CROWD * 100);
}

static void *polls(void *fd)
{
	struct pollfd p = { .fd = *(int *)fd, .events = POLLIN };

	IS(poll(&p, 1, -1), 1);
	IS(p.revents, POLLERR | POLLHUP);
	return NULL;
}

static void *polls_a_set(void *fd)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET }, got;
	int set = epoll_create1(0);

	IS(epoll_ctl(set, EPOLL_CTL_ADD, *(int *)fd, &e), 0);
	IS(epoll_wait(set, &got, 1, -1), 1);
	IS(got.events, EPOLLERR | EPOLLHUP);
	close(set);
	return NULL;
}

static void *reads(void *fd)
{
	char byte;

	FAILS(read(*(int *)fd, &byte, 1), EIO);
	return NULL;
}

static void alive(void)
{
	long r;

	while ((r = pid()) < 0 && errno == EIO)
		pause_ms(1);
	IS(r, PID);
}

/* Those who wait for something of a server learn that it is gone; also when nobody calls it meanwhile. */
static void waits_end(void *(*const how[])(void *), int count, const char *end)
{
	int fd = open("/s/gate", O_RDWR);
	pthread_t thread[3];

	for (int i = 0; i < count; i++)
		pthread_create(&thread[i], NULL, how[i], &fd);
	FAILS(open(end, O_RDONLY), !strcmp(end, "/s/soon") ? ENOENT : EIO);
	for (int i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
	FAILS(write(fd, "g", 1), EIO);
	IS(close(fd), 0);
	alive();
}

static void *goes_on(void *stop)
{
	while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED)) {
		static char bytes[16][TEXT_SIZE];
		static int next;
		static __thread char *mine;
		long n, wrong = 0;
		int fd = open("/s/text", O_RDONLY);

		mine = mine ? mine : bytes[__atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)];
		TRUE(fd >= 0 || errno == EIO);
		if (fd < 0)
			continue;
		n = pread(fd, mine, TEXT_SIZE, 0);
		TRUE(n == TEXT_SIZE || (n == -1 && errno == EIO));
		for (long i = 0; i < n; i++)
			wrong += mine[i] != TEXT_BYTE(i);
		IS(wrong, 0);
		IS(close(fd), 0);
	}
	return NULL;
}

/* The server goes and comes while others call: three times, or until it has started so often by itself. */
static void goes_while_others_call(int starts)
{
	pthread_t thread[8];
	int stop = 0;

	for (int i = 0; i < 8; i++)
		pthread_create(&thread[i], NULL, goes_on, &stop);
	for (int i = 0; i < 3 && !starts; i++) {
		FAILS(open("/s/die", O_RDONLY), EIO);
		alive();
	}
	while (getsid(0) < starts)
		pause_ms(1);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
}

/* The server dies, comes again (YAML: seven times), and dies. */
static void lost(void)
{
	static void *(*const how[])(void *) = { polls, polls_a_set, reads };
	char byte;
	int fd = open("/s/text", O_RDONLY);

	IS(read(fd, &byte, 1), 1);
	FAILS(open("/s/die", O_RDONLY), EIO);
	alive();
	FAILS(read(fd, &byte, 1), EIO); /* of a server that is no more */
	IS(close(fd), 0);
	waits_end(how, 1, "/s/soon");
	waits_end(how + 1, 1, "/s/soon");
	waits_end(how, 3, "/s/die");
	goes_while_others_call(0);
	fd = open("/s/text", O_RDONLY);
	IS(read(fd, &byte, 1), 1);
	FAILS(open("/s/die", O_RDONLY), EIO);
	FAILS(pid(), EIO);
	FAILS(read(fd, &byte, 1), EIO);
	check_end("program");
	for (;;) /* to be ended */
		pause();
}

/* libcvm's system call, which there is with isolate_libos, would pass the server by. */
static void past_the_server(void)
{
	for (long hostcall = 0; hostcall < HC_COUNT; hostcall++) {
		long r = syscall(BOOT_SYSCALL_CAPABILITY, hostcall, CAP_MEMORY, "", 0L, 64L, 0L);
		TRUE(r == -1 && (errno == EPERM || errno == ENOSYS));
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "all";

	if (!strcmp(what, "lost"))
		lost();
	if (!strcmp(what, "again")) {
		goes_while_others_call(STARTS);
		IS(pid(), PID);
	} else if (!strcmp(what, "stuck")) {
		FAILS(open("/s/never", O_RDONLY), ETIMEDOUT);
		IS(pid(), PID);
	} else {
		results();
		files();
		waits();
		duplicates();
		waits_for_many();
		threads();
		crowd();
		past_the_server();
	}
	return check_end("program");
}
