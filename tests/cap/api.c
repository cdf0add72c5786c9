/*
 * Every function of include/cvm, with each error its header names, on a libOS. Natively (argument "native") every function
 * fails with -ENOSYS. The other cVMs of api.yaml help. An argument names tests, all if it is empty.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cvm/call.h>
#include <cvm/file.h>
#include <cvm/poll.h>
#include <cvm/stream.h>

#include "sdk/window.h" /* of the libcvm that this program is linked with */

#include "check.h"
#include "peer.h"

#define MS 1000000ll
#define GONE 1000000 /* a handle that was never given out */

static int g_peer;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Asks peer; the first word of the answer or the call's error. */
static long ask(enum peer_op op, uint64_t a, uint64_t b, int cap)
{
	struct cp_message m = { .word = { op, a, b, 0x6465646e65707061 }, .cap = { cap }, .caps = cap > 0, .timeout_ns = CP_FOREVER };
	int r = WHEN_SERVED(g_peer, cp_call_message(g_peer, &m));

	return r ? r : (long)m.word[0];
}

/* ---- outside a cVM ---- */

static void nothing(void *context, struct cp_request *request)
{
	(void)context, (void)request;
}

static int natively(void)
{
	struct cp_message m = { .caps = 0 };
	uint64_t w[CP_CALL_WORDS] = { 0 };
	struct cp_poll entry = { .fd = 0 };
	struct cp_server *server;
	struct cp_file_io io;
	struct cp_batch batch = { .stream = 1, .buffer = &m, .size = 1, .used = 1 };
	struct cp_info info;
	struct iovec iov = { w, 8 };
	uint32_t version = 0;
	const void *ring;
	void *at;

	IS(getauxval(CP_AT_CVM), 0);
	IS(cp_present(), -ENOSYS);
	IS(cp_derive(1, 0, 0, 0), -ENOSYS);
	IS(cp_memory(w, 8, CP_LOAD), -ENOSYS);
	IS(cp_type(), -ENOSYS);
	IS(cp_seal(1, 2), -ENOSYS);
	IS(cp_unseal(1, 2), -ENOSYS);
	IS(cp_revoke(1), -ENOSYS);
	IS(cp_close(1), -ENOSYS);
	IS(cp_info(1, &info), -ENOSYS);
	IS(cp_wait(1, CP_READABLE, 0, 0), -ENOSYS);
	IS(cp_file_create("a", 1), -ENOSYS);
	IS(cp_file_open("a", CP_LOAD), -ENOSYS);
	IS(cp_file_open_range("a", CP_LOAD, 0, 1), -ENOSYS);
	IS(cp_file_size(1), -ENOSYS);
	IS(cp_file_pread(1, w, 8, 0), -ENOSYS);
	IS(cp_file_pwrite(1, w, 8, 0), -ENOSYS);
	IS(cp_file_readv(1, &iov, 1, 0), -ENOSYS);
	IS(cp_file_writev(1, &iov, 1, 0), -ENOSYS);
	IS(cp_file_wait(1, &version, 0), -ENOSYS);
	IS(cp_file_version(1), -ENOSYS);
	IS(cp_file_changed(1), -ENOSYS);
	IS(cp_file_map(1, 4096, PROT_READ, 0, &at), -ENOSYS);
	IS(cp_file_unmap(w, 4096), -ENOSYS);
	IS(cp_file_submit(&io), -ENOSYS);
	IS(cp_call_open("a", CP_USE), -ENOSYS);
	IS(cp_call(1, w), -ENOSYS);
	IS(cp_call_message(1, &m), -ENOSYS);
	IS(cp_call_ready(1, 0), -ENOSYS);
	IS(cp_notify(1), -ENOSYS);
	IS(cp_export("a"), -ENOSYS);
	IS(cp_answer_caps(&m.cap[0], 1), -ENOSYS);
	IS(cp_serve(1, nothing, NULL), -ENOSYS);
	IS(cp_server_start("a", 1, nothing, NULL, &server), -ENOSYS);
	IS(cp_listen("a", 1), -ENOSYS);
	IS(cp_accept(1, 0), -ENOSYS);
	IS(cp_connect("a", 0), -ENOSYS);
	IS(cp_connect_open("a", CP_USE), -ENOSYS);
	IS(cp_connect_with(1, 0), -ENOSYS);
	IS(cp_stream_send(1, w, 8, 0), -ENOSYS);
	IS(cp_stream_recv(1, w, 8, 0), -ENOSYS);
	IS(cp_stream_send_cap(1, 2), -ENOSYS);
	IS(cp_stream_recv_cap(1), -ENOSYS);
	IS(cp_stream_shutdown(1, SHUT_WR), -ENOSYS);
	IS(cp_stream_map(1, &ring), -ENOSYS);
	IS(cp_stream_window(1, w, &ring, 0), -ENOSYS);
	IS(cp_stream_release(1, 1), -ENOSYS);
	IS(cp_stream_unmap(w), -ENOSYS);
	IS(cp_batch_flush(&batch), -ENOSYS);
	IS(cp_poll(&entry, 1, 0), -ENOSYS);
	return check_end("native");
}

/* ---- cap.h ---- */

static void test_derive(void)
{
	int board = cp_file_open("board", CP_LOAD | CP_STORE | CP_GRANT), part, r;
	struct cp_info info;
	char b[16];

	TRUE(board > 0);
	TRUE((part = cp_derive(board, 3, 4, CP_LOAD)) > 0);
	IS(cp_info(part, &info), 0);
	IS(info.kind, CP_KIND_MEMORY);
	IS(info.perms, CP_LOAD);
	IS(info.length, 4);
	IS(info.sealed, 0);
	IS(info.peer, UINT32_MAX); /* the pod's file */
	TRUE((r = cp_memory(b, sizeof b, CP_LOAD)) > 0);
	IS(cp_info(r, &info), 0);
	IS(info.peer, UINT32_MAX); /* nobody's file, whoever holds it */
	IS(cp_close(r), 0);
	IS(cp_file_pread(part, b, 16, 0), 4);
	IS(memcmp(b, "3456", 4), 0);
	IS(cp_file_pread(part, b, 16, 4), 0);
	IS(cp_file_pwrite(part, b, 1, 0), -EACCES);
	IS(cp_derive(part, 0, 4, CP_LOAD | CP_STORE), -EACCES);
	IS(cp_derive(part, 0, 5, CP_LOAD), -ERANGE);
	IS(cp_derive(part, 1, 4, CP_LOAD), -ERANGE);
	IS(cp_derive(part, ~0ull, 2, CP_LOAD), -ERANGE);
	IS(cp_derive(part, 0, 0, CP_LOAD), -ERANGE);
	IS(cp_derive(GONE, 0, 1, CP_LOAD), -EBADF);
	IS(cp_derive(0, 0, 1, CP_LOAD), -EBADF);
	IS(cp_derive(-1, 0, 1, CP_LOAD), -EBADF);
	IS(cp_revoke(board), 0);
	IS(cp_file_pread(part, b, 1, 0), -EKEYREVOKED);
	IS(cp_info(part, &info), -EKEYREVOKED);
	IS(cp_derive(part, 0, 1, CP_LOAD), -EKEYREVOKED);
	IS(cp_file_pread(board, b, 1, 0), 1);
	IS(cp_close(part), 0);
	IS(cp_close(part), -EBADF);
	IS(cp_file_pread(part, b, 1, 0), -EBADF);
	TRUE((part = cp_derive(board, 0, 10, CP_LOAD)) > 0);
	TRUE((r = cp_derive(part, 2, 1, CP_LOAD)) > 0);
	IS(cp_close(part), 0); /* what comes from it stays */
	IS(cp_file_pread(r, b, 9, 0), 1);
	IS(b[0], '2');
	IS(cp_close(board), 0); /* the pod's file: nobody made it, nothing ends */
	IS(cp_file_pread(r, b, 9, 0), 1);
	IS(cp_close(r), 0);
	IS(cp_revoke(r), -EBADF);
}

