/* Every hostcall's handler: (thread, six arguments as the gate copied them) -> result or negative errno. */
#ifndef MONITOR_HOSTCALLS_H
#define MONITOR_HOSTCALLS_H

#include "monitor/monitor.h"

#define X(name, nargs) long hc_##name(struct thread *t, const uint64_t *a);
HOSTCALL_TABLE(X)
#undef X

struct iovec;

/* Nanoseconds to the milliseconds of poll and epoll_wait, rounded up; -1 stays. */
static inline uint64_t to_ms(uint64_t ns)
{
	return (int64_t)ns < 0 ? ~0ull : MIN(ns / 1000000 + (ns % 1000000 != 0), 0x7fffffffull);
}

/* hc_file.c: copies and checks an array of buffers of the cVM: their number or negative errno. */
long iov_in(const struct cvm *c, struct iovec *iov, uint64_t user, uint64_t count);

#endif
