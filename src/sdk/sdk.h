/*
 * What the files of libcvm share. The same sources make libcvm (programs on the libOS, with a C library) and libcvm-bare
 * (nothing below but the monitor); what differs is behind the functions platform_*, in platform_libos.c and bare/.
 * No mutable state but that of cp_poll and of the background copies, each under its lock.
 */
#ifndef SDK_SDK_H
#define SDK_SDK_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/capability.h"
#include "abi/gate.h"
#include "abi/hostcall.h"

#define ERRNO_EKEYREVOKED 128

/* How hostcalls are made; SDK_NONE: there is no monitor. */
enum sdk_present { SDK_NONE = 0, SDK_GATE = 1, SDK_LIBOS = 2 /* by the libOS, which the program is apart from (abi/boot.h) */ };
extern __attribute__((visibility("hidden"))) int g_sdk_present;

/* Without the gate, where SDK_GATE is not. -ENOSYS: there is no other way. */
__attribute__((visibility("hidden"))) long platform_without_gate(long nr, long a0, long a1, long a2, long a3, long a4, long a5);
long sdk_words_without_gate(uint64_t nr_and_cap, uint64_t word[CALL_WORDS]);

/* See abi/gate.h. */
static inline long sdk_gate6(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
{
	return g_sdk_present == SDK_GATE ? gate6(nr, a0, a1, a2, a3, a4, a5) : platform_without_gate(nr, a0, a1, a2, a3, a4, a5);
}

static inline long sdk_gate4(long nr, long a0, long a1, long a2, long a3)
{
	return g_sdk_present == SDK_GATE ? gate4(nr, a0, a1, a2, a3) : platform_without_gate(nr, a0, a1, a2, a3, 0, 0);
}

/* gate(HC_cap_close, cap): missing arguments are 0 */
#define gate(...) GATE_CALL(sdk_gate, __VA_ARGS__)

static inline long sdk_gate_words(uint64_t nr_and_cap, uint64_t word[CALL_WORDS])
{
	return g_sdk_present == SDK_GATE ? gate_words(nr_and_cap, word) : sdk_words_without_gate(nr_and_cap, word);
}

/* A mutex: 0 free, 1 held, 2 held and waited for. */
struct sdk_lock {
	uint32_t word;
};
void sdk_lock_take(struct sdk_lock *l);
void sdk_lock_give(struct sdk_lock *l);

/* A capability by name: cap_open and cap_create with the name's length. */
long sdk_open(unsigned kind, const char *name, unsigned perms);
long sdk_create(unsigned kind, const char *name, uint64_t arg);
/* cap_wait with a timeout of whole length after each interruption that the program need not see. */
long sdk_wait(int cap, unsigned events, uint32_t seen, int64_t timeout_ns);
void sdk_io_done(void); /* tells every cp_poll that looks at a background copy */

/* ---- platform ---- */

struct platform_thread {
	void (*function)(void *);
	void *argument;
	uint64_t private[4]; /* the platform's */
};
int platform_thread_start(struct platform_thread *t, void (*function)(void *), void *argument); /* 0 or -EAGAIN */
void platform_thread_join(struct platform_thread *t);
/* Calls it in each child of fork, where none of the other threads is. 0 or -EAGAIN. */
int platform_after_fork(void (*function)(void));
void *platform_pages(size_t size); /* zeroed, or NULL */
void platform_pages_free(void *pages, size_t size);
void *platform_reserve(size_t size); /* addresses without memory, page-aligned, or NULL */
void platform_unreserve(void *at, size_t size);
int platform_unmap(void *at, size_t size); /* what was mapped into a reservation, and that: 0, or negative errno */
int platform_vacate(void *at, size_t size); /* what was mapped into a reservation, which stays: 0, or negative errno */
/* From now on a fault in user_copy (base/copy.h) makes that return -EFAULT. 0, or negative errno: it does not. */
int platform_copies_may_fault(void);
/* As futex(2); a wait may end early. */
void platform_futex_wait(const uint32_t *word, uint32_t value);
void platform_futex_wake(const uint32_t *word, int count);
/* An event that can be polled: a descriptor, or negative errno. */
int platform_event_new(void);
void platform_event_set(int fd);
void platform_event_clear(int fd);
void platform_event_close(int fd);
/* The doorbell's descriptor: readable after an event of a capability that came after platform_events. Made once. */
int platform_doorbell(void);
void platform_doorbell_forget(void); /* after fork: a doorbell of one's own, next time */
/* Which capabilities had an event since the last time: 1. If none had, 0, and from now on the next one rings. */
int platform_events(uint64_t bits[CAPS_MAX / 64]);
long platform_poll(struct pollfd *p, unsigned count, int64_t timeout_ns);
void platform_yield(void);   /* as sched_yield(2) */
uint64_t platform_now(void); /* CLOCK_MONOTONIC, ns */
extern const bool platform_interrupts; /* a wait that was kicked returns -EINTR to the program */

#endif
