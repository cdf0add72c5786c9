/*
 * Pipes and FIFOs: order, capacity, atomic writes, blocking, closing, descriptor flags, bad buffers.
 * Args: {name}
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char g_big[1 << 20];

static void say(const char *what, long r)
{
	printf("%s: %ld%s%s\n", what, r, r < 0 ? " " : "", r < 0 ? strerrorname_np(errno) : "");
}

static int ready(int fd, int events)
{
	struct pollfd p = { fd, (short)events, 0 };

	poll(&p, 1, 0);
	return p.revents;
}

static void basics(void)
{
	int p[2], n;
	char buf[64];
	struct stat st;

	say("pipe2 bad flags", pipe2(p, O_APPEND));
	say("pipe", pipe(p));
	say("write", write(p[1], "hello world", 11));
	say("fionread", ioctl(p[0], FIONREAD, &n));
	printf("%d bytes wait\n", n);
	say("read 5", read(p[0], buf, 5));
	printf("%.5s\n", buf);
	say("read rest", read(p[0], buf, sizeof buf));
	printf("%.6s\n", buf);
	say("read of nothing", read(p[0], buf, 0));
	say("write to reader", write(p[0], "x", 1));
	say("read from writer", read(p[1], buf, 1));
	say("lseek", lseek(p[0], 0, SEEK_SET));
	say("pread", pread(p[0], buf, 1, 0));
	say("fstat", fstat(p[0], &st));
	printf("fifo %d\n", S_ISFIFO(st.st_mode));
	struct iovec v[3] = { { "ab", 2 }, { "", 0 }, { "cde", 3 } };
	say("writev", writev(p[1], v, 3));
	struct iovec r[2] = { { buf, 4 }, { buf + 10, 4 } };
	say("readv", readv(p[0], r, 2));
	printf("%.4s %.1s\n", buf, buf + 10);
	say("bad write", write(p[1], (void *)16, 10));
	write(p[1], "zz", 2);
	say("bad read", read(p[0], (void *)16, 10));
	say("still there", read(p[0], buf, sizeof buf));
	close(p[1]);
	say("end of file", read(p[0], buf, 10));
	printf("poll of closed: %#x\n", ready(p[0], POLLIN | POLLOUT));
	close(p[0]);
}

static void capacity(void)
{
	int p[2];
	long total = 0, n;

	say("pipe2", pipe2(p, O_NONBLOCK | O_CLOEXEC));
	printf("cloexec %d nonblock %d\n", fcntl(p[0], F_GETFD), (fcntl(p[1], F_GETFL) & O_NONBLOCK) != 0);
	say("empty read", read(p[0], g_big, 10));
	say("size", fcntl(p[0], F_GETPIPE_SZ));
	while ((n = write(p[1], g_big, 4096)) > 0)
		total += n;
	say("full", n);
	printf("took %ld, poll %#x\n", total, ready(p[1], POLLOUT));
	say("drain", read(p[0], g_big, 8192));
	printf("poll %#x\n", ready(p[1], POLLOUT));
	say("large partial", write(p[1], g_big, 100000));
	say("shrink below contents", fcntl(p[0], F_SETPIPE_SZ, 4096));
	say("grow", fcntl(p[0], F_SETPIPE_SZ, 200000));
	say("size", fcntl(p[1], F_GETPIPE_SZ));
	say("more", write(p[1], g_big, 1000000));
	say("all", read(p[0], g_big, 1000000));
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	say("broken", write(p[1], "x", 1));
	printf("poll broken: %#x\n", ready(p[1], POLLOUT));
	close(p[1]);
}

static volatile sig_atomic_t g_sigpipe;

static void on_sigpipe(int sig)
{
	(void)sig;
	g_sigpipe++;
}

static void broken(void)
{
	int p[2];

	signal(SIGPIPE, on_sigpipe);
	pipe(p);
	close(p[0]);
	say("write", write(p[1], "x", 1));
	printf("SIGPIPE came %d times\n", (int)g_sigpipe);
	close(p[1]);
}

struct stream {
	int fd;
	unsigned seed, count;
};

static void *writer(void *arg)
{
	struct stream *s = arg;
	unsigned sent = 0;

	while (sent < s->count) {
		s->seed = s->seed * 1103515245u + 12345u;
		unsigned n = (s->seed >> 8) % 20000 + 1;
		unsigned char buf[20000];

		if (n > s->count - sent)
			n = s->count - sent;
		for (unsigned i = 0; i < n; i++)
			buf[i] = (unsigned char)((sent + i) * 31 >> 3);
		if (write(s->fd, buf, n) != (ssize_t)n)
			printf("short write\n");
		sent += n;
	}
	close(s->fd);
	return NULL;
}

static void blocking(void)
{
	int p[2];
	pthread_t t;
	unsigned got = 0, bad = 0, seed = 7;
	unsigned char buf[30000];
	ssize_t n;

	pipe(p);
	struct stream s = { p[1], 1, 8000000 };
	pthread_create(&t, NULL, writer, &s);
	while (seed = seed * 1103515245u + 12345u, (n = read(p[0], buf, (seed >> 8) % sizeof buf + 1)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			bad += buf[i] != (unsigned char)((got + (unsigned)i) * 31 >> 3);
		got += (unsigned)n;
	}
	pthread_join(t, NULL);
	close(p[0]);
	printf("streamed %u bytes, %u wrong\n", got, bad);
}

/* Writes of at most PIPE_BUF bytes are never mixed. */
static int g_records[2];

