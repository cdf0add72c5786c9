/*
 * Question: a wait for the translator is given up at a call's deadline, but what was asked stays asked. Can a callee ask for so much
 * that there is no room for one more request, and keep its caller while it waits for that? Or for so much that there is no room
 * for the answers, so that nobody of its cVM ever gets one again?
 * Expect: REFUSED: every wait is given up, and a request without deadline is answered
 * Control: none: a caller that is kept fails the test by never ending
 * Native: the command answers the last request only
 * Companions: 1
 * Companion0-options: memory=8G
 * Grants: capabilities
 */
#include "cap.h"

#define SIZE (48ull << 20) /* takes the translator a while */
#define CALLS 400u	   /* there is room for less than 300 */

enum { ASK, TELL };

static uint64_t g_file;
static volatile uint64_t g_done, g_given_up;
static char g_here;

/* Many system calls, at which translators work. */
static void make_file(void)
{
	static const uint8_t one[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05 };
	uint8_t *bytes = malloc(SIZE);

	for (uint64_t at = 0; at + sizeof one <= SIZE; at += sizeof one)
		memcpy(bytes + at, one, sizeof one);
	int fd = open("/shared/slow", O_RDWR | O_CREAT, 0755);
	if (write(fd, bytes, SIZE) != (ssize_t)SIZE)
		breach("cannot write a file: %s", strerror(errno));
	close(fd);
	free(bytes);
	g_file = (uint64_t)hostcall(HC_file_open, granted_directory("symbols"), (uint64_t)"slow", 4, O_RDONLY, 0, 0);
}

/* Each time another segment, of which no translation is known. */
static void handler(uint64_t *words)
{
	uint64_t at = ((uint64_t)&g_here & SLOT_MASK) + (40ull << 30), offset = words[1] * PAGE;

	if (words[0] == ASK) {
		long r = hostcall(HC_mem_map_code, at, SIZE - CALLS * PAGE, g_file, offset, 0, 0);
		g_given_up += r == -EINTR;
		g_done++;
		words[0] = (uint64_t)r;
	} else {
		words[0] = g_done;
		words[1] = g_given_up;
	}
}

static void companion(void)
{
	make_file();
	g_service = create_named(CAP_EXPORT, "service", 0);
	for (int i = 0; i < 6; i++)
		serve_beside(g_service, handler);
	owner_until_stop();
}

static void attack(void)
{
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE);
	uint64_t words[CALL_WORDS];

	for (uint64_t i = 0; i < CALLS; i++) {
		struct call_message m = { .word = { ASK, i }, .deadline_ns = now_ns() + 3000000 };
		long status;
		while ((status = call_message(service, &m)) == -EAGAIN)
			CAP(cap_wait, service, CAP_WRITABLE, -1);
		if (status != -ETIMEDOUT)
			breach("call %lu gave %ld", i, status);
	}
	do {
		memcpy(words, (uint64_t[CALL_WORDS]){ TELL }, sizeof words);
		if (call(service, words))
			breach("the callee does not answer");
	} while (words[0] < CALLS);
	if (words[1] < CALLS)
		breach("only %lu waits were given up", words[1]);
	memcpy(words, (uint64_t[CALL_WORDS]){ ASK, CALLS }, sizeof words);
	if (call(service, words) || words[0])
		breach("a request without deadline gave %ld", (long)words[0]);
	refused("every wait is given up, and a request without deadline is answered");
}
