/* Every hostcall's handler: (thread, six arguments as the gate copied them) -> result or negative errno. */
#ifndef MONITOR_HOSTCALLS_H
#define MONITOR_HOSTCALLS_H

#include "monitor/monitor.h"

#define X(name, nargs) long hc_##name(struct thread *t, const uint64_t *a);
HOSTCALL_TABLE(X)
#undef X

/* Heads of those whose first argument is a handle or a capability: what it must be stands there, and the body, which gets it as
 * `h` or `k`, is not reached otherwise (as with SYSCALL_DEFINE of Linux). ON_CAP pins, ON_CAP_LOCKED holds the lock (caps.h). */
#define HOSTCALL_ON(name, type, x, ...)                                                                               \
	static inline long do_##name(struct thread *t, type *x, const uint64_t *a);                                    \
	long hc_##name(struct thread *t, const uint64_t *a)                                                            \
	{                                                                                                              \
		__VA_ARGS__;                                                                                           \
		return error_in(x) ?: do_##name(t, x, a);                                                              \
	}                                                                                                              \
	static inline long do_##name(struct thread *t, type *x, const uint64_t *a)
#define HOSTCALL_ON_HANDLE(name, kinds)                                                                               \
	HOSTCALL_ON(name, struct handle, h, struct handle *h PINNED = handle_get(t, a[0], kinds))
#define HOSTCALL_ON_CAP(name, kind, perms)                                                                            \
	HOSTCALL_ON(name, struct cap, k, struct cap *k PINNED_CAP = cap_get(t, a[0], kind, perms))
/* All pages of (address, size), with the cVM's mem_lock; `release`: see memory_check. */
#define HOSTCALL_ON_PAGES(name, release)                                                                              \
	HOSTCALL_ON(name, struct cvm, c, struct cvm *c = pages_of(t, a, release); LOCKED(&t->cvm->mem_lock))
#define HOSTCALL_ON_CAP_LOCKED(name, kind, perms)                                                                     \
	HOSTCALL_ON(name, struct cap, k, LOCKED(&g_arena->cap_lock); struct cap *k = cap_find(t->cvm, a[0], kind, perms))

struct iovec;

/* Nanoseconds to the milliseconds of poll and epoll_wait, rounded up; -1 stays. */
static inline uint64_t to_ms(uint64_t ns)
{
	return (int64_t)ns < 0 ? ~0ull : MIN(ns / 1000000 + (ns % 1000000 != 0), 0x7fffffffull);
}

/* hc_file.c: copies and checks an array of buffers of the cVM: their number or negative errno. */
long iov_in(const struct cvm *c, struct iovec *iov, uint64_t user, uint64_t count);

#endif
