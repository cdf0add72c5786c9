/*
 * Question: the host counts queued signals per user: can a cVM that kicks its threads without end fill that queue, so that
 * other cVMs can no longer be kicked, stopped or told of signals?
 * Expect: REFUSED: kicks of one thread are one signal
 * Control: none: the kind of signal has no option
 * Signals-pending: 1000
 * Native: the kind of signal
 */
#include "raw.h"

static volatile bool g_stop;

/* Slow to take its kicks: every upcall takes a while. */
static void slow(struct raw_thread *t)
{
	for (volatile int i = 0; i < 3000; i++)
		;
	(void)t;
}

static void spins(void *unused)
{
	(void)unused;
	while (!g_stop)
		;
}

static void attack(void)
{
	struct raw_thread *target[4];
	uint64_t id[4];

	for (int i = 0; i < 4; i++) {
		target[i] = raw_new(spins, NULL);
		target[i]->on_kick = slow;
		id[i] = (uint64_t)raw_start(target[i]);
	}
	for (int i = 0; i < 100000; i++)
		if (hostcall(HC_thread_kick, id[i & 3], 0, 0, 0, 0, 0))
			breach("thread_kick does not work");
	g_stop = true;
	uint32_t taken = 0;
	for (int i = 0; i < 4; i++) {
		raw_wait(target[i]);
		taken += target[i]->kicks;
	}
	if (!taken)
		breach("no thread was kicked");
	refused("kicks of one thread are one signal");
}
