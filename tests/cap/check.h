/* Checks of the capability tests: every one that fails says where and what, and the program's status is 1 at the end. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int g_wrong;

#define IS(expression, wanted)                                                                                       \
	do {                                                                                                         \
		long got_ = (long)(expression), wanted_ = (long)(wanted);                                            \
		if (got_ != wanted_) {                                                                               \
			printf("%s:%d: %s is %ld, not %ld\n", __FILE__, __LINE__, #expression, got_, wanted_);       \
			fflush(stdout);                                                                              \
			__atomic_add_fetch(&g_wrong, 1, __ATOMIC_RELAXED);                                           \
		}                                                                                                    \
	} while (0)
#define TRUE(expression) IS(!!(expression), 1)

static inline void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static inline int check_end(const char *who)
{
	if (!g_wrong)
		printf("%s: ok\n", who);
	fflush(stdout);
	return g_wrong != 0;
}

/* Opens what another cVM makes; it may not have come so far. */
#define WHEN_THERE(call) ({ long r_; while ((r_ = (call)) == -ENOENT) pause_ms(1); (int)r_; })

/* A call that waits for a serving thread. */
#define WHEN_SERVED(call, invoke) ({ long r_; while ((r_ = (invoke)) == -EAGAIN) cp_call_ready(call, CP_FOREVER); (int)r_; })

#endif
