/*
 * Question: can a program that is apart from its libOS use the capabilities that the libOS holds for itself, by their handles, which
 * it can guess: those of files opened in /cap and of sockets that are streams?
 * Expect: REFUSED: no handle but the program's own was anybody's
 * Control: isolate_libos=false provides=[{"file":"mine"},{"call":"mine"},{"stream":"mine"}] uses=[{"file":"mine","access":"rw","map":true,"grant":true},{"call":"mine"},{"stream":"mine"}]
 * Options: isolate_libos=true provides=[{"file":"mine"},{"call":"mine"},{"stream":"mine"}] uses=[{"file":"mine","access":"rw","map":true,"grant":true},{"call":"mine"},{"stream":"mine"}]
 * Native: the libOS's list of what is the program's
 */
#include <pthread.h>

#include "attack.h"
#include "isolated.h"

#define INDICES 300u /* capabilities get the first numbers that are free */
#define GENERATIONS 12u
#define FLIPS 20000

static unsigned g_passed; /* capabilities that arrived; atomic */
static uint64_t g_file, g_listener, g_stream, g_export, g_call, g_accepted[2];

static bool is_mine(uint64_t handle)
{
	return handle == g_file || handle == g_listener || handle == g_stream || handle == g_export || handle == g_call ||
	       handle == g_accepted[0] || handle == g_accepted[1];
}

static void must_be_nobodys(const char *what, uint64_t handle, long result)
{
	if (result != -EBADF)
		breach("%s of handle %#lx, which is not the program's, gave %ld", what, handle, result);
}

static void try(uint64_t handle)
{
	struct cap_info info;
	struct call_message m = { .cap = { (uint32_t)handle }, .caps = 1 };
	static uint64_t words[8];
	uint32_t cap[CAP_PASS_MAX] = { (uint32_t)handle };

	must_be_nobodys("cap_info", handle, ASK(cap_info, handle, &info));
	must_be_nobodys("cap_close", handle, ASK(cap_close, handle));
	must_be_nobodys("cap_revoke", handle, ASK(cap_revoke, handle));
	must_be_nobodys("cap_derive", handle, ASK(cap_derive, handle, 0, 1, CAP_LOAD));
	must_be_nobodys("cap_seal", handle, ASK(cap_seal, handle, handle, 1));
	must_be_nobodys("cap_read", handle, ASK(cap_read, handle, words, 8, 0));
	must_be_nobodys("cap_write", handle, ASK(cap_write, handle, words, 8, 0));
	must_be_nobodys("cap_wait", handle, ASK(cap_wait, handle, 1, 0, 0));
	must_be_nobodys("cap_notify", handle, ASK(cap_notify, handle));
	must_be_nobodys("call_invoke", handle, ASK(call_invoke, handle, words));
	must_be_nobodys("call_invoke_msg", handle, ASK(call_invoke_msg, handle, &m));
	must_be_nobodys("call_serve", handle, ASK(call_serve, handle, words));
	must_be_nobodys("stream_connect", handle, ASK(stream_connect, handle, words));
	must_be_nobodys("stream_accept", handle, ASK(stream_accept, handle));
	must_be_nobodys("stream_send", handle, ASK(stream_send, handle, words, 8, 0));
	must_be_nobodys("stream_recv", handle, ASK(stream_recv, handle, words, 8, 0));
	must_be_nobodys("stream_cap", handle, ASK(stream_cap, handle));
	must_be_nobodys("stream_shutdown", handle, ASK(stream_shutdown, handle, 2));
	must_be_nobodys("stream_window", handle, ASK(stream_window, handle, words));
	/* passing it on */
	must_be_nobodys("stream_send", handle, ASK(stream_send, g_stream, words, 0, handle));
	must_be_nobodys("call_invoke_msg", handle, ASK(call_invoke_msg, g_call, &m));
	if (ASK(call_caps, cap, 1) != -EINVAL) /* no call is being served */
		breach("call_caps out of turn");
}

