/*
 * splice, tee and vmsplice between pipes, files and sockets: what is moved, what stays, what is refused.
 * Build: gcc
 * Args: {dir}
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define T(call)                                                                             \
	do {                                                                                \
		errno = 0;                                                                  \
		long ret_ = (long)(call);                                                   \
		printf("%s -> %ld %s\n", #call, ret_, ret_ < 0 ? strerror(errno) : "");     \
	} while (0)

static int a[2], b[2], g_file;

static void left(const char *what, int fd)
{
	char buf[65536];
	int flags = fcntl(fd, F_GETFL);
	ssize_t n;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	n = read(fd, buf, sizeof buf);
	fcntl(fd, F_SETFL, flags);
	printf("%s: %zd bytes [%.*s]\n", what, n, n > 0 && n < 40 ? (int)n : 0, buf);
}

static void *late_writer(void *arg)
{
	usleep(50000);
	if (write(a[1], "late", 4) != 4)
		return "failed";
	return arg;
}

static void *late_reader(void *arg)
{
	char buf[4096];

	usleep(50000);
	return read(a[0], buf, sizeof buf) == 4096 ? arg : "failed";
}

static void blocking(void)
{
	pthread_t t;
	char fill[65536];

	pthread_create(&t, NULL, late_writer, NULL);
	T(splice(a[0], NULL, b[1], NULL, 100, 0));
	pthread_join(t, NULL);
	left("b", b[0]);
	T(splice(a[0], NULL, b[1], NULL, 100, SPLICE_F_NONBLOCK));
	memset(fill, 'x', sizeof fill);
	T(write(a[1], fill, sizeof fill));
	loff_t at = 0;
	T(splice(g_file, &at, a[1], NULL, 10, SPLICE_F_NONBLOCK));
	pthread_create(&t, NULL, late_reader, NULL);
	T(splice(g_file, &at, a[1], NULL, 10, 0));
	pthread_join(t, NULL);
	printf("position %ld\n", (long)at);
	left("a", a[0]);
}

static void sockets(void)
{
	int s[2];
	char text[] = "through a socket";

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s))
		exit(1);
	T(write(a[1], text, sizeof text - 1));
	T(splice(a[0], NULL, s[0], NULL, 100, 0));
	T(splice(s[1], NULL, b[1], NULL, 100, 0));
	left("b", b[0]);
	loff_t at = 0;
	T(write(a[1], "x", 1));
	T(splice(a[0], NULL, s[0], &at, 1, 0) < 0);
	close(s[0]);
	T(splice(s[1], NULL, b[1], NULL, 100, 0));
	left("a", a[0]);
}

/* vmsplice writes what there is room for and waits only for the first of it. */
static void memory(void)
{
	static char big[200000] __attribute__((aligned(4096))), back[100];
	struct iovec iov = { big, sizeof big }, halves[2] = { { big, 40960 }, { big + 40960, 40960 } }, in = { back, 100 };
	struct iovec wild = { (void *)1, 10 };
	pthread_t t;

	memset(big, 'v', sizeof big);
	T(vmsplice(a[1], &iov, 1, 0));
	T(vmsplice(a[1], &iov, 1, SPLICE_F_NONBLOCK));
	left("a", a[0]);
	T(vmsplice(a[1], halves, 2, SPLICE_F_NONBLOCK));
	pthread_create(&t, NULL, late_reader, NULL);
	T(vmsplice(a[1], &iov, 1, 0));
	pthread_join(t, NULL);
	left("a", a[0]);
	T(vmsplice(a[0], &in, 1, SPLICE_F_NONBLOCK));
	T(write(a[1], "to memory", 9));
	T(vmsplice(a[0], &in, 1, 0));
	printf("[%s]\n", back);
	T(vmsplice(a[1], &wild, 1, 0));
	T(vmsplice(a[1], &iov, 0, 0));
	T(vmsplice(a[1], &iov, 2000, 0));
	T(vmsplice(-1, &iov, 1, 0x100));
	T(vmsplice(-1, &iov, 1, 0));
}

