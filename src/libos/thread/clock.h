/* Clocks; for sys/sys_time.c and timers. */
#ifndef LIBOS_CLOCK_H
#define LIBOS_CLOCK_H

#include "core/types.h"

#include <linux/time.h>

/* clock_gettime(2) on any clock id that Linux knows: 0, or -EINVAL. */
nodiscard int clock_read(int clock, struct timespec *ts);
nodiscard int clock_resolution(int clock, struct timespec *ts);
void clock_init(uint64_t vdso); /* address of the vDSO's ELF header, or 0; once upcalls are possible */
uint64_t clock_vdso(void);	/* what a program may use of it: the same, or 0 */

static inline int64_t timespec_to_ns(const struct timespec *ts)
{
	int64_t max = INT64_MAX / NSEC_PER_SEC - 1;

	return ts->tv_sec >= max ? INT64_MAX : ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec;
}

static inline struct timespec ns_to_timespec(int64_t ns)
{
	return (struct timespec){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
}

static inline bool timespec_valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < NSEC_PER_SEC;
}

#endif