static void test_seal(void)
{
	int file = cp_file_create(NULL, 100), type = cp_type(), other = cp_type(), sealed, open, weak, call;
	struct cp_info info;
	char b[4];

	TRUE(file > 0 && type > 0 && other > 0);
	TRUE((sealed = cp_seal(file, type)) > 0);
	IS(cp_info(sealed, &info), 0);
	IS(info.sealed, 1);
	IS(cp_file_pread(sealed, b, 1, 0), -EACCES);
	IS(cp_file_pwrite(sealed, b, 1, 0), -EACCES);
	IS(cp_derive(sealed, 0, 1, CP_LOAD), -EACCES);
	IS(cp_wait(sealed, CP_READABLE, 0, 0), -EACCES);
	IS(cp_unseal(sealed, other), -EPERM);
	IS(cp_seal(sealed, other), -EINVAL);
	IS(cp_unseal(file, type), -EPERM);
	IS(cp_unseal(sealed, file), -EBADF);
	TRUE((weak = cp_derive(type, 0, 0, CP_GRANT)) > 0);
	IS(cp_unseal(sealed, weak), -EACCES);
	TRUE((open = cp_unseal(sealed, type)) > 0);
	IS(cp_file_pread(open, b, 4, 0), 4);
	IS(cp_revoke(file), 0);
	IS(cp_file_pread(open, b, 4, 0), -EKEYREVOKED);
	IS(cp_unseal(sealed, type), -EKEYREVOKED);
	cp_close(open), cp_close(sealed), cp_close(weak), cp_close(file);
	TRUE((call = cp_export("api/sealed")) > 0);
	IS(cp_seal(call, type), -EINVAL);
	cp_close(call), cp_close(type), cp_close(other);
}

static void test_names(void)
{
	int file, again, dup;

	IS(cp_file_open("nowhere", CP_LOAD), -EACCES);
	IS(cp_file_open("api/nothing", CP_LOAD), -ENOENT);
	IS(cp_file_open("board", CP_ALL), -EACCES);
	IS(cp_file_open("", CP_LOAD), -EINVAL);
	IS(cp_file_open(NULL, CP_LOAD), -EINVAL);
	IS(cp_file_open("board", 1u << 20), -EINVAL);
	IS(cp_file_create("board", 10), -EACCES);
	IS(cp_file_create("api/a", 0), -EINVAL);
	IS(cp_file_create("api/a", 1ull << 40), -EINVAL);
	TRUE((file = cp_file_create("api/a", 5000)) > 0);
	IS(cp_file_create("api/a", 1), -EEXIST);
	TRUE((again = cp_file_open("api/a", CP_LOAD | CP_GRANT)) > 0);
	IS(cp_file_size(again), 5000);
	TRUE((dup = cp_file_open_range("api/a", CP_LOAD, 4999, 1)) > 0);
	IS(cp_file_size(dup), 1);
	IS(cp_file_open_range("api/a", CP_LOAD, 4999, 2), -ERANGE);
	IS(cp_close(file), 0); /* the maker's: it ends for all */
	IS(cp_file_size(again), -EKEYREVOKED);
	IS(cp_file_size(dup), -EKEYREVOKED);
	IS(cp_file_open("api/a", CP_LOAD), -ENOENT);
	cp_close(again), cp_close(dup);
	IS(cp_export("elsewhere"), -EACCES);
	IS(cp_listen("elsewhere", 1), -EACCES);
	IS(cp_connect("elsewhere", 1), -EACCES);
	IS(cp_call_open("elsewhere", CP_USE), -EACCES);
	IS(cp_call_open("api/nothing", CP_USE), -ENOENT);
	IS(cp_call_open("peer/do", CP_USE | CP_GRANT), -EACCES);
	IS(cp_connect("api/nothing", 1), -ENOENT);
}

static void test_quota(void)
{
	int cap[200], n = 0, r;

	while (n < 200 && (r = cp_type()) > 0)
		cap[n++] = r;
	IS(r, -EMFILE);
	TRUE(n > 150);
	while (n)
		cp_close(cap[--n]);
	TRUE((r = cp_type()) > 0);
	cp_close(r);
}

/* ---- file.h ---- */

static void test_file(void)
{
	int f = cp_file_create("api/f", 10), board = cp_file_open("board", CP_LOAD);
	char b[16] = "abcdefghijklmno";
	struct iovec out[3] = { { b, 3 }, { b, 0 }, { b + 3, 5 } }, bad[2] = { { b, 2 }, { NULL, 1 } };

	IS(cp_file_size(f), 10);
	IS(cp_file_size(GONE), -EBADF);
	IS(cp_file_pread(f, b + 12, 4, 8), 2);
	IS(b[12] | b[13], 0);
	IS(cp_file_pwrite(f, b, 4, 8), 2);
	IS(cp_file_pwrite(f, b, 1, 10), -ENOSPC);
	IS(cp_file_pwrite(f, b, 1, ~0ull), -ENOSPC);
	IS(cp_file_pwrite(f, b, 0, 10), 0);
	IS(cp_file_pread(f, b, 1, 10), 0);
	IS(cp_file_pread(f, b, ~0ull, 11), 0);
	IS(cp_file_pread(f, NULL, 1, 0), -EFAULT);
	IS(cp_file_pread(f, (void *)-16, 1, 0), -EFAULT);
	IS(cp_file_pwrite(f, NULL, 1, 0), -EFAULT);
	IS(cp_file_pwrite(board, b, 1, 0), -EACCES);
	IS(cp_file_writev(f, out, 3, 1), 8);
	IS(cp_file_writev(f, out, 3, 5), 5); /* two of the last five */
	IS(cp_file_writev(f, out, -1, 0), -EINVAL);
	IS(cp_file_writev(f, bad, 2, 0), 2);
	IS(cp_file_writev(f, bad + 1, 1, 0), -EFAULT);
	memset(b, 0, sizeof b);
	IS(cp_file_readv(f, out, 3, 1), 8);
	IS(memcmp(b, "bbcdabcd", 8), 0);
	cp_close(f), cp_close(board);
}

static void *change_later(void *file)
{
	pause_ms(20);
	IS(cp_file_pwrite((int)(long)file, "x", 1, 0), 1);
	return NULL;
}

static void test_file_wait(void)
{
	int f = cp_file_create("api/w", 10), weak = cp_file_open("api/w", CP_LOAD);
	int mine = cp_memory(&g_peer, 4, CP_LOAD | CP_STORE);
	uint32_t version = (uint32_t)cp_file_version(f), before = version;
	pthread_t thread;

	IS(cp_file_wait(f, &version, 0), -ETIMEDOUT);
	IS(cp_file_wait(f, &version, 5 * MS), -ETIMEDOUT);
	IS(version, before);
	IS(cp_file_changed(f), 0);
	IS(cp_file_changed(weak), -EACCES);
	IS(cp_file_wait(weak, &version, CP_FOREVER), 0);
	TRUE(version != before);
	pthread_create(&thread, NULL, change_later, (void *)(long)f);
	IS(cp_file_wait(weak, &version, CP_FOREVER), 0);
	pthread_join(thread, NULL);
	IS(cp_wait(weak, CP_READABLE, version, 0), -ETIMEDOUT);
	IS(cp_wait(weak, CP_READABLE, version + 1, 0), CP_READABLE);
	IS(cp_file_version(GONE), -EBADF);
	uint32_t never = (uint32_t)cp_file_version(mine);
	IS(cp_file_changed(mine), 0);
	IS(cp_file_wait(mine, &never, 0), -ETIMEDOUT);
	cp_close(mine), cp_close(f);
	IS(cp_file_wait(weak, &version, 0), -EKEYREVOKED);
	cp_close(weak);
}

static sigjmp_buf g_jump;

static void jump(int signal)
{
	siglongjmp(g_jump, signal);
}

/* Is touching it SIGSEGV? */
static int faults(volatile char *at, int store)
{
	struct sigaction action = { .sa_handler = jump }, old;
	int r;

	sigaction(SIGSEGV, &action, &old);
	r = sigsetjmp(g_jump, 1);
	if (!r) {
		if (store)
			*at = 1;
		else
			(void)*at;
	}
	sigaction(SIGSEGV, &old, NULL);
	return r == SIGSEGV;
}

