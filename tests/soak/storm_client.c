/*
 * A client of the fault storm: a thread for each channel, each with sessions of some rounds. Counts go to WHERE/WHO; while WHERE/hold
 * exists every thread waits between two sessions, with nothing open, and WHERE/WHO.held says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cvm/call.h>
#include <cvm/file.h>
#include <cvm/stream.h>

#include "storm.h"

#define ROUNDS_MAX 40
#define MS 1000000ll

struct worker {
	enum channel channel;
	uint64_t random, sequence;
	struct count count;
	char *bytes, *more; /* PAYLOAD_MAX each */
};

static uint64_t g_who;
static int g_port[BACKENDS], g_counts;
static volatile bool g_hold;
static int g_held;

static uint64_t below(struct worker *w, uint64_t n)
{
	return random_word(&w->random) % n;
}

/* Mostly small, sometimes more than a ring. */
static uint64_t some_size(struct worker *w)
{
	return below(w, 1ull << (4 + below(w, 14))) + (below(w, 20) ? 0 : below(w, PAYLOAD_MAX - (128 << 10)));
}

static void said_wrong(struct worker *w, const char *what)
{
	wrong(what, g_who, w->sequence);
	w->count.wrong++;
}

static bool call_session(struct worker *w, int call)
{
	uint64_t depth = below(w, 4), r = random_word(&w->random), q[CP_CALL_WORDS] = { CALL_ECHO, g_who, ++w->sequence, r, depth };

	int error = cp_call(call, q);
	if (error == -EAGAIN)
		error = cp_call_ready(call, 200 * MS);
	else if (!error && !q[0] && q[1] != mix(g_who ^ mix(w->sequence ^ mix(r))) + depth)
		said_wrong(w, "answer of a call");
	else if (!error)
		error = (int)q[0];
	return !error;
}

/* The callee works on memory of ours, which is ours alone again once it is revoked. */
static bool cap_session(struct worker *w, int call)
{
	uint64_t size = some_size(w) % PAYLOAD_MAX, seed = mix(g_who ^ mix(++w->sequence));
	int memory = cp_memory(w->bytes, PAYLOAD_MAX, CP_LOAD | CP_STORE | CP_GRANT);

	fill(w->bytes, size, seed, 0);
	struct cp_message m = { .word = { CALL_CAP, g_who, w->sequence, size }, .cap = { memory }, .caps = 1, .timeout_ns = 500 * MS };
	int error = memory < 0 ? memory : cp_call_message(call, &m);
	if (memory >= 0 && (cp_revoke(memory) || cp_close(memory)))
		said_wrong(w, "revocation");
	if (error == -EAGAIN)
		error = cp_call_ready(call, 200 * MS);
	else if (!error && !m.word[0] && !is_filled(w->bytes, size, seed, 0, ~0ull))
		said_wrong(w, "memory");
	return !error && !m.word[0];
}

/* A callee reads while it may; afterwards the bytes are poison. */
static bool revoke_session(struct worker *w, int call)
{
	uint64_t size = 4096 << below(w, 5), seed = random_word(&w->random);
	bool own = below(w, 2);
	int file = own ? cp_memory(w->bytes, size, CP_LOAD | CP_STORE | CP_GRANT) : cp_file_create(NULL, size);

	fill(w->bytes, size, seed, 0);
	int error = file < 0 ? file : own || cp_file_pwrite(file, w->bytes, size, 0) == (ssize_t)size ? 0 : -EIO;
	int reader = error ? -1 : cp_derive(file, 0, size, CP_LOAD | CP_GRANT);
	struct cp_message m = { .word = { CALL_READ, g_who, ++w->sequence, seed, size }, .cap = { reader }, .caps = 1, .timeout_ns = 500 * MS };
	if (reader >= 0)
		error = cp_call_message(call, &m);
	usleep((useconds_t)below(w, 3000));
	if (!g_corrupt && file >= 0 && cp_revoke(file)) /* the control: poison without revocation */
		said_wrong(w, "revocation");
	memset(w->more, 0xee, size);
	if (own)
		memset(w->bytes, 0xee, size);
	else if (file >= 0 && cp_file_pwrite(file, w->more, size, 0) != (ssize_t)size)
		said_wrong(w, "a file of our own");
	if (reader >= 0)
		cp_close(reader);
	if (file >= 0)
		cp_close(file);
	return !error && !m.word[0];
}

static const char *const g_evil_name[] = { [CALL_FAULT] = "fault", [CALL_EXIT] = "exit", [CALL_THREAD_EXIT] = "thread's end", [CALL_LOOP] = "loop" };

