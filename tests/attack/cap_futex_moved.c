/*
 * Question: who may only read a CP_File, and maps it, can it move the owner's threads that wait at a word there to a word of its own,
 * so that no wake-up of the owner's finds them any more? Or change the word with FUTEX_WAKE_OP?
 * Expect: REFUSED: waiters stay where they are, and the word what it was
 * Control: none: before, the owner woke nobody
 * Native: the monitor looks whose memory it is
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

#include <linux/futex.h>
#include <sys/syscall.h>

enum { TELL, WAKE };
#define ATTEMPTS 50

static volatile uint64_t g_waits; /* begun, ended */

static uint32_t *map_shared(uint32_t file, uint64_t offset, int prot)
{
	static char here;
	uint64_t at = ((uint64_t)&here & SLOT_MASK) + (40ull << 30) + offset;
	long r = CAP(cap_map, file, at, PAGE, prot);

	if (r)
		breach("cannot map the file: %ld", r);
	return (uint32_t *)at;
}

static void *wait_there(void *word)
{
	g_waits = 1;
	while (hostcall(HC_futex_wait, (uint64_t)word, 0, (uint64_t)-1, 0, 0, 0) == -EINTR)
		;
	g_waits = 2;
	return NULL;
}

static uint32_t *g_word;

static void handler(uint64_t *words)
{
	if (words[0] == WAKE)
		words[0] = (uint64_t)hostcall(HC_futex_wake, (uint64_t)g_word, 1, 0, 0, 0, 0);
	else
		words[0] = g_waits;
	words[1] = *g_word;
}

static void companion(void)
{
	pthread_t thread;

	g_shared = create_named(CAP_MEMORY, "shared", SHARED_SIZE);
	g_word = map_shared(g_shared, 0, PROT_READ | PROT_WRITE);
	pthread_create(&thread, NULL, wait_there, g_word);
	owner_stops();
	uint8_t one = 1;
	CAP(cap_write, g_shared, &one, 1, SHARED_SIZE - 1);
	serve(create_named(CAP_EXPORT, "service", 0), handler);
}

static uint64_t ask(uint32_t service, uint64_t what, uint64_t *word)
{
	uint64_t words[CALL_WORDS] = { what };

	if (call(service, words))
		breach("the owner does not answer");
	*word = words[1];
	return words[0];
}

static void attack(void)
{
	static uint32_t own, mine;
	uint32_t file = open_named(CAP_MEMORY, "shared", CAP_LOAD | CAP_MAP), service = open_named(CAP_CALL, "service", CAP_USE);
	uint32_t *word = map_shared(file, 0, PROT_READ);
	pthread_t thread;
	uint64_t value;
	long moved = 0;

	/* at its own words it may */
	pthread_create(&thread, NULL, wait_there, &own);
	while (moved < 1)
		moved = hostcall(HC_futex_requeue, (uint64_t)&own, 0, (uint64_t)&mine, 1, 0, 0);
	if (moved != 1)
		breach("its own waiter cannot be moved: %ld", moved);
	while (!hostcall(HC_futex_wake, (uint64_t)&mine, 1, 0, 0, 0, 0))
		usleep(1000);
	pthread_join(thread, NULL);
	while (!ask(service, TELL, &value))
		usleep(1000);
	/* to set it to 1 */
	syscall(SYS_futex, word, FUTEX_WAKE_OP, 0, (void *)0, word, FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_EQ, 0));
	for (int i = 0; i < ATTEMPTS; i++, usleep(2000)) {
		moved = hostcall(HC_futex_requeue, (uint64_t)word, 0, (uint64_t)&mine, 1, 0, 0);
		if (moved > 0)
			break;
	}
	if (ask(service, WAKE, &value) != 1)
		breach("the owner wakes nobody: moved %ld", moved);
	if (value)
		breach("the word is %lu", value);
	while (ask(service, TELL, &value) != 2)
		usleep(1000);
	refused("waiters stay where they are, and the word what it was");
}