static void test_map(void)
{
	int f = cp_file_create("api/m", 10000), g = cp_file_open("api/m", CP_LOAD | CP_STORE | CP_MAP);
	int only_read = cp_file_open("api/m", CP_LOAD | CP_MAP), no_map = cp_file_open("api/m", CP_LOAD);
	int odd = cp_derive(g, 1, 5000, CP_LOAD | CP_MAP), page = cp_derive(g, 4096, 4096, CP_LOAD | CP_MAP);
	int mine = cp_memory(&g_peer, 4, CP_LOAD);
	char *at = NULL, *second = NULL;

	IS(cp_file_map(no_map, 10000, PROT_READ, 0, (void **)&at), -EACCES);
	IS(cp_file_map(only_read, 10000, PROT_READ | PROT_WRITE, 0, (void **)&at), -EACCES);
	IS(cp_file_map(g, 0, PROT_READ, 0, (void **)&at), -EINVAL);
	IS(cp_file_map(g, 4096, PROT_READ, 1, (void **)&at), -EINVAL);
	IS(cp_file_map(g, 16384, PROT_READ, 0, (void **)&at), -EINVAL);
	IS(cp_file_map(g, 4096, PROT_READ | PROT_EXEC, 0, (void **)&at), -EINVAL);
	IS(cp_file_map(odd, 4096, PROT_READ, 0, (void **)&at), -EINVAL);
	IS(cp_file_map(page, 8192, PROT_READ, 0, (void **)&at), -EINVAL);
	TRUE(cp_file_map(mine, 4096, PROT_READ, 0, (void **)&at) < 0);
	IS((long)at, 0);
	IS(cp_file_map(g, 10000, PROT_READ | PROT_WRITE, 0, (void **)&at), 0);
	IS(cp_file_map(g, 4096, PROT_READ, 0, (void **)&second), -EBUSY);
	IS(cp_file_map(page, 4096, PROT_READ, 0, (void **)&second), 0);
	at[4097] = 'm';
	IS(second[1], 'm');
	TRUE(faults(second, 1));
	IS(cp_file_pwrite(f, "z", 1, 4097), 1);
	IS(second[1], 'z');
	IS(cp_file_unmap(at, 10000), 0);
	TRUE(faults(at, 0));
	IS(cp_file_map(g, 4096, PROT_READ | PROT_WRITE, 4096, (void **)&at), 0);
	IS(at[1], 'z');
	IS(cp_revoke(g), 0); /* page goes, g stays */
	TRUE(faults(second, 0));
	IS(faults(at, 1), 0);
	IS(cp_file_unmap(second, 4096), 0);
	IS(cp_close(f), 0);
	TRUE(faults(at, 0));
	IS(cp_file_unmap(at, 4096), 0);
	cp_close(g), cp_close(only_read), cp_close(no_map), cp_close(odd), cp_close(page), cp_close(mine);
}

/* ---- files that libcvm has mapped for itself ---- */

#define WINDOW_SIZE (3 * 4096 + 100)

static int has_window(int file, int writable)
{
	const struct sdk_window *w = sdk_window(file, 0, 1);

	return w && (w->heed || !writable);
}

static void use_often(int file)
{
	char b;

	for (int i = 0; i < 300; i++)
		IS(cp_file_pread(file, &b, 1, 0), 1);
}

static void test_window(void)
{
	int f = cp_file_create("api/x", WINDOW_SIZE), only_read = cp_file_open("api/x", CP_LOAD | CP_MAP);
	int part = cp_file_open_range("api/x", CP_LOAD | CP_STORE | CP_MAP, 4096, WINDOW_SIZE - 4096), no_map = cp_file_open("api/x", CP_LOAD);
	char out[200], in[200], *at;
	struct iovec iov[2] = { { out, 90 }, { out + 90, 110 } };

	for (int i = 0; i < 200; i++)
		out[i] = (char)(i + 1);
	use_often(f), use_often(only_read), use_often(part), use_often(no_map);
	TRUE(has_window(f, 1) && has_window(only_read, 0) && has_window(part, 0));
	TRUE(!has_window(only_read, 1) && !has_window(part, 1) && !has_window(no_map, 0));
	IS(cp_file_pwrite(f, out, 200, 4000), 200);
	IS(cp_file_pwrite(part, out, 2, 104), 2);
	IS(cp_file_pwrite(only_read, out, 1, 0), -EACCES);
	IS(cp_file_pread(no_map, in, 200, 4000), 200);
	TRUE(!memcmp(in, out, 200));
	IS(cp_file_pread(only_read, in, 4, 4198), 4);
	TRUE(in[0] == (char)199 && in[1] == (char)200 && in[2] == 1 && in[3] == 2);
	IS(cp_file_pwrite(f, out, 200, WINDOW_SIZE - 100), 100); /* not into what lies behind the end */
	IS(cp_file_pwrite(f, out, 1, WINDOW_SIZE), -ENOSPC);
	IS(cp_file_pread(f, in, 200, WINDOW_SIZE - 1), 1);
	IS(in[0], 100);
	IS(cp_file_pread(f, in, 1, WINDOW_SIZE), 0);
	IS(cp_file_pread(f, in, 1, ~0ull), 0);
	IS(cp_file_writev(f, iov, 2, 8000), 200);
	IS(cp_file_readv(part, &(struct iovec){ in, 200 }, 1, 8000 - 4096), 200);
	TRUE(!memcmp(in, out, 200));
	TRUE(has_window(f, 1) && has_window(part, 0));

	IS(cp_file_pread(f, NULL, 1, 0), -EFAULT);
	TRUE(!has_window(f, 0));
	use_often(f), use_often(f);
	TRUE(has_window(f, 1));
	IS(cp_file_pwrite(f, (void *)8, 4096, 0), -EFAULT);
	IS(cp_file_pread(f, in, 200, 4000), 200);
	use_often(f), use_often(f), use_often(f);
	TRUE(has_window(f, 1));
	IS(cp_file_map(f, 4096, PROT_READ | PROT_WRITE, 0, (void **)&at), 0); /* the program's own goes first */
	use_often(f);
	TRUE(!has_window(f, 0));
	at[5] = 'y';
	IS(cp_file_pread(only_read, in, 1, 5), 1);
	IS(in[0], 'y');
	IS(cp_file_unmap(at, 4096), 0);

	IS(cp_revoke(f), 0);
	IS(cp_file_pread(only_read, in, 1, 0), -EKEYREVOKED);
	IS(cp_file_pread(part, in, 0, 0), -EKEYREVOKED);
	IS(cp_file_pwrite(part, in, 1, 0), -EKEYREVOKED);
	IS(cp_file_pread(f, in, 1, 5), 1);
	cp_close(only_read);
	IS(cp_file_pread(only_read, in, 1, 0), -EBADF);
	cp_close(f), cp_close(part), cp_close(no_map);
	IS(cp_file_pwrite(f, in, 1, 0), -EBADF);
}

struct ping {
	int in, out;
	uint32_t rounds;
};

/* Answers each number with the next, as soon as it is there. */
static void *answer_numbers(void *argument)
{
	struct ping *p = argument;
	uint32_t n = 0, version = (uint32_t)cp_file_version(p->in);

	for (uint32_t want = 1; want <= p->rounds; want += 2) {
		while (cp_file_pread(p->in, &n, 4, 0) == 4 && n != want)
			IS(cp_file_wait(p->in, &version, 10000 * MS), 0);
		n++;
		IS(cp_file_pwrite(p->out, &n, 4, 0), 4);
	}
	return NULL;
}

/* No change is missed by who waits for it, written without the gate though it is. */
static void test_window_version(void)
{
	int f = cp_file_create("api/x", 10), there = cp_file_create(NULL, 4), back = cp_file_create(NULL, 4), never;
	struct ping ping = { there, back, 40000 };
	pthread_t thread;

	use_often(f);
	for (int i = 0; i < 3; i++)
		IS(cp_file_pwrite(f, "a", 1, 0), 1);
	TRUE(has_window(f, 1));
	IS(cp_wait(f, CP_READABLE, 0, 0), CP_READABLE);
	uint32_t version = (uint32_t)cp_file_version(f);
	TRUE(version > 0);
	IS(cp_file_wait(f, &version, 0), -ETIMEDOUT);
	IS(cp_file_pwrite(f, "b", 1, 0), 1);
	IS(cp_file_wait(f, &version, 0), 0);
	pthread_create(&thread, NULL, change_later, (void *)(long)f);
	IS(cp_file_wait(f, &version, CP_FOREVER), 0);
	pthread_join(thread, NULL);
	TRUE(has_window(f, 1));

	use_often(there), use_often(back);
	TRUE(has_window(there, 1) && has_window(back, 1));
	pthread_create(&thread, NULL, answer_numbers, &ping);
	version = (uint32_t)cp_file_version(back);
	for (uint32_t i = 1, n; i <= ping.rounds; i += 2) {
		IS(cp_file_pwrite(there, &i, 4, 0), 4);
		while (cp_file_pread(back, &n, 4, 0) == 4 && n != i + 1)
			IS(cp_file_wait(back, &version, 10000 * MS), 0);
	}
	pthread_join(thread, NULL);
	cp_close(f), cp_close(there), cp_close(back);
	never = cp_file_create(NULL, 4); /* its number in the list was another file's before */
	TRUE(!has_window(never, 0));
	use_often(never);
	IS(cp_wait(never, CP_READABLE, (uint32_t)cp_file_version(never), 0), -ETIMEDOUT); /* merely read */
	IS(cp_file_pwrite(never, "abcd", 4, 0), 4);
	cp_close(never);
}

