/*
 * What attacks on capabilities share. The program runs as cVM "attacker" and, with an argument, as cVM "owner" beside it
 * (attack.h: ATTACK_COMPANION). The owner provides CP_File "shared", export "service" and listener "port"; the attacker may
 * open them, and itself provides file, call and stream "evil", which the owner may open.
 */
#ifndef TESTS_ATTACK_CAP_H
#define TESTS_ATTACK_CAP_H

#define ATTACK_COMPANION
#include "attack.h"

#include <pthread.h>
#include <time.h>

#include "abi/capability.h"

#define SHARED_SIZE (3 * PAGE)
#define OWNED 0x6f /* every byte of "shared" at first */

/* words in and out; the gate clobbers every register but rsp */
long gate_words(uint64_t number, uint64_t *words);
__asm__(".text\n"
	".globl gate_words\n"
	"gate_words:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rsi\n"
	"mov %rdi, %r11\n"
	"mov 0(%rsi), %rdi; mov 16(%rsi), %r8; mov 24(%rsi), %r9; mov 32(%rsi), %r10; mov 40(%rsi), %r12; mov 8(%rsi), %rsi\n"
	"call *%gs:16\n"
	"pop %rsi\n"
	"mov %r12, 0(%rsi); mov %r13, 8(%rsi); mov %r8, 16(%rsi); mov %r9, 24(%rsi); mov %r10, 32(%rsi); mov %r11, 40(%rsi)\n"
	"mov %rbx, %rax\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"ret\n");

#define CAP_HC4_(name, a, b, c, d, ...) \
	hostcall(HC_##name, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)
/* CAP(cap_read, handle, buf, size, offset): missing arguments are 0 */
#define CAP(name, ...) CAP_HC4_(name, ##__VA_ARGS__, 0, 0, 0, 0, 0)

static MAYBE uint32_t must(const char *what, long handle)
{
	if (handle <= 0)
		breach("%s gave %ld: the attack could not begin", what, handle);
	return (uint32_t)handle;
}

/* Opens what the other cVM makes; waits until it has, and has filled a file. */
static MAYBE uint32_t open_named(unsigned kind, const char *name, unsigned perms)
{
	uint8_t byte = 0;
	long handle;

	while ((handle = CAP(cap_open, kind, name, strlen(name), perms)) == -ENOENT)
		usleep(1000);
	must(name, handle);
	while (kind == CAP_MEMORY && CAP(cap_read, handle, &byte, 1, SHARED_SIZE - 1) >= 0 && !byte)
		usleep(1000);
	return (uint32_t)handle;
}

static MAYBE uint32_t create_named(unsigned kind, const char *name, uint64_t argument)
{
	return must(name, CAP(cap_create, kind, name, strlen(name), argument));
}

/* One call; retried while no thread serves. */
static MAYBE long call(uint32_t cap, uint64_t *words)
{
	uint64_t copy[CALL_WORDS];
	long status;

	do {
		memcpy(copy, words, sizeof copy);
		status = gate_words(HC_call_invoke | (uint64_t)cap << 32, copy);
	} while (status == -EAGAIN && (CAP(cap_wait, cap, CAP_WRITABLE, -1) || 1));
	memcpy(words, copy, sizeof copy);
	return status;
}

static MAYBE long call1(uint32_t cap, uint64_t word)
{
	uint64_t words[CALL_WORDS] = { word };
	long status = call(cap, words);

	return status ? status : (long)words[0];
}

static MAYBE long call_message(uint32_t cap, struct call_message *m)
{
	uint64_t words[CALL_WORDS] = { cap, (uint64_t)m };

	return gate_words(HC_call_invoke_msg, words);
}

static MAYBE uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Serves until the export is closed; the handler changes the words into the answer's. */
static MAYBE long serve(uint32_t export, void (*handler)(uint64_t *words))
{
	uint64_t words[CALL_WORDS] = { 0 };

	for (;;) {
		long status = gate_words(HC_call_serve | (uint64_t)export << 32, words);
		if (status >= 0)
			handler(words);
		else if (status != -EINTR)
			return status;
	}
}

static MAYBE void *serve_thread(void *argument)
{
	void (**what)(uint64_t *) = argument;

	serve((uint32_t)(uintptr_t)what[0], what[1]);
	return NULL;
}

/* A thread that serves the export for the rest of the program. */
static MAYBE void serve_beside(uint32_t export, void (*handler)(uint64_t *words))
{
	void (**what)(uint64_t *) = calloc(2, sizeof *what);
	pthread_t thread;

	what[0] = (void (*)(uint64_t *))(uintptr_t)export;
	what[1] = handler;
	pthread_create(&thread, NULL, serve_thread, what);
}

/* The owner's part in most attacks. */
static uint32_t g_shared MAYBE, g_service MAYBE, g_port MAYBE;

static MAYBE void own(void)
{
	static uint8_t bytes[SHARED_SIZE];

	g_shared = create_named(CAP_MEMORY, "shared", SHARED_SIZE);
	memset(bytes, OWNED, sizeof bytes);
	CAP(cap_write, g_shared, bytes, sizeof bytes, 0);
	g_port = create_named(CAP_LISTENER, "port", 16);
	g_service = create_named(CAP_EXPORT, "service", 0);
}

/* Requests that attackers make of the owner's service. */
enum { OWNER_ECHO = 0, OWNER_REVOKE = 1, OWNER_REWRITE = 2 };
#define REWRITTEN 0x77

static MAYBE void owner_handler(uint64_t *words)
{
	static uint8_t bytes[SHARED_SIZE];

	if (words[0] == OWNER_REVOKE) {
		CAP(cap_revoke, g_shared);
	} else if (words[0] == OWNER_REWRITE) {
		memset(bytes, REWRITTEN, sizeof bytes);
		CAP(cap_write, g_shared, bytes, sizeof bytes, 0);
	}
}

/* The owner waits for the end of the test as the victim does. */
static MAYBE void owner_until_stop(void)
{
	while (access("/shared/stop", F_OK))
		usleep(5000);
	exit(0);
}

/* An owner that does what the attacker asks it for, and nothing else. */
static MAYBE void own_with_service(void)
{
	own();
	serve_beside(g_service, owner_handler);
	owner_until_stop();
}

/* An owner that hands each connection, with the word that came with it, to `use`. */
static MAYBE void own_connections(void (*use)(uint32_t stream, uint64_t word))
{
	own();
	for (;;) {
		if (CAP(cap_wait, g_port, CAP_READABLE, 10000000) == -ETIMEDOUT && !access("/shared/stop", F_OK))
			exit(0);
		long stream = CAP(stream_accept, g_port);
		struct cap_info info;
		if (stream <= 0)
			continue;
		CAP(cap_info, stream, &info);
		use((uint32_t)stream, info.word);
	}
}

/* A connection's first byte. */
static MAYBE uint8_t first_byte(uint32_t stream)
{
	uint8_t byte = 0;

	while (CAP(stream_recv, stream, &byte, 1, 0) == -EAGAIN)
		CAP(cap_wait, stream, CAP_READABLE, 10000000);
	return byte;
}

/* Maps the ring of a connection on which nothing was sent. */
static MAYBE void map_empty_ring(uint32_t stream, uint8_t *at)
{
	if (CAP(stream_map, stream, at))
		breach("cannot map the ring");
	for (size_t k = 0; k < 2 * CAP_STREAM_RING; k++)
		if (at[k])
			breach("byte %zu of a new connection's ring is %#x", k, at[k]);
}

static MAYBE void *owner_stop_thread(void *unused)
{
	owner_until_stop();
	return unused;
}

/* The same for an owner that is busy. */
static MAYBE void owner_stops(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, owner_stop_thread, NULL);
}

#endif
