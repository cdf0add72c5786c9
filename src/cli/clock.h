/*
 * Time for deadlines: milliseconds of CLOCK_MONOTONIC.
 */
#ifndef CLI_CLOCK_H
#define CLI_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The smaller of two timeouts for poll; -1 is none. A deadline that has passed gives 0. */
static inline int clock_sooner(int timeout, int64_t now, int64_t deadline)
{
	int64_t left = deadline > now ? deadline - now : 0;

	return timeout >= 0 && timeout <= left ? timeout : left < INT32_MAX ? (int)left : INT32_MAX;
}

#endif