struct copier {
	int file, write;
	long result;
	uint32_t copies;
};

static void *copy_until_error(void *argument)
{
	struct copier *c = argument;
	static __thread char b[WINDOW_SIZE];

	while ((c->result = c->write ? cp_file_pwrite(c->file, b, sizeof b, 0) : cp_file_pread(c->file, b, sizeof b, 0)) > 0) {
		memset(b, (int)__atomic_add_fetch(&c->copies, 1, __ATOMIC_RELAXED), c->write ? sizeof b : 0);
		if (c->result != sizeof b)
			break;
	}
	return NULL;
}

/* A capability goes while others copy by it: they hear of it, and afterwards nothing is copied. */
static void test_window_gone(void)
{
	static char before[WINDOW_SIZE], after[WINDOW_SIZE];

	for (int round = 0; round < 40; round++) {
		int f = cp_file_create("api/x", WINDOW_SIZE), g = cp_file_open("api/x", CP_LOAD | CP_STORE | CP_MAP), revoke = round % 2;
		int h = cp_file_open("api/x", CP_LOAD | CP_MAP);
		struct copier copier[2] = { { .file = g, .write = 1 }, { .file = h } };
		pthread_t thread[2];

		use_often(f), use_often(g), use_often(h);
		TRUE(has_window(g, 1) && has_window(h, 0));
		for (int i = 0; i < 2; i++)
			pthread_create(&thread[i], NULL, copy_until_error, &copier[i]);
		while (__atomic_load_n(&copier[0].copies, __ATOMIC_RELAXED) < 100 || __atomic_load_n(&copier[1].copies, __ATOMIC_RELAXED) < 100)
			sched_yield();
		if (revoke)
			IS(cp_revoke(f), 0);
		else
			cp_close(g), cp_close(h);
		IS(cp_file_pread(f, before, sizeof before, 0), sizeof before);
		for (int i = 0; i < 2; i++) {
			pthread_join(thread[i], NULL);
			if (revoke || copier[i].result != -EBADF)
				IS(copier[i].result, -EKEYREVOKED); /* also for who comes while it is being closed */
		}
		IS(cp_file_pread(f, after, sizeof after, 0), sizeof after);
		TRUE(!memcmp(before, after, sizeof before));
		if (revoke)
			cp_close(g), cp_close(h);
		cp_close(f);
	}
}

static void test_io(void)
{
	static char out[200000], in[200000];
	int f = cp_file_create("api/io", sizeof out);
	struct cp_file_io w = { .file = f, .write = 1, .buffer = out, .size = sizeof out };
	struct cp_file_io r = { .file = f, .buffer = in, .size = sizeof in, .offset = 1 };
	struct cp_file_io bad = { .file = GONE, .buffer = in, .size = 1 };
	struct cp_poll entry[2] = { { .io = &r, .events = CP_READABLE }, { .fd = -1 } };

	for (size_t i = 0; i < sizeof out; i++)
		out[i] = (char)(i * 31);
	IS(cp_file_submit(&w), 0);
	IS(cp_file_submit(&r), 0);
	IS(cp_poll(entry, 2, CP_FOREVER), 1);
	IS(entry[0].revents, CP_READABLE);
	TRUE(cp_file_done(&w) && cp_file_done(&r));
	IS(cp_file_finish(&w), sizeof out);
	IS(r.result, sizeof in - 1);
	IS(memcmp(in, out + 1, sizeof in - 1), 0);
	IS(cp_file_submit(&bad), 0);
	IS(cp_file_finish(&bad), -EBADF);
	cp_close(f);
}

/* Neither the thread that copies nor what others wait with is in a child of fork. */
static void test_io_fork(void)
{
	int f = cp_file_create(NULL, 8), status = -1;
	char bytes[8] = "written";
	struct cp_file_io io = { .file = f, .write = 1, .buffer = bytes, .size = sizeof bytes };
	struct cp_poll entry[2] = { { .io = &io, .events = CP_READABLE }, { .fd = -1 } };
	pid_t pid;

	IS(cp_file_submit(&io), 0);
	IS(cp_poll(entry, 2, CP_FOREVER), 1);
	pid = fork();
	if (!pid) {
		alarm(60); /* only ever reached by a failure */
		io.write = 0;
		_exit(cp_file_submit(&io) || cp_poll(entry, 2, CP_FOREVER) != 1 || cp_file_finish(&io) != sizeof bytes);
	}
	IS(waitpid(pid, &status, 0), pid);
	IS(status, 0);
	IS(cp_file_submit(&io), 0);
	IS(cp_file_finish(&io), sizeof bytes);
	cp_close(f);
}

static void test_memory(void)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int cap = cp_memory(page + 100, 6, CP_LOAD | CP_STORE | CP_GRANT), weak = cp_memory(page + 100, 6, CP_LOAD);

	memcpy(page + 98, "..secret..", 10);
	IS(cp_memory(page, 0, CP_LOAD), -EINVAL);
	IS(cp_memory(page, 1, CP_LOAD | CP_MAP), -EINVAL);
	IS(cp_memory(NULL, 1, CP_LOAD), -EFAULT);
	IS(cp_memory(page, 1ull << 40, CP_LOAD), -EFAULT);
	IS(ask(PEER_READ, 8, 0, cap), 6);
	IS(ask(PEER_READ, 8, 6, cap), 0);
	IS(ask(PEER_WRITE, 8, 2, cap), 4); /* "appended", cut */
	IS(memcmp(page + 98, "..seappe..", 10), 0);
	IS(ask(PEER_READ, 1, 0, weak), -EACCES); /* it may not be passed */
	IS(ask(PEER_KEEP, 0, 0, cap), PEER_KEEP);
	IS(ask(PEER_READ_KEPT, 1, 0, 0), 1);
	munmap(page, 8192);
	IS(ask(PEER_READ_KEPT, 1, 0, 0), -EFAULT);
	IS(cp_revoke(cap), 0);
	IS(ask(PEER_READ_KEPT, 1, 0, 0), -EKEYREVOKED);
	cp_close(cap), cp_close(weak);
}

/* ---- call.h ---- */

struct caller {
	int call;
	unsigned rounds, busy;
};

static void *call_often(void *argument)
{
	struct caller *c = argument;

	for (unsigned i = 0; i < c->rounds;) {
		uint64_t w[CP_CALL_WORDS] = { PEER_ADD, i, 10, 20, 30, 40 };
		int r = cp_call(c->call, w);
		if (r == -EAGAIN) {
			c->busy++;
			IS(cp_call_ready(c->call, CP_FOREVER), 0);
			continue;
		}
		IS(r, 0);
		TRUE(w[0] == PEER_ADD && w[1] == i + 1 && w[2] == 12 && w[3] == 23 && w[4] == 34 && w[5] == 45);
		i++;
	}
	return NULL;
}

