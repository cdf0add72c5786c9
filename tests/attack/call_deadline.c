/*
 * Question: can a callee keep a caller beyond its deadline: by an endless loop, by sleeping in a system call, by never leaving a
 * signal handler, or by calling on into a third cVM that loops?
 * Expect: REFUSED: ETIMEDOUT each time, and what ran goes on in the callee
 * Control: none: a caller that is kept fails the test by never ending
 * Native: the supervisor watches deadlines
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

#include <pthread.h>
#include <signal.h>

static volatile uint64_t g_progress;
static volatile sig_atomic_t g_stop;

static void stay(int signal)
{
	(void)signal;
	for (;;)
		;
}

static void handler(uint64_t *words)
{
	static uint64_t float_state;
	double d = 1;

	switch (words[0]) {
	case 1: /* a loop whose vector registers must survive the change of threads */
		for (uint64_t i = 0; i < 100000000; i++)
			d = d * 1.0000001;
		memcpy(&float_state, &d, sizeof d);
		g_progress++;
		break;
	case 2:
		usleep(300000);
		g_progress++;
		break;
	case 3:
		signal(SIGUSR1, stay);
		raise(SIGUSR1);
		break;
	case 4:
		words[0] = g_progress;
		words[1] = float_state;
		break;
	}
}

static void companion(void)
{
	g_service = create_named(CAP_EXPORT, "service", 0);
	for (int i = 0; i < 6; i++)
		serve_beside(g_service, handler);
	owner_until_stop();
}

static void attack(void)
{
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE);
	double expected = 1, got;

	/* the attacker is the caller: the owner must not be able to keep it */
	for (uint64_t how = 1; how <= 3; how++) {
		struct call_message m = { .word = { how }, .deadline_ns = now_ns() + 50000000 };
		long status;
		while ((status = call_message(service, &m)) == -EAGAIN)
			usleep(1000);
		if (status != -ETIMEDOUT)
			breach("way %lu gave %ld", how, status);
	}
	for (uint64_t i = 0; i < 100000000; i++)
		expected = expected * 1.0000001;
	uint64_t words[CALL_WORDS];
	do {
		usleep(10000);
		memset(words, 0, sizeof words);
		words[0] = 4;
		if (call(service, words))
			breach("the owner does not answer any more");
	} while (words[0] != 2);
	memcpy(&got, &words[1], sizeof got);
	if (got != expected)
		breach("the loop went on with other numbers: %g, not %g", got, expected);
	refused("ETIMEDOUT each time, and what ran goes on in the callee");
}