static void refusals(void)
{
	loff_t at = 0;

	T(splice(g_file, NULL, g_file, NULL, 1, 0));
	T(splice(a[0], NULL, a[1], NULL, 1, 0));
	T(splice(a[0], &at, g_file, NULL, 1, 0));
	T(splice(a[1], NULL, b[1], NULL, 1, 0));
	T(splice(a[0], NULL, b[0], NULL, 1, 0));
	T(splice(-1, NULL, b[1], NULL, 1, 0));
	T(splice(-1, NULL, b[1], NULL, 0, 0));
	T(splice(a[0], NULL, b[1], NULL, 1, 0x100));
	T(tee(g_file, b[1], 1, 0));
	T(tee(a[0], a[1], 1, 0));
	T(tee(a[0], b[1], 1, SPLICE_F_NONBLOCK));
	at = -5;
	T(splice(g_file, &at, b[1], NULL, 1, 0));
}

/* --- several at once --- */

#define RECORDS 20000u

static int from[2], to[2];

static void *fill(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < RECORDS; i++)
		if (write(from[1], &i, sizeof i) != sizeof i)
			return NULL;
	close(from[1]);
	return NULL;
}

static void *pass_by_splice(void *arg)
{
	(void)arg;
	while (splice(from[0], NULL, to[1], NULL, 3 * sizeof(uint64_t), 0) > 0)
		;
	return NULL;
}

static void *pass_by_read(void *arg)
{
	uint64_t some[2];
	ssize_t n;

	(void)arg;
	while ((n = read(from[0], some, sizeof some)) > 0 && write(to[1], some, (size_t)n) == n)
		;
	return NULL;
}

static void *pass(void *arg)
{
	static void *(*const ways[])(void *) = { pass_by_splice, pass_by_splice, pass_by_read };
	pthread_t thread[3];

	(void)arg;
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, ways[i], NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	close(to[1]);
	return NULL;
}

/* Threads that splice from one pipe and one that reads it: each record goes on once. */
static void together(void)
{
	static unsigned char times[RECORDS];
	unsigned missing = 0, twice = 0;
	pthread_t filler, passer;
	uint64_t record;

	if (pipe(from) || pipe(to))
		exit(1);
	pthread_create(&filler, NULL, fill, NULL);
	pthread_create(&passer, NULL, pass, NULL);
	while (read(to[0], &record, sizeof record) == sizeof record)
		if (record < RECORDS)
			times[record]++;
	pthread_join(filler, NULL);
	pthread_join(passer, NULL);
	for (unsigned i = 0; i < RECORDS; i++) {
		missing += !times[i];
		twice += times[i] > 1;
	}
	printf("together: %u missing, %u more than once\n", missing, twice);
}

int main(int argc, char **argv)
{
	char path[4096];
	loff_t at = 3, out = 100;

	signal(SIGPIPE, SIG_IGN);
	snprintf(path, sizeof path, "%s/file", argv[argc - 1]);
	g_file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (g_file < 0 || pipe(a) || pipe(b) || write(g_file, "0123456789abcdef", 16) != 16)
		return 1;
	T(splice(g_file, &at, a[1], NULL, 5, 0));
	printf("position %ld, file's %ld\n", (long)at, (long)lseek(g_file, 0, SEEK_CUR));
	T(tee(a[0], b[1], 100, 0));
	T(splice(a[0], NULL, g_file, &out, 3, 0));
	printf("position %ld\n", (long)out);
	left("a", a[0]);
	left("b", b[0]);
	lseek(g_file, 10, SEEK_SET);
	T(splice(g_file, NULL, a[1], NULL, 1000, 0));
	T(splice(g_file, NULL, a[1], NULL, 1000, 0));
	left("a", a[0]);
	T(write(a[1], "to the end", 10));
	T(splice(a[0], NULL, g_file, NULL, 1000, 0));
	T(lseek(g_file, 0, SEEK_CUR));
	struct iovec iov[2] = { { "one ", 4 }, { "two", 3 } };
	T(vmsplice(a[1], iov, 2, 0));
	left("a", a[0]);
	T(vmsplice(g_file, iov, 2, 0));
	blocking();
	memory();
	sockets();
	refusals();
	together();
	close(b[0]);
	T(write(a[1], "x", 1));
	T(splice(a[0], NULL, b[1], NULL, 1, 0));
	close(a[1]);
	left("a", a[0]);
	T(splice(a[0], NULL, g_file, NULL, 1, 0));
	return 0;
}