static void test_call(void)
{
	struct cp_message m = { .caps = 0 };
	struct caller callers[4];
	pthread_t thread[4];
	uint64_t w[CP_CALL_WORDS] = { PEER_ADD, 1, 2, 3, 4, 5 };

	IS(cp_call(g_peer, w), 0);
	TRUE(w[0] == 0 && w[1] == 2 && w[5] == 10);
	IS(cp_call(GONE, w), -EBADF);
	TRUE(w[0] == 0 && w[1] == 2 && w[5] == 10);
	for (int i = 0; i < 4; i++) {
		callers[i] = (struct caller){ .call = g_peer, .rounds = 20000 };
		pthread_create(&thread[i], NULL, call_often, &callers[i]);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < 4; i++) { /* asleep, or in a loop */
		uint64_t start = now_ms();
		m.word[0] = i % 2 ? PEER_SPIN : PEER_SLEEP;
		m.word[1] = (uint64_t)i + 1;
		m.timeout_ns = 20 * MS;
		IS(cp_call_message(g_peer, &m), -ETIMEDOUT);
		TRUE(now_ms() - start >= 20);
		TRUE(m.word[1] == (uint64_t)i + 1);
		IS(ask(PEER_RELEASE, m.word[1], 0, 0), PEER_RELEASE);
	}
	m.timeout_ns = CP_FOREVER;
	m.word[0] = PEER_THREAD_EXIT;
	IS(cp_call_message(g_peer, &m), -ECANCELED);
	m.caps = 5;
	IS(cp_call_message(g_peer, &m), -EINVAL);
	w[0] = PEER_DEEPER;
	w[1] = 0;
	IS(cp_call(g_peer, w), 0);
	IS((long)w[0], -ELOOP);
	IS(w[1], 7); /* eight frames */
}

static void back(void *context, struct cp_request *q)
{
	uint64_t w[CP_CALL_WORDS] = { PEER_BACK, q->word[0] - 1 };

	__atomic_add_fetch((int *)context, 1, __ATOMIC_RELAXED);
	if (q->word[0] && !WHEN_SERVED(g_peer, cp_call(g_peer, w)))
		q->word[0] = w[1] + 1;
}

/* One that takes no answer of capabilities, and gives some away. */
static void answers(void *context, struct cp_request *q)
{
	int cap = cp_derive(*(int *)context, 0, 1, CP_LOAD | CP_GRANT), caps[5] = { cap, cap, cap, cap, cap };
	int weak = cp_derive(*(int *)context, 0, 1, CP_LOAD);

	IS(cp_answer_caps(caps, 5), -EINVAL);
	IS(cp_answer_caps(caps, 0), -EINVAL);
	if (q->word[0] == 1)
		IS(cp_answer_caps(caps, 1), -EINVAL);
	else if (q->word[0] == 2)
		IS(cp_answer_caps(&weak, 1), -EACCES);
	else
		IS(cp_answer_caps(caps, 4), 0);
	for (unsigned i = 0; i < q->caps; i++)
		cp_close(q->cap[i]);
	cp_close(weak); /* cap stays: what was passed comes from it */
}

static void test_serve(void)
{
	uint64_t w[CP_CALL_WORDS] = { 2 };
	struct cp_message m = { .timeout_ns = CP_FOREVER };
	struct cp_server *server, *second;
	int calls = 0, call, file, idle;
	struct cp_info info;
	char b[2];

	TRUE((idle = cp_export("api/idle")) > 0);
	IS(cp_export("api/idle"), -EEXIST);
	TRUE((call = cp_call_open("api/idle", CP_USE)) > 0);
	IS(cp_call(call, w), -EAGAIN);
	IS(cp_call_ready(call, 0), -ETIMEDOUT);
	IS(cp_call_ready(call, 3 * MS), -ETIMEDOUT);
	IS(cp_wait(idle, CP_READABLE, 0, 0), -ETIMEDOUT);
	IS(cp_notify(call), 0);
	IS(cp_notify(call), 0);
	IS(cp_wait(idle, CP_READABLE, 0, CP_FOREVER), CP_READABLE); /* once for many */
	IS(cp_wait(idle, CP_READABLE, 0, 0), -ETIMEDOUT);
	IS(cp_notify(idle), -EBADF);
	IS(cp_close(idle), 0);
	IS(cp_call(call, w), -EKEYREVOKED);
	IS(cp_call_ready(call, 0), -EKEYREVOKED);
	cp_close(call);
	IS(cp_serve(GONE, back, NULL), -EBADF);

	IS(cp_server_start("api/back", 0, back, &calls, &server), -EINVAL);
	IS(cp_server_start("api/back", 65, back, &calls, &server), -EINVAL);
	IS(cp_server_start("elsewhere", 1, back, &calls, &server), -EACCES);
	IS(cp_server_start("api/back", 4, back, &calls, &server), 0);
	IS(cp_server_start("api/back", 1, back, &calls, &second), -EEXIST);
	IS(cp_info(cp_server_export(server), &info), 0);
	IS(info.kind, CP_KIND_EXPORT);
	call = cp_call_open("api/back", CP_USE);
	IS(cp_call_ready(call, CP_FOREVER), 0);
	IS(cp_call(call, w), 0); /* here, peer, here, peer, here */
	IS(w[0], 2);
	IS(calls, 3);
	cp_server_stop(server);
	IS(cp_call(call, w), -EKEYREVOKED);
	cp_close(call);

	file = cp_file_create(NULL, 1);
	IS(cp_server_start("api/answers", 1, answers, &file, &server), 0);
	call = cp_call_open("api/answers", CP_USE);
	IS(cp_call_ready(call, CP_FOREVER), 0);
	w[0] = 1;
	IS(cp_call(call, w), 0);
	m.word[0] = 2;
	IS(cp_call_message(call, &m), 0);
	IS(m.caps, 0);
	m.word[0] = 3;
	m.cap[0] = file, m.cap[1] = file;
	m.caps = 2;
	IS(cp_call_message(call, &m), 0);
	IS(m.caps, 4);
	for (unsigned i = 0; i < m.caps; i++) {
		IS(cp_file_pread(m.cap[i], b, 2, 0), 1);
		IS(cp_file_pwrite(m.cap[i], b, 1, 0), -EACCES);
	}
	IS(cp_revoke(file), 0);
	for (unsigned i = 0; i < m.caps; i++) {
		IS(cp_file_pread(m.cap[i], b, 2, 0), -EKEYREVOKED);
		IS(cp_close(m.cap[i]), 0);
	}
	cp_server_stop(server);
	cp_close(call), cp_close(file);
}

/* cp_info says who made what has a maker: the same to whoever asks. */
static void test_whose(void)
{
	int file = cp_file_create(NULL, 1), memory = cp_memory(&file, sizeof file, CP_LOAD | CP_GRANT), type = cp_type();
	int board = cp_file_open("board", CP_LOAD);
	struct cp_info mine, its, info;

	IS(cp_info(file, &mine), 0);
	IS(cp_info(g_peer, &its), 0);
	TRUE(mine.peer != its.peer);
	IS(ask(PEER_WHOSE, 0, 0, file), mine.peer);
	IS(cp_info(memory, &info), 0);
	IS(info.peer, UINT32_MAX);
	IS(ask(PEER_WHOSE, 0, 0, memory), UINT32_MAX);
	IS(cp_info(type, &info), 0);
	IS(info.peer, UINT32_MAX);
	IS(ask(PEER_WHOSE, 0, 0, type), UINT32_MAX);
	IS(cp_info(board, &info), 0); /* the pod's */
	IS(info.peer, UINT32_MAX);
	cp_close(file), cp_close(memory), cp_close(type), cp_close(board);
}

static void test_references(void)
{
	struct cp_message m = { .word = { PEER_GIVE }, .timeout_ns = CP_FOREVER };
	int type = cp_type(), mine = cp_file_create(NULL, 1), forged = cp_seal(mine, type), open, r, n = 0;
	char b[1];

	IS(cp_call_message(g_peer, &m), 0);
	IS(m.word[0], 0);
	IS(m.caps, 2);
	IS(cp_file_pread(m.cap[0], b, 1, 0), -EACCES);
	IS(cp_unseal(m.cap[0], type), -EPERM);
	IS(ask(PEER_UNSEAL, 0, 0, m.cap[0]), 1);
	IS(ask(PEER_UNSEAL, 0, 0, forged), 0);
	TRUE((open = cp_unseal(m.cap[0], m.cap[1])) > 0); /* the right to do so was given too */
	IS(cp_file_pread(open, b, 1, 0), 1);
	cp_close(open), cp_close(m.cap[0]), cp_close(m.cap[1]), cp_close(forged), cp_close(type);
	while (n < 100 && (r = (int)ask(PEER_FILL, 0, 0, mine)) >= 0)
		n++;
	IS(r, -EMFILE); /* peer may hold 60 */
	IS(ask(PEER_EMPTY, 0, 0, 0), PEER_EMPTY);
	IS(ask(PEER_FILL, 0, 0, mine), PEER_FILL);
	IS(ask(PEER_EMPTY, 0, 0, 0), PEER_EMPTY);
	cp_close(mine);
}

