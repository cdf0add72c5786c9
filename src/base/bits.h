/*
 * The monitor's basic vocabulary: fixed-width types, checked arithmetic, alignment, and the few memory functions that a
 * freestanding compiler calls. No state; trusted because the monitor uses it.
 */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a) (((x) + (a)-1) & ~((__typeof__(x))(a)-1))
/* Each argument is evaluated once: it may be what another thread changes. */
#define PICK_(a, b, op, n) ({ __auto_type a_##n = (a); __auto_type b_##n = (b); a_##n op b_##n ? a_##n : b_##n; })
#define PICK(a, b, op, n) PICK_(a, b, op, n)
#define MIN(a, b) PICK(a, b, <, __COUNTER__)
#define MAX(a, b) PICK(a, b, >, __COUNTER__)
#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define nodiscard __attribute__((warn_unused_result))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* a + b without wrapping, into *sum: false if it wraps. */
static inline bool add_checked(uint64_t a, uint64_t b, uint64_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}

/* A pointer that is a negative errno instead, and what it says: 0 for any other. */
static inline void *error_pointer(long error)
{
	return (void *)error;
}

static inline int error_in(const void *p)
{
	return unlikely((uint64_t)p > ~4095ull) ? (int)(long)p : 0;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);

#endif
