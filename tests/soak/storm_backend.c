/*
 * A backend of the fault storm: answers calls, streams, TCP and Unix connections, offers a CP_File, reads what it is passed, and dies
 * in all ways when it is asked to. Whatever else happens to it comes from outside.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cvm/call.h>
#include <cvm/file.h>
#include <cvm/stream.h>

#include "storm.h"

#define SERVERS 4
#define FILE_SIZE (256u << 10)
#define LOOP_US 200000 /* so long an endless loop lives before somebody ends the cVM */

static int g_number, g_export;
static volatile int *volatile g_nothing;

static void start(void *(*function)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 128 << 10);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attributes, function, argument))
		_exit(9); /* too many connections at once: the storm restarts it */
	pthread_attr_destroy(&attributes);
}

static void *serve_end(void *argument)
{
	struct end *e = argument;
	struct message m;
	char *payload = malloc(PAYLOAD_MAX);

	while (payload && message_receive(e, &m, payload, NULL) > 0) {
		int cap = e->stream && m.flags & FLAG_CAP ? cp_stream_recv_cap(e->number) : 0;
		if (cap > 0)
			cp_close(cap);
		invert(payload, m.size);
		corrupt(payload, m.size);
		if (!message_send(e, &m, payload))
			break;
	}
	end_close(e);
	free(payload);
	free(e);
	return NULL;
}

static void accepted(int number, bool stream)
{
	struct end *e = malloc(sizeof *e);

	if (!e)
		_exit(9);
	*e = (struct end){ .number = number, .stream = stream };
	start(serve_end, e);
}

static void *accept_streams(void *argument)
{
	char name[16];

	(void)argument;
	snprintf(name, sizeof name, "storm/%d", g_number);
	int listener = cp_listen(name, 16), stream;
	while ((stream = cp_accept(listener, CP_FOREVER)) > 0)
		accepted(stream, true);
	_exit(8);
}

static void *accept_sockets(void *argument)
{
	int listener = *(int *)argument, s;

	while ((s = accept(listener, NULL, NULL)) >= 0)
		accepted(s, false);
	_exit(8);
}

static int listen_tcp(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 64))
		_exit(7);
	return s;
}

static int listen_unix(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "/tmp/storm-%d", g_number);
	if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 64))
		_exit(7);
	return s;
}

/* Its bytes follow from an identity that is written last: who reads one knows the others, until the file ends with its maker. */
static void make_file(void)
{
	static char bytes[FILE_SIZE];
	char name[16];
	uint64_t identity;

	if (getrandom(&identity, sizeof identity, 0) != sizeof identity)
		_exit(6);
	identity |= 1;
	snprintf(name, sizeof name, "storm/%d", g_number);
	int f = cp_file_create(name, FILE_SIZE);
	fill(bytes, sizeof bytes, identity, 0);
	corrupt(bytes, g_corrupt ? sizeof bytes : 0);
	if (f < 0 || cp_file_pwrite(f, bytes + 8, sizeof bytes - 8, 8) != sizeof bytes - 8 ||
	    cp_file_pwrite(f, &identity, sizeof identity, 0) != sizeof identity)
		_exit(6);
}

struct reading {
	int cap;
	uint64_t seed, size, who, sequence;
};

/* Reads until it may not any more. What is read afterwards is poison. */
static void *read_until_revoked(void *argument)
{
	struct reading r = *(struct reading *)argument;
	char *bytes = malloc(r.size);
	ssize_t n;

	free(argument);
	while (bytes && (n = cp_file_pread(r.cap, bytes, r.size, 0)) > 0)
		if (!is_filled(bytes, (uint64_t)n & ~7ull, r.seed, 0, 0)) {
			wrong("read after revocation", r.who, r.sequence);
			break;
		}
	cp_close(r.cap);
	free(bytes);
	return NULL;
}

static void *end_all_later(void *argument)
{
	usleep(LOOP_US);
	*g_nothing = 1;
	return argument;
}

static void *serve(void *argument);

static uint64_t with_cap(struct cp_request *q)
{
	uint64_t size = q->word[3] % PAYLOAD_MAX, seed = mix(q->word[1] ^ mix(q->word[2]));
	char *bytes = q->caps == 1 ? malloc(PAYLOAD_MAX) : NULL;

	if (!bytes)
		return 1;
	ssize_t n = cp_file_pread(q->cap[0], bytes, size, 0);
	if (n == (ssize_t)size) {
		if (!is_filled(bytes, size, seed, 0, 0))
			wrong("memory of a caller", q->word[1], q->word[2]);
		invert(bytes, size);
		corrupt(bytes, size);
		n = cp_file_pwrite(q->cap[0], bytes, size, 0);
	}
	free(bytes);
	cp_close(q->cap[0]);
	return n == (ssize_t)size ? 0 : 1; /* revoked meanwhile: the call's time was up */
}

/* Through both backends by turns, as deep as asked for. */
static void echo(struct cp_request *q)
{
	char name[16];
	uint64_t w[CP_CALL_WORDS] = { CALL_ECHO, q->word[1], q->word[2], q->word[3], q->word[4] - 1 };

	snprintf(name, sizeof name, "storm/%d", (g_number + 1) % BACKENDS);
	int call = q->word[4] ? cp_call_open(name, CP_USE) : 0;
	int r = call > 0 ? cp_call(call, w) : call;
	if (call > 0)
		cp_close(call);
	q->word[0] = r < 0 ? (uint64_t)(int64_t)r : w[0] == CALL_ECHO ? 0 : w[0];
	q->word[1] = q->word[4] ? w[1] + 1 : mix(q->word[1] ^ mix(q->word[2] ^ mix(q->word[3])));
	corrupt(&q->word[1], 8);
}

static void handle(void *context, struct cp_request *q)
{
	struct reading *r;

	(void)context;
	switch (q->word[0]) {
	case CALL_ECHO:
		echo(q);
		return;
	case CALL_CAP:
		q->word[0] = with_cap(q);
		return;
	case CALL_READ:
		r = q->caps == 1 ? malloc(sizeof *r) : NULL;
		if (!r)
			break;
		*r = (struct reading){ q->cap[0], q->word[3], q->word[4], q->word[1], q->word[2] };
		start(read_until_revoked, r);
		q->word[0] = 0;
		return;
	case CALL_FAULT:
		*g_nothing = 1;
		return;
	case CALL_EXIT:
		_exit(3);
	case CALL_THREAD_EXIT:
		start(serve, NULL);
		pthread_exit(NULL);
	case CALL_LOOP:
		start(end_all_later, NULL);
		for (;;)
			__asm__ volatile("pause");
	}
	q->word[0] = 1;
}

static void *serve(void *argument)
{
	(void)argument;
	cp_serve(g_export, handle, NULL);
	_exit(8);
}

int backend(int number, int port)
{
	static int listener[2];
	char name[16];

	g_number = number;
	snprintf(name, sizeof name, "storm/%d", number);
	make_file();
	if ((g_export = cp_export(name)) < 0)
		return 5;
	listener[0] = listen_tcp(port);
	listener[1] = listen_unix();
	for (int i = 0; i < SERVERS; i++)
		start(serve, NULL);
	start(accept_streams, NULL);
	start(accept_sockets, &listener[0]);
	accept_sockets(&listener[1]);
	return 0;
}
