/*
 * Question: does a copy that is under way when its capability is revoked see what the owner writes afterwards? Four
 * threads read without end while the owner revokes, rewrites, and hands out again; 500 times.
 * Expect: REFUSED: no byte from behind a revocation
 * Control: --insecure-no-revoke
 * Native: revocation waits for copies under way
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

#define ROUNDS 500
#define SIZE (64 * PAGE)

/* The owner makes a new file for each round: word 0 the round. Its bytes are 1 while it may be read, 2 afterwards. */
static uint32_t g_file;

static void round_handler(uint64_t *words)
{
	static uint8_t bytes[SIZE];

	if (words[0] == 0) { /* begin */
		if (g_file)
			CAP(cap_close, g_file);
		g_file = must("file", CAP(cap_create, CAP_MEMORY, "shared", 6, SIZE));
		memset(bytes, 1, sizeof bytes);
		CAP(cap_write, g_file, bytes, sizeof bytes, 0);
	} else { /* end */
		CAP(cap_revoke, g_file);
		memset(bytes, 2, sizeof bytes);
		CAP(cap_write, g_file, bytes, sizeof bytes, 0);
	}
}

static void companion(void)
{
	g_service = create_named(CAP_EXPORT, "service", 0);
	serve_beside(g_service, round_handler);
	owner_until_stop();
}

#define READERS 4

static volatile uint32_t g_cap;
static volatile int g_seen;
static volatile uint32_t g_reads[READERS];

static void *reader(void *reads)
{
	uint8_t *buffer = malloc(SIZE);

	for (;;) {
		long n = CAP(cap_read, g_cap, buffer, SIZE, 0);
		if (n > 0 && memchr(buffer, 2, (size_t)n))
			g_seen = 1;
		++*(volatile uint32_t *)reads;
	}
	return NULL;
}

/* Until each reader has judged the read that is under way now, and one that began after now. */
static void let_read(void)
{
	for (int i = 0; i < READERS; i++)
		for (uint32_t before = g_reads[i]; g_reads[i] - before < 2;)
			usleep(10);
}

static void attack(void)
{
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE);
	pthread_t thread;

	for (int i = 0; i < READERS; i++)
		pthread_create(&thread, NULL, reader, (void *)&g_reads[i]);
	for (int i = 0; i < ROUNDS; i++) {
		call1(service, 0);
		uint32_t file = open_named(CAP_MEMORY, "shared", CAP_LOAD);
		g_cap = must("derive", CAP(cap_derive, file, 0, SIZE, CAP_LOAD));
		call1(service, 1);
		let_read();
		if (g_seen)
			breach("round %d read what was written behind the revocation", i);
		CAP(cap_close, g_cap);
		CAP(cap_close, file);
	}
	refused("no byte from behind a revocation");
}
