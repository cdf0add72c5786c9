/*
 * How fast bytes and calls get from one protection domain to another. Roles: "server" and "client" are two cVMs (bench/sharing.py
 * has the pod), and so are "callee" and "caller", with calls only; "native" does the same with what Linux has between two
 * processes. Prints lines
 *	WHAT SIZE bytes-per-second p50 p99 p999 (nanoseconds of one operation)
 *	WHAT value
 * A sender's time is that of one operation, until everything has been handed over; throughput counts whole rounds.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <cvm/call.h>
#include <cvm/file.h>
#include <cvm/stream.h>

#define LARGEST (64ul << 20)
#define SAMPLES 20000
#define ROUND_NS 60000000ull
#define CALLS 300000
#define PINGS 1000
#define MESSAGE 64u

static const size_t g_sizes[] = { 1, 8, 64, 512, 4096, 32768, 65536, 1 << 20, 8 << 20, LARGEST };
static char *g_from, *g_to;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

typedef void operation_fn(int handle, size_t size);

/* First alone for throughput, then with the clock around each for its distribution. */
static void measure(const char *what, size_t size, operation_fn *operation, int handle)
{
	static uint64_t sample[SAMPLES];
	uint64_t start, end, count = 0, batch = 1 + (64ul << 10) / size;
	unsigned n = 0;

	operation(handle, size);
	start = now();
	do {
		for (uint64_t i = 0; i < batch; i++)
			operation(handle, size);
		count += batch;
		end = now();
	} while (end - start < ROUND_NS);
	double rate = (double)count * (double)size * 1e9 / (double)(end - start);
	for (start = now(); n < SAMPLES && (n < 3 || now() - start < ROUND_NS); n++) {
		uint64_t before = now();
		operation(handle, size);
		sample[n] = now() - before;
	}
	qsort(sample, n, sizeof sample[0], compare);
	printf("%s %zu %.0f %lu %lu %lu\n", what, size, rate, sample[n / 2], sample[n * 99 / 100], sample[n * 999 / 1000]);
	fflush(stdout);
}

static void do_memcpy(int handle, size_t size)
{
	(void)handle;
	memcpy(g_to, g_from, size);
	__asm__ volatile("" : : "r"(g_to) : "memory");
}

static void must(long n, size_t size, const char *what)
{
	if (n != (long)size) {
		fprintf(stderr, "%s: %ld of %zu\n", what, n, size);
		exit(1);
	}
}

static void do_file_read(int file, size_t size)
{
	must(cp_file_pread(file, g_to, size, 0), size, "read");
}

/* To where it lies one byte behind the source, modulo a page: the worst case of `rep movsb` on some processors. */
#define BEHIND 4095u

static void do_file_read_behind(int file, size_t size)
{
	must(cp_file_pread(file, g_to, size, BEHIND), size, "read");
}

static void do_memcpy_behind(int handle, size_t size)
{
	(void)handle;
	memcpy(g_to, g_from + BEHIND, size);
	__asm__ volatile("" : : "r"(g_to) : "memory");
}

static void do_file_write(int file, size_t size)
{
	must(cp_file_pwrite(file, g_from, size, 0), size, "write");
}

static void do_stream(int stream, size_t size)
{
	must(cp_stream_send(stream, g_from, size, 0), size, "send");
}

static void do_fd(int fd, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, g_from + done, size - done);
		if (n <= 0)
			must(n, size, "write");
		done += (size_t)n;
	}
}

/* ---- two cVMs ---- */

static void null_call(void *context, struct cp_request *request)
{
	(void)context, (void)request;
}

/* Receives without a copy until the end, or (word 1) echoes bytes, or counts messages (word 2). */
static void *receive(void *argument)
{
	int stream = (int)(long)argument;
	const void *ring, *bytes;
	struct cp_info info;
	char byte;
	ssize_t n;

	must(cp_info(stream, &info), 0, "info");
	if (info.word == 1)
		while (cp_stream_recv(stream, &byte, 1, 0) == 1)
			must(cp_stream_send(stream, &byte, 1, 0), 1, "echo");
	must(cp_stream_map(stream, &ring), 0, "map");
	while ((n = cp_stream_window(stream, ring, &bytes, 0)) > 0)
		must(cp_stream_release(stream, (size_t)n), 0, "release");
	cp_close(stream);
	return NULL;
}

static void server(int streams)
{
	struct cp_server *server;
	pthread_t thread;
	int listener = cp_listen("bench/stream", 8);

	must(cp_server_start("bench/null", 1, null_call, NULL, &server), 0, "serve");
	for (int i = 0; i < streams; i++) { /* bytes, messages, pings, the end */
		int stream = cp_accept(listener, CP_FOREVER);
		pthread_create(&thread, NULL, receive, (void *)(long)stream);
		pthread_join(thread, NULL);
	}
	cp_server_stop(server);
}

static int connect_to(uint64_t word)
{
	int stream;

	while ((stream = cp_connect("bench/stream", word)) == -ENOENT || stream == -EAGAIN)
		usleep(1000);
	return stream;
}

/* Half of what a byte there and back takes when the other side sleeps before each. */
static void ping(const char *what, int out, int in)
{
	static uint64_t sample[PINGS];
	char byte = 1;

	for (int i = 0; i < PINGS; i++) {
		usleep(1000); /* longer than anybody looks before it sleeps */
		uint64_t start = now();
		if (in < 0) {
			must(cp_stream_send(out, &byte, 1, 0), 1, "ping");
			must(cp_stream_recv(out, &byte, 1, 0), 1, "pong");
		} else {
			must(write(out, &byte, 1), 1, "ping");
			must(read(in, &byte, 1), 1, "pong");
		}
		sample[i] = now() - start;
	}
	qsort(sample, PINGS, sizeof sample[0], compare);
	printf("%s %lu\n", what, sample[PINGS / 2] / 2);
}