static bool evil_session(struct worker *w, int call)
{
	uint64_t what = CALL_FAULT + below(w, 4);
	struct cp_message m = { .word = { what, g_who, ++w->sequence }, .timeout_ns = what == CALL_LOOP ? (int64_t)below(w, 30) * MS : 10000 * MS };
	int error = cp_call_message(call, &m);

	if (!error)
		said_wrong(w, g_evil_name[what]);
	usleep((useconds_t)(20000 + below(w, 300000)));
	return error == -EOWNERDEAD || error == -ESHUTDOWN || error == -ECANCELED || error == -ETIMEDOUT;
}

static void call_rounds(struct worker *w, bool (*session)(struct worker *, int), const char *name)
{
	int call = cp_call_open(name, CP_USE);
	bool good = call > 0;

	for (uint64_t n = 1 + below(w, ROUNDS_MAX); good && n && !g_hold; n--) {
		good = session(w, call);
		w->count.ok += good;
	}
	w->count.errors += !good;
	if (call > 0)
		cp_close(call);
}

static _Thread_local sigjmp_buf t_fault;
static _Thread_local volatile bool t_guarded;

static void on_fault(int signal)
{
	if (t_guarded)
		siglongjmp(t_fault, 1);
	_exit(128 + signal);
}

/* A backend's file through a mapping, which may end under us: then it is SIGSEGV, never other bytes. */
static void mapped(struct worker *w, int file)
{
	uint64_t size = 4096 << below(w, 6);
	void *at;

	int error = cp_file_map(file, size, PROT_READ, 0, &at);
	if (error) {
		if (error != -EKEYREVOKED)
			said_wrong(w, "a backend's file cannot be mapped");
		return;
	}
	if (!sigsetjmp(t_fault, 1)) {
		t_guarded = true;
		uint64_t identity = *(volatile uint64_t *)at;
		if (identity && !is_filled((char *)at + 8, size - 8, identity, 1, 0))
			said_wrong(w, "a backend's file, mapped");
	} else {
		w->count.errors++;
	}
	t_guarded = false;
	cp_file_unmap(at, size);
}

/* Our part of the pod's file, where nobody else writes; and what a backend wrote into its own. */
static void file_rounds(struct worker *w, const char *name)
{
	int board = cp_file_open_range("board", CP_LOAD | CP_STORE, g_who * BOARD_PART, BOARD_PART), theirs = cp_file_open(name, CP_LOAD | CP_MAP);
	uint64_t identity = 0;

	w->count.errors += theirs < 0;
	if (board < 0)
		said_wrong(w, "the pod's file");
	for (uint64_t n = 1 + below(w, ROUNDS_MAX); n && !g_hold; n--, w->count.ok++) {
		uint64_t size = 1 + some_size(w) % PAYLOAD_MAX, at = below(w, BOARD_PART - size), seed = random_word(&w->random);
		struct cp_file_io io = { .file = board, .write = 1, .buffer = w->bytes, .size = size, .offset = at };
		fill(w->bytes, size, seed, 0);
		bool background = !below(w, 8) && !cp_file_submit(&io);
		ssize_t r = background ? cp_file_finish(&io) : cp_file_pwrite(board, w->bytes, size, at);
		memset(w->more, 0, size);
		if (r != (ssize_t)size || cp_file_pread(board, w->more, size, at) != r || !is_filled(w->more, size, seed, 0, 0))
			said_wrong(w, "the pod's file");
		at = 8 + below(w, (100 << 10) / 8) * 8;
		if (theirs < 0 || cp_file_pread(theirs, &identity, sizeof identity, 0) != sizeof identity || !identity)
			continue;
		r = cp_file_pread(theirs, w->more, 128 << 10, at);
		if (r > 0 && !is_filled(w->more, (uint64_t)r & ~7ull, identity, at / 8, 0))
			said_wrong(w, "a backend's file");
		w->count.errors += r < 0;
		if (!below(w, 4))
			mapped(w, theirs);
	}
	if (board >= 0)
		cp_close(board);
	if (theirs >= 0)
		cp_close(theirs);
}

/* TCP may connect a socket with itself when nobody listens on a port that the host gives to clients. */
static bool with_itself(int s)
{
	struct sockaddr_in here = { .sin_port = 0 }, there = { .sin_port = 1 };
	socklen_t size = sizeof here, other = sizeof there;

	return !getsockname(s, (struct sockaddr *)&here, &size) && !getpeername(s, (struct sockaddr *)&there, &other) && here.sin_port == there.sin_port;
}