static void test_deaths(void)
{
	static const struct {
		const char *name;
		int error;
	} deaths[] = { { "die/fault", -EOWNERDEAD }, { "die/exit", -ESHUTDOWN }, { "die/kill", -EOWNERDEAD } };

	for (unsigned i = 0; i < 3; i++) {
		uint64_t w[CP_CALL_WORDS] = { 1, 2, 3 };
		int call = WHEN_THERE(cp_call_open(deaths[i].name, CP_USE));
		TRUE(call > 0);
		IS(cp_call_ready(call, CP_FOREVER), 0);
		IS(cp_call(call, w), deaths[i].error);
		TRUE(w[0] == 1 && w[1] == 2 && w[2] == 3);
		int r;
		while ((r = cp_call(call, w)) == -EAGAIN) /* until its cVM is taken apart */
			pause_ms(1);
		IS(r, -EKEYREVOKED);
		cp_close(call);
	}
}

/* ---- stream.h ---- */

/* Both ends of a new connection. */
static void pair(int end[2])
{
	int l = cp_listen("api/pair", 1);

	TRUE(l > 0);
	TRUE((end[0] = cp_connect("api/pair", 7)) > 0);
	TRUE((end[1] = cp_accept(l, CP_FOREVER)) > 0);
	cp_close(l);
}

static void *connect_later(void *argument)
{
	(void)argument;
	pause_ms(20);
	return (void *)(long)cp_connect("api/l", 1);
}

static void test_listen(void)
{
	int l = cp_listen("api/l", 2), right, a, b, c, s;
	struct cp_info info;
	pthread_t thread;
	void *late;

	TRUE(l > 0);
	IS(cp_listen("api/l", 2), -EEXIST);
	IS(cp_accept(l, 0), -ETIMEDOUT);
	IS(cp_accept(l, 3 * MS), -ETIMEDOUT);
	TRUE((right = cp_connect_open("api/l", CP_USE)) > 0);
	TRUE((a = cp_connect_with(right, 11)) > 0);
	IS(cp_stream_send(a, "early", 5, 0), 5);
	TRUE((b = cp_connect("api/l", 12)) > 0);
	IS(cp_connect("api/l", 13), -EAGAIN);
	IS(cp_wait(l, CP_READABLE, 0, 0), CP_READABLE);
	TRUE((s = cp_accept(l, CP_FOREVER)) > 0);
	IS(cp_info(s, &info), 0);
	TRUE(info.kind == CP_KIND_STREAM && info.word == 11 && info.readable == 5 && info.writable == CP_STREAM_RING);
	cp_close(s);
	TRUE((c = cp_connect("api/l", 14)) > 0);
	TRUE((s = cp_accept(l, 0)) > 0);
	IS(cp_info(s, &info), 0);
	IS(info.word, 12);
	cp_close(s);
	IS(cp_accept(GONE, 0), -EBADF);
	IS(cp_connect_with(GONE, 0), -EBADF);
	TRUE((s = cp_accept(l, 0)) > 0);
	cp_close(s);
	pthread_create(&thread, NULL, connect_later, NULL);
	TRUE((s = cp_accept(l, CP_FOREVER)) > 0);
	pthread_join(thread, &late);
	cp_close(s), cp_close((int)(long)late);
	cp_close(a), cp_close(b), cp_close(c);
	TRUE((a = cp_connect("api/l", 15)) > 0);
	cp_close(l);
	IS(cp_stream_send(a, "x", 1, 0), -EPIPE); /* never accepted */
	IS(cp_connect_with(right, 0), -EKEYREVOKED);
	cp_close(a), cp_close(right);
}

static void test_stream(void)
{
	static char big[CP_STREAM_RING + 10];
	char b[16] = "";
	int end[2];

	pair(end);
	IS(cp_stream_recv(end[1], b, 16, CP_DONTWAIT), -EAGAIN);
	IS(cp_stream_send(end[0], "abcdef", 6, 0), 6);
	IS(cp_stream_recv(end[1], b, 3, CP_PEEK), 3);
	IS(cp_stream_recv(end[1], b, 4, 0), 4);
	IS(cp_stream_recv(end[1], b + 4, 12, 0), 2);
	IS(memcmp(b, "abcdef", 6), 0);
	IS(cp_stream_send(end[1], "back", 4, 0), 4);
	IS(cp_stream_recv(end[0], b, 16, 0), 4);
	IS(cp_stream_send(end[0], NULL, 4, 0), -EFAULT);
	IS(cp_stream_send(GONE, b, 4, 0), -EBADF);
	IS(cp_stream_recv(GONE, b, 4, 0), -EBADF);
	IS(cp_stream_send(end[0], "", 0, 0), 0);
	IS(cp_stream_send(end[0], big, sizeof big, CP_DONTWAIT), CP_STREAM_RING);
	IS(cp_stream_send(end[0], big, 1, CP_DONTWAIT), -EAGAIN);
	IS(cp_wait(end[0], CP_WRITABLE, 0, 0), -ETIMEDOUT);
	IS(cp_stream_recv(end[1], NULL, 4, 0), CP_STREAM_RING > 4 ? 4 : 0); /* no buffer: gives bytes back */
	IS(cp_stream_recv(end[1], (void *)-64, 4, 0), -EFAULT);
	IS(cp_stream_recv(end[1], big, sizeof big, 0), CP_STREAM_RING - 4);
	IS(cp_stream_shutdown(end[0], SHUT_WR), 0);
	IS(cp_stream_shutdown(end[0], 3), -EINVAL);
	IS(cp_stream_send(end[0], "x", 1, 0), -EPIPE);
	IS(cp_stream_recv(end[1], b, 1, 0), 0);
	IS(cp_wait(end[1], CP_READABLE | CP_ENDED, 0, 0), CP_READABLE | CP_ENDED);
	IS(cp_stream_send(end[1], "still", 5, 0), 5); /* the other half is open */
	IS(cp_stream_recv(end[0], b, 5, CP_ALL_BYTES), 5);
	IS(cp_stream_shutdown(end[0], SHUT_RD), 0);
	IS(cp_stream_send(end[1], "x", 1, 0), -EPIPE);
	cp_close(end[0]), cp_close(end[1]);

	pair(end);
	IS(cp_stream_send(end[0], "lost", 4, 0), 4);
	IS(cp_close(end[1]), 0);
	IS(cp_stream_recv(end[0], b, 1, 0), -ECONNRESET);
	IS(cp_stream_send(end[0], b, 1, 0), -EPIPE);
	IS(cp_wait(end[0], 0, 0, 0), CP_BROKEN);
	cp_close(end[0]);

	pair(end);
	IS(cp_stream_send(end[0], "abc", 3, 0), 3);
	IS(cp_close(end[0]), 0);
	IS(cp_stream_recv(end[1], b, 16, CP_ALL_BYTES), 3);
	IS(cp_stream_recv(end[1], b, 16, 0), 0);
	cp_close(end[1]);
}

static void test_stream_caps(void)
{
	int end[2], file = cp_file_create(NULL, 4), weak = cp_derive(file, 0, 4, CP_LOAD), got[4];
	char b[8];

	pair(end);
	IS(cp_stream_recv_cap(end[1]), -EAGAIN);
	IS(cp_stream_send_cap(end[0], weak), -EACCES);
	IS(cp_stream_send_cap(end[0], GONE), -EBADF);
	for (int i = 0; i < 4; i++)
		IS(cp_stream_send_cap(end[0], file), 0);
	IS(cp_stream_send_cap(end[0], file), -EAGAIN);
	IS(cp_wait(end[1], CP_READABLE, 0, 0), CP_READABLE);
	for (int i = 0; i < 4; i++)
		TRUE((got[i] = cp_stream_recv_cap(end[1])) > 0);
	IS(cp_stream_recv_cap(end[1]), -EAGAIN);
	IS(cp_file_pwrite(got[3], "wxyz", 4, 0), 4);
	IS(cp_file_pread(file, b, 8, 0), 4);
	IS(cp_revoke(file), 0);
	for (int i = 0; i < 4; i++) {
		IS(cp_file_pread(got[i], b, 8, 0), -EKEYREVOKED);
		cp_close(got[i]);
	}
	IS(cp_stream_send_cap(end[0], file), 0); /* never taken */
	cp_close(end[1]);
	IS(cp_stream_send_cap(end[0], file), -EPIPE);
	cp_close(end[0]), cp_close(file), cp_close(weak);
}