static void *record_writer(void *arg)
{
	char buf[3000];

	memset(buf, 'a' + (int)(long)arg, sizeof buf);
	for (int i = 0; i < 200; i++)
		write(g_records[1], buf, sizeof buf);
	return NULL;
}

static void atomic_writes(void)
{
	pthread_t t[4];
	char buf[3000];
	int mixed = 0, records = 0;

	pipe(g_records);
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, record_writer, (void *)i);
	for (; records < 800; records++) {
		size_t got = 0;

		while (got < sizeof buf)
			got += (size_t)read(g_records[0], buf + got, sizeof buf - got);
		for (size_t i = 1; i < sizeof buf; i++)
			mixed += buf[i] != buf[0];
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	printf("%d records, %d mixed\n", records, mixed);
	close(g_records[0]);
	close(g_records[1]);
}

static volatile sig_atomic_t g_alarms;

static void on_alarm(int sig)
{
	(void)sig;
	g_alarms++;
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	int p[2];
	char c;

	pipe(p);
	sigaction(SIGALRM, &sa, NULL);
	ualarm(50000, 50000);
	say("read interrupted", read(p[0], &c, 1));
	ualarm(0, 0);
	printf("alarms %d\n", g_alarms > 0);
	close(p[0]);
	close(p[1]);
}

static char g_fifo[64];

static void *fifo_writer(void *arg)
{
	int fd = open(g_fifo, O_WRONLY);

	(void)arg;
	write(fd, "through the fifo", 16);
	close(fd);
	return NULL;
}

static void *fifo_short_writer(void *arg)
{
	(void)arg;
	close(open(g_fifo, O_WRONLY));
	return NULL;
}

static void fifo(void)
{
	pthread_t t;
	char buf[32] = "";

	say("mkfifo", mkfifo(g_fifo, 0600));
	say("writer without reader", open(g_fifo, O_WRONLY | O_NONBLOCK));
	pthread_create(&t, NULL, fifo_writer, NULL);
	int fd = open(g_fifo, O_RDONLY);
	say("fifo read", read(fd, buf, sizeof buf));
	puts(buf);
	say("fifo end", read(fd, buf, sizeof buf));
	pthread_join(t, NULL);
	close(fd);
	fd = open(g_fifo, O_RDWR);
	say("own write", write(fd, "me", 2));
	say("own read", read(fd, buf, 2));
	close(fd);
	for (int i = 0; i < 500; i++) { /* a writer may be through before the reader's open is back, which then waits for nobody */
		pthread_create(&t, NULL, fifo_short_writer, NULL);
		fd = open(g_fifo, O_RDONLY);
		close(fd);
		pthread_join(t, NULL);
	}
	say("unlink", unlink(g_fifo));
}

int main(int argc, char **argv)
{
	snprintf(g_fifo, sizeof g_fifo, "/tmp/ipc-pipe-%s", argc > 1 ? argv[1] : "");
	basics();
	capacity();
	broken();
	blocking();
	atomic_writes();
	interrupted();
	fifo();
	return 0;
}