/* Serves "mine": takes what is passed, which must be derived from g_file, and answers with the same. */
static void *server(void *unused)
{
	uint64_t words[CALL_WORDS] = { 0 };
	uint32_t cap[CAP_PASS_MAX];

	for (;;) {
		long n = ASK(call_serve, g_export, words);
		if (n < 0 && n != -EINTR)
			return unused;
		long fetched = n > 0 ? ASK(call_caps, cap, 0) : 0;
		for (long i = 0; i < fetched; i++) {
			struct cap_info info = { 0 };
			if (ASK(cap_info, cap[i], &info) || info.kind != CAP_MEMORY || !(info.perms & CAP_GRANT))
				breach("kind %u, permissions %#x were passed", info.kind, info.perms);
			ASK(cap_close, cap[i]);
			__atomic_add_fetch(&g_passed, 1, __ATOMIC_RELAXED);
		}
	}
}

static struct call_message g_message;
static volatile bool g_over;

/* Changes what the libOS checks: the capabilities and their number. */
static void *flip(void *unused)
{
	while (!g_over) {
		__atomic_store_n(&g_message.caps, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&g_message.cap[0], (uint32_t)(g_call + 1) /* made next, by the libOS */, __ATOMIC_RELAXED);
		__atomic_store_n(&g_message.caps, 0xffffff, __ATOMIC_RELAXED);
		__atomic_store_n(&g_message.cap[0], (uint32_t)g_file, __ATOMIC_RELAXED);
	}
	return unused;
}

static void while_it_changes(void)
{
	pthread_t flipping;

	pthread_create(&flipping, NULL, flip, NULL);
	for (int i = 0; i < FLIPS || (!__atomic_load_n(&g_passed, __ATOMIC_RELAXED) && i < 100 * FLIPS); i++) {
		long r = ASK(call_invoke_msg, g_call, &g_message);
		if (r && r != -EBADF && r != -EINVAL && r != -EAGAIN)
			breach("a message that changes gave %ld", r);
	}
	g_over = true;
	pthread_join(flipping, NULL);
	if (!g_passed)
		breach("no capability arrived: nothing was tried");
}

static void look(uint64_t handle)
{
	struct cap_info info;

	must_be_nobodys("cap_info", handle, ASK(cap_info, handle, &info));
	must_be_nobodys("cap_info", handle, ASK(cap_info, handle | 1ull << 32, &info));
}

static void for_all(void (*what)(uint64_t handle))
{
	for (uint64_t index = 0; index < INDICES; index++)
		for (uint64_t generation = 0; generation < GENERATIONS; generation++) {
			uint64_t handle = generation * CAPS_MAX + index;
			if (handle && !is_mine(handle))
				what(handle);
		}
}

static void attack(void)
{
	char word[8] = "before";
	pthread_t serving;

	g_file = make_mine(CAP_MEMORY, 64);
	g_listener = make_mine(CAP_LISTENER, 4);
	g_export = make_mine(CAP_EXPORT, 0);
	g_call = (uint64_t)ASK(cap_open, CAP_CALL, "mine", 4, CAP_USE);
	/* what the libOS holds, one after the other, and the program's own next to them */
	int file = open("/cap/file/mine", O_RDWR), stream = open("/cap/stream/mine", O_RDWR);
	g_accepted[0] = (uint64_t)ASK(stream_accept, g_listener);
	uint64_t right = (uint64_t)ASK(cap_open, CAP_CONNECT, "mine", 4, CAP_USE), nothing = 0;
	g_stream = (uint64_t)ASK(stream_connect, right, &nothing);
	g_accepted[1] = (uint64_t)ASK(stream_accept, g_listener);
	ASK(cap_close, right);
	if (file < 0 || stream < 0 || write(file, word, 8) != 8 || write(stream, word, 8) != 8 || (long)g_stream < 0 || (long)g_call < 0)
		breach("the libOS has no capabilities: nothing to guess");
	for_all(look);
	pthread_create(&serving, NULL, server, NULL);
	ASK(cap_wait, g_call, CAP_WRITABLE, -1);
	for_all(try);
	while_it_changes();
	ASK(cap_close, g_export);
	pthread_join(serving, NULL);
	if (pread(file, word, 8, 0) != 8 || strcmp(word, "before") || write(stream, word, 8) != 8 ||
	    ASK(stream_recv, g_accepted[0], word, 8, 0) != 8)
		breach("what the libOS holds is not as it was");
	refused("no handle but the program's own was anybody's");
}