static bool reach(struct worker *w, struct end *e, const char *name, int number)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)g_port[number]), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	bool tcp = w->channel == CH_TCP;

	e->stream = w->channel == CH_STREAM;
	if (e->stream)
		return (e->number = cp_connect(name, g_who)) > 0;
	snprintf(un.sun_path, sizeof un.sun_path, "/tmp/storm-%d", number);
	e->number = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0);
	if (!connect(e->number, tcp ? (struct sockaddr *)&in : (struct sockaddr *)&un, tcp ? sizeof in : sizeof un) && !(tcp && with_itself(e->number)))
		return true;
	close(e->number);
	return false;
}

static void connection_rounds(struct worker *w, const char *name, int number)
{
	struct end e = { .ring = NULL };
	bool good = reach(w, &e, name, number);

	if (!good) {
		w->count.errors++;
		return;
	}
	if (e.stream && below(w, 2) && cp_stream_map(e.number, &e.ring))
		said_wrong(w, "mapping of a ring");
	for (uint64_t n = 1 + below(w, ROUNDS_MAX); good && n && !g_hold; n--) {
		struct message m = { .magic = MAGIC, .who = g_who, .sequence = ++w->sequence, .size = (uint32_t)some_size(w) }, got;
		int file = e.stream && !below(w, 8) ? cp_file_open("board", CP_LOAD | CP_GRANT) : -1;
		if (file >= 0 && !cp_stream_send_cap(e.number, file))
			m.flags = FLAG_CAP;
		if (file >= 0)
			cp_close(file);
		m.sum = message_sum(&m);
		fill(w->bytes, m.size, message_seed(&m), 0);
		int r = message_send(&e, &m, w->bytes) ? message_receive(&e, &got, w->more, &m) : 0;
		w->count.wrong += r < 0;
		w->count.ok += good = r > 0;
	}
	w->count.errors += !good;
	if (!g_corrupt || !e.stream) /* the control leaks them */
		end_close(&e);
}

static void session(struct worker *w)
{
	int number = (int)below(w, BACKENDS);
	uint64_t ok = w->count.ok;
	char name[16];

	snprintf(name, sizeof name, "storm/%d", number);
	switch (w->channel) {
	case CH_CALL:
		call_rounds(w, call_session, name);
		break;
	case CH_CAP:
		call_rounds(w, cap_session, name);
		break;
	case CH_REVOKE:
		call_rounds(w, revoke_session, name);
		break;
	case CH_EVIL:
		call_rounds(w, evil_session, name);
		break;
	case CH_FILE:
		file_rounds(w, name);
		break;
	default:
		connection_rounds(w, name, number);
	}
	if (pwrite(g_counts, &w->count, sizeof w->count, (off_t)(w->channel * sizeof w->count)) != sizeof w->count)
		_exit(4);
	if (w->count.ok == ok)
		usleep(1000); /* nobody there */
}

static void *work(void *argument)
{
	for (;;) {
		__atomic_add_fetch(&g_held, 1, __ATOMIC_SEQ_CST);
		while (g_hold)
			usleep(5000);
		__atomic_sub_fetch(&g_held, 1, __ATOMIC_SEQ_CST);
		session(argument);
	}
	return NULL;
}

int client(uint64_t seed, int who, const char *where, const char *ports, uint32_t channels)
{
	static struct worker workers[CHANNELS];
	char path[200], held[200], hold[200];
	struct stat st;
	pthread_t thread;
	int count = 0;

	signal(SIGSEGV, on_fault);
	g_who = (uint64_t)who;
	if (sscanf(ports, "%d,%d", &g_port[0], &g_port[1]) != BACKENDS)
		return 2;
	snprintf(path, sizeof path, "%s/%d", where, who);
	snprintf(held, sizeof held, "%s/%d.held", where, who);
	snprintf(hold, sizeof hold, "%s/hold", where);
	g_counts = open(path, O_RDWR | O_CREAT, 0644);
	unlink(held);
	g_hold = stat(hold, &st) == 0; /* then they wait before anything else */
	for (uint32_t i = 0; i < CHANNELS; i++) {
		struct worker *w = &workers[i];
		*w = (struct worker){ .channel = i, .random = mix(seed ^ mix((uint64_t)who * CHANNELS + i)), .bytes = malloc(PAYLOAD_MAX), .more = malloc(PAYLOAD_MAX) };
		if (pread(g_counts, &w->count, sizeof w->count, (off_t)(i * sizeof w->count)) < 0)
			return 4;
		if (channels >> i & 1 && (count++, !w->bytes || !w->more || pthread_create(&thread, NULL, work, w)))
			return 4;
	}
	for (;;) {
		g_hold = stat(hold, &st) == 0;
		bool all = __atomic_load_n(&g_held, __ATOMIC_SEQ_CST) == count;
		if (g_hold && all)
			close(open(held, O_WRONLY | O_CREAT, 0644));
		else if (!g_hold)
			unlink(held);
		usleep(20000);
	}
}