struct flow {
	int stream;
	uint64_t total, wrong;
	int window;
};

static unsigned char flow_byte(uint64_t at)
{
	return (unsigned char)(at * 13 + (at >> 12));
}

static void *flow_out(void *argument)
{
	struct flow *f = argument;
	static unsigned char buffer[70001];
	uint64_t at = 0;
	unsigned step = 1;

	while (at < f->total) {
		size_t size = step = step * 7 % 70001;
		if (size > f->total - at)
			size = f->total - at;
		for (size_t i = 0; i < size; i++)
			buffer[i] = flow_byte(at + i);
		IS(cp_stream_send(f->stream, buffer, size, 0), size);
		at += size;
	}
	IS(cp_stream_shutdown(f->stream, SHUT_WR), 0);
	return NULL;
}

static void flow_in(struct flow *f)
{
	static unsigned char buffer[50021];
	const void *ring, *bytes = buffer;
	uint64_t at = 0;
	ssize_t n;

	if (f->window)
		IS(cp_stream_map(f->stream, &ring), 0);
	while ((n = f->window ? cp_stream_window(f->stream, ring, &bytes, 0) : cp_stream_recv(f->stream, buffer, sizeof buffer, 0)) > 0) {
		if (f->window && n > 3)
			n -= n / 3; /* gives back not all */
		for (ssize_t i = 0; i < n; i++)
			f->wrong += ((const unsigned char *)bytes)[i] != flow_byte(at + (uint64_t)i);
		at += (uint64_t)n;
		if (f->window)
			IS(cp_stream_release(f->stream, (size_t)n), 0);
	}
	IS(n, 0);
	IS(at, f->total);
	IS(f->wrong, 0);
	if (f->window) {
		IS(cp_stream_release(f->stream, 1), -EINVAL);
		IS(faults((char *)(uintptr_t)ring, 1), 1); /* read-only */
		IS(faults((char *)(uintptr_t)ring, 0), 0);
		cp_close(f->stream);
		IS(faults((char *)(uintptr_t)ring, 0), 1);
		IS(cp_stream_unmap(ring), 0);
	}
}

static void test_flow(void)
{
	for (int window = 0; window < 2; window++) {
		struct flow out = { .total = 30000000 }, in = { .total = 30000000, .window = window };
		pthread_t thread;
		int end[2];

		pair(end);
		out.stream = end[0];
		in.stream = end[1];
		pthread_create(&thread, NULL, flow_out, &out);
		flow_in(&in);
		pthread_join(thread, NULL);
		cp_close(end[0]), cp_close(end[1]);
	}
}

static void *take_all(void *stream)
{
	while (cp_stream_recv((int)(long)stream, NULL, 3000, 0) > 0) /* gives bytes back, without a copy */
		;
	return NULL;
}

/* What is sent while room appears is never more than what was given to send. */
static void test_send_race(void)
{
	static char page[8192];
	pthread_t thread;
	uint64_t more = 0;
	int end[2];

	pair(end);
	pthread_create(&thread, NULL, take_all, (void *)(long)end[1]);
	for (unsigned i = 0; i < 2000000; i++) {
		size_t size = 100 + i % 2800;
		ssize_t n = cp_stream_send(end[0], page, size, CP_DONTWAIT);
		more += n > (ssize_t)size;
	}
	IS(more, 0);
	cp_close(end[0]);
	pthread_join(thread, NULL);
	cp_close(end[1]);
}

/* A sender that waits for room without having been refused before is woken. */
static void *read_later(void *stream)
{
	static char big[CP_STREAM_RING];

	pause_ms(20);
	IS(cp_stream_recv((int)(long)stream, big, sizeof big, 0), sizeof big);
	return NULL;
}

static void test_room(void)
{
	static char big[CP_STREAM_RING];
	pthread_t thread;
	int end[2];

	pair(end);
	IS(cp_stream_send(end[0], big, sizeof big, 0), sizeof big);
	pthread_create(&thread, NULL, read_later, (void *)(long)end[1]);
	IS(cp_wait(end[0], CP_WRITABLE, 0, 5000 * MS), CP_WRITABLE);
	pthread_join(thread, NULL);
	cp_close(end[0]), cp_close(end[1]);
}

static void test_batch(void)
{
	char buffer[10], b[64];
	int end[2];

	pair(end);
	struct cp_batch batch = { .stream = end[0], .buffer = buffer, .size = sizeof buffer };
	IS(cp_batch_send(&batch, "abc", 3), 0);
	IS(cp_batch_send(&batch, "defg", 4), 0);
	IS(cp_stream_recv(end[1], b, 64, CP_DONTWAIT), -EAGAIN);
	IS(cp_batch_send(&batch, "hijk", 4), 0); /* does not fit any more */
	IS(cp_stream_recv(end[1], b, 64, 0), 7);
	IS(cp_batch_send(&batch, "a message longer than the buffer", 32), 0);
	IS(cp_stream_recv(end[1], b + 7, 57, CP_DONTWAIT), 36);
	IS(memcmp(b, "abcdefghijka message longer than the buffer", 43), 0);
	IS(cp_batch_flush(&batch), 0);
	IS(cp_batch_send(&batch, "x", 1), 0);
	cp_close(end[1]);
	IS(cp_batch_flush(&batch), -EPIPE);
	IS(batch.used, 1);
	cp_close(end[0]);
}

static volatile sig_atomic_t g_signals;

static void on_signal(int signal)
{
	(void)signal;
	g_signals++;
}

static void *signal_later(void *thread)
{
	pause_ms(20);
	pthread_kill(*(pthread_t *)thread, SIGUSR1);
	return NULL;
}

static void test_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t self = pthread_self(), thread;
	struct cp_poll entry[2] = { { .events = CP_READABLE }, { .fd = -1 } };
	char b[1];
	int end[2];

	pair(end);
	entry[0].cap = end[1];
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_create(&thread, NULL, signal_later, &self);
		IS(i == 0 ? cp_stream_recv(end[1], b, 1, 0) : i == 1 ? cp_wait(end[1], CP_READABLE, 0, CP_FOREVER)
		   : cp_poll(entry, (unsigned)i - 1, CP_FOREVER), -EINTR);
		pthread_join(thread, NULL);
	}
	cp_close(end[0]), cp_close(end[1]);

	/* A thread that calls without end gets its signals, and each call its answer. */
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	sigaction(SIGALRM, &action, NULL);
	g_signals = 0;
	setitimer(ITIMER_REAL, &every, NULL);
	for (uint64_t i = 0; g_signals < 200; i++) {
		uint64_t w[CP_CALL_WORDS] = { PEER_ADD, i, i, i, i, i };
		long r = cp_call(g_peer, w);
		TRUE((!r && w[1] == i + 1 && w[5] == i + 5) || r == -EAGAIN);
	}
	setitimer(ITIMER_REAL, &never, NULL);
}

static void plus(void *context, struct cp_request *q)
{
	(void)context;
	for (unsigned i = 0; i < CP_CALL_WORDS; i++)
		q->word[i] += i;
}