/* Then the servers' end. */
static void calls(void)
{
	uint64_t word[CP_CALL_WORDS] = { 0 }, start;
	int call;

	while ((call = cp_call_open("bench/null", CP_USE)) == -ENOENT)
		usleep(1000);
	must(cp_call_ready(call, CP_FOREVER), 0, "ready");
	for (int i = 0; i < CALLS / 10; i++)
		must(cp_call(call, word), 0, "call");
	uint64_t cycles = __rdtsc();
	start = now();
	for (int i = 0; i < CALLS; i++)
		must(cp_call(call, word), 0, "call");
	printf("cp_call_null_cycles %.1f\ncp_call_null_ns %.1f\n", (double)(__rdtsc() - cycles) / CALLS, (double)(now() - start) / CALLS);
	cp_close(connect_to(3));
}

static void client(void)
{
	uint64_t start;
	char buffer[4096], message[MESSAGE] = { 0 };
	int file = cp_file_create(NULL, LARGEST), stream = connect_to(0);

	for (unsigned i = 0; i < sizeof g_sizes / sizeof g_sizes[0]; i++) {
		measure("cp_file_read", g_sizes[i], do_file_read, file);
		measure("cp_file_write", g_sizes[i], do_file_write, file);
		measure("memcpy_cvm", g_sizes[i], do_memcpy, 0);
		measure("cp_stream", g_sizes[i], do_stream, stream);
	}
	int by_gate = cp_derive(file, 0, LARGEST, CP_LOAD | CP_STORE);
	measure("cp_file_read_gate", 4096, do_file_read, by_gate);
	measure("cp_file_write_gate", 4096, do_file_write, by_gate);
	measure("cp_file_read_behind", 65536, do_file_read_behind, file);
	measure("memcpy_behind", 65536, do_memcpy_behind, 0);
	cp_close(stream);
	stream = connect_to(2);
	struct cp_batch batch = { .stream = stream, .buffer = buffer, .size = sizeof buffer };
	uint64_t count = 0;
	for (start = now(); now() - start < 5 * ROUND_NS; count += 1000)
		for (int i = 0; i < 1000; i++)
			must(cp_batch_send(&batch, message, sizeof message), 0, "batch");
	must(cp_batch_flush(&batch), 0, "flush");
	printf("cp_stream_64b_batched %.0f\n", (double)count * 1e9 / (double)(now() - start));
	cp_close(stream);
	stream = connect_to(1);
	ping("cp_stream_wake_ns", stream, -1);
	cp_close(stream);
	calls();
}

/* ---- two processes ---- */

static void tcp_pair(int fds[2])
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof addr;
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	must(bind(listener, (struct sockaddr *)&addr, size), 0, "bind");
	must(listen(listener, 1), 0, "listen");
	getsockname(listener, (struct sockaddr *)&addr, &size);
	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(fds[1], (struct sockaddr *)&addr, size), 0, "connect");
	fds[0] = accept(listener, NULL, NULL);
	setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	close(listener);
}

static void with_reader(const char *what, int fds[2])
{
	pid_t child = fork();

	if (!child) {
		close(fds[1]);
		while (read(fds[0], g_to, 1 << 20) > 0)
			;
		_exit(0);
	}
	close(fds[0]);
	for (unsigned i = 0; i < sizeof g_sizes / sizeof g_sizes[0]; i++)
		measure(what, g_sizes[i], do_fd, fds[1]);
	close(fds[1]);
	waitpid(child, NULL, 0);
}

static void native(void)
{
	int fds[2], back[2];
	char byte;

	for (unsigned i = 0; i < sizeof g_sizes / sizeof g_sizes[0]; i++)
		measure("memcpy", g_sizes[i], do_memcpy, 0);
	char *kept = g_to;
	g_to = mmap(NULL, LARGEST, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < sizeof g_sizes / sizeof g_sizes[0]; i++)
		measure("mmap_memcpy", g_sizes[i], do_memcpy, 0);
	munmap(g_to, LARGEST);
	g_to = kept;
	must(pipe(fds), 0, "pipe");
	with_reader("pipe", fds);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0, "socketpair");
	with_reader("unix", fds);
	tcp_pair(fds);
	with_reader("tcp", fds);
	must(pipe(fds), 0, "pipe");
	must(pipe(back), 0, "pipe");
	if (!fork()) {
		close(fds[1]);
		while (read(fds[0], &byte, 1) == 1)
			must(write(back[1], &byte, 1), 1, "echo");
		_exit(0);
	}
	ping("pipe_wake_ns", fds[1], back[0]);
	uint64_t start = now();
	for (int i = 0; i < CALLS / 10; i++) {
		must(write(fds[1], &byte, 1), 1, "ping");
		must(read(back[0], &byte, 1), 1, "pong");
	}
	printf("pipe_roundtrip_ns %.1f\n", (double)(now() - start) * 10 / CALLS);
	close(fds[1]);
	wait(NULL);
}

int main(int argc, char **argv)
{
	const char *role = argc > 1 ? argv[1] : "native";

	g_from = mmap(NULL, LARGEST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	g_to = mmap(NULL, LARGEST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(g_from, 1, LARGEST);
	memset(g_to, 2, LARGEST);
	if (!strcmp(role, "server"))
		server(4);
	else if (!strcmp(role, "client"))
		client();
	else if (!strcmp(role, "callee"))
		server(1);
	else if (!strcmp(role, "caller"))
		calls();
	else
		native();
	return 0;
}