/* Threads that serve get the signals, whether somebody calls them or not, and every call its answer. */
static void test_serve_signals(void)
{
	struct itimerval every = { { 0, 700 }, { 0, 700 } }, never = { 0 };
	struct sigaction action = { .sa_handler = on_signal };
	struct cp_server *server;
	sigset_t alarm;

	sigaction(SIGALRM, &action, NULL);
	IS(cp_server_start("api/plus", 2, plus, NULL, &server), 0);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	int call = cp_call_open("api/plus", CP_USE);
	IS(cp_call_ready(call, CP_FOREVER), 0);
	g_signals = 0;
	setitimer(ITIMER_REAL, &every, NULL);
	for (uint64_t i = 0; g_signals < 300; i++) {
		uint64_t w[CP_CALL_WORDS] = { i, i, i, i, i, i };
		IS(WHEN_SERVED(call, cp_call(call, w)), 0);
		TRUE(w[0] == i && w[1] == i + 1 && w[5] == i + 5);
		if (g_signals % 100 >= 50)
			pause_ms(1);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	cp_server_stop(server);
	cp_close(call);
}

/* ---- poll.h ---- */

static void test_poll(void)
{
	int end[2], fds[2], l = cp_listen("api/pl", 1), f = cp_file_create("api/pf", 1), ex = cp_export("api/pe");
	int call = cp_call_open("api/pe", CP_USE), watched = cp_file_open("api/pf", CP_LOAD), s;
	struct cp_poll many[200] = { { .fd = -1 } };
	char b[8];

	pair(end);
	IS(pipe(fds), 0);
	struct cp_poll e[7] = {
		{ .cap = end[1], .events = CP_READABLE }, { .cap = l, .events = CP_READABLE },
		{ .cap = watched, .events = CP_READABLE, .version = (uint32_t)cp_file_version(f) }, { .cap = ex, .events = CP_READABLE },
		{ .fd = fds[0], .events = POLLIN }, { .fd = -1, .events = POLLIN }, { .cap = end[1], .events = CP_WRITABLE } };

	IS(cp_poll(e, 6, 0), 0);
	uint64_t start = now_ms();
	IS(cp_poll(e, 6, 30 * MS), 0);
	TRUE(now_ms() - start >= 30);
	IS(cp_poll(e, 7, CP_FOREVER), 1);
	IS(e[6].revents, CP_WRITABLE);
	IS(write(fds[1], "p", 1), 1);
	IS(cp_poll(e, 6, CP_FOREVER), 1);
	IS(e[4].revents, POLLIN);
	IS(read(fds[0], b, 1), 1);
	IS(cp_file_pwrite(f, "x", 1, 0), 1);
	IS(cp_notify(call), 0);
	TRUE((s = cp_connect("api/pl", 0)) > 0);
	IS(cp_stream_send(end[0], "y", 1, 0), 1);
	IS(cp_poll(e, 6, CP_FOREVER), 4);
	for (int i = 0; i < 4; i++)
		IS(e[i].revents, CP_READABLE);
	IS(cp_poll(e, 6, CP_FOREVER), 3); /* the notification was taken, the rest is level-triggered */
	close(fds[1]);
	IS(cp_poll(e, 6, CP_FOREVER), 4);
	IS(e[4].revents, POLLHUP);
	cp_close(f);
	cp_close(l);
	IS(cp_poll(e, 3, CP_FOREVER), 3);
	IS(e[2].revents, CP_BROKEN);
	IS(e[1].revents, CP_INVALID);
	e[0].cap = call;
	e[0].events = CP_WRITABLE;
	IS(cp_poll(e, 1, 0), -EINVAL);
	IS(cp_poll(many, 129, 0), -EINVAL);
	close(fds[0]);
	cp_close(s), cp_close(watched), cp_close(ex), cp_close(call), cp_close(end[0]), cp_close(end[1]);
}

struct polled {
	int cap, other;
	uint32_t events;
	unsigned rounds;
	int fd;
};

/* Takes one byte after the other, found by cp_poll with other things that never happen. */
static void *poll_bytes(void *argument)
{
	struct polled *p = argument;
	struct cp_poll e[3] = { { .cap = p->cap, .events = CP_READABLE }, { .cap = p->other, .events = CP_READABLE },
				{ .fd = p->fd, .events = POLLIN } };
	char b;

	for (unsigned i = 0; i < p->rounds; i++) {
		IS(cp_poll(e, 3, CP_FOREVER), 1);
		IS(cp_stream_recv(p->cap, &b, 1, CP_DONTWAIT), 1);
		IS(b, (char)i);
		IS(cp_stream_send(p->cap, &b, 1, 0), 1);
	}
	return NULL;
}

/* Parent and child wait for an export each: neither takes the other's events. */
static void test_poll_processes(void)
{
	enum { ROUNDS = 200 };
	int export[2] = { cp_export("api/one"), cp_export("api/two") }, call[2], status;
	_Atomic int *heard = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct cp_poll entry[2] = { { .cap = export[0], .events = CP_READABLE }, { .fd = -1 } };
	pid_t pid[2];

	call[0] = cp_call_open("api/one", CP_USE);
	call[1] = cp_call_open("api/two", CP_USE);
	IS(cp_poll(entry, 2, MS), 0); /* what the parent waits with is there before the fork */
	for (int i = 0; i < 2; i++) {
		entry[0].cap = export[i];
		pid[i] = fork();
		if (!pid[i]) {
			alarm(60); /* only ever reached by a failure */
			while (heard[i] < ROUNDS)
				heard[i] += cp_poll(entry, 2, CP_FOREVER) == 1;
			_exit(0);
		}
	}
	for (int k = 0; k < ROUNDS; k++) {
		for (int i = 0; i < 2; i++)
			IS(cp_notify(call[i]), 0);
		for (int i = 0; i < 2; i++)
			while (heard[i] <= k && !waitpid(pid[i], &status, WNOHANG))
				pause_ms(1);
		if (heard[0] <= k || heard[1] <= k)
			break; /* one was ended by its alarm */
	}
	IS(heard[0], ROUNDS);
	IS(heard[1], ROUNDS);
	for (int i = 0; i < 2; i++) {
		waitpid(pid[i], &status, 0);
		cp_close(call[i]), cp_close(export[i]);
	}
	munmap(heard, 4096);
}

static void test_poll_threads(void)
{
	struct polled p[6];
	int end[6][2], idle[2], fds[2];
	pthread_t thread[6];

	pair(idle);
	IS(pipe(fds), 0);
	for (int i = 0; i < 6; i++) {
		pair(end[i]);
		p[i] = (struct polled){ .cap = end[i][1], .other = idle[1], .rounds = 3000, .fd = fds[0] };
		pthread_create(&thread[i], NULL, poll_bytes, &p[i]);
	}
	for (unsigned round = 0; round < 3000; round++) {
		char b = (char)round;
		for (int i = 0; i < 6; i++)
			IS(cp_stream_send(end[i][0], &b, 1, 0), 1);
		for (int i = 0; i < 6; i++)
			IS(cp_stream_recv(end[i][0], &b, 1, 0), 1);
	}
	for (int i = 0; i < 6; i++) {
		pthread_join(thread[i], NULL);
		cp_close(end[i][0]), cp_close(end[i][1]);
	}
	cp_close(idle[0]), cp_close(idle[1]);
	close(fds[0]), close(fds[1]);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "native"))
		return natively();
	IS(cp_present(), 0);
	TRUE(getauxval(CP_AT_CVM) >= 1);
	TRUE((g_peer = WHEN_THERE(cp_call_open("peer/do", CP_USE))) > 0);
	IS(cp_call_ready(g_peer, CP_FOREVER), 0);
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{ "derive", test_derive }, { "seal", test_seal }, { "names", test_names }, { "quota", test_quota }, { "file", test_file },
		{ "file_wait", test_file_wait }, { "map", test_map }, { "window", test_window },
		{ "window_version", test_window_version }, { "window_gone", test_window_gone }, { "io", test_io }, { "io_fork", test_io_fork }, { "memory", test_memory }, { "call", test_call },
		{ "serve", test_serve }, { "whose", test_whose }, { "references", test_references }, { "listen", test_listen },
		{ "stream", test_stream }, { "stream_caps", test_stream_caps }, { "flow", test_flow }, { "send_race", test_send_race }, { "room", test_room },
		{ "batch", test_batch }, { "signals", test_signals }, { "serve_signals", test_serve_signals }, { "poll", test_poll }, { "poll_threads", test_poll_threads }, { "poll_processes", test_poll_processes },
	};
	for (unsigned i = 0; i < sizeof tests / sizeof tests[0]; i++)
		if (argc < 2 || !*argv[1] || strstr(argv[1], tests[i].name))
			tests[i].run();
	test_deaths(); /* also what ends the other cVMs */
	IS(ask(PEER_CLOSE, 0, 0, 0), PEER_CLOSE);
	return check_end("api");
}
