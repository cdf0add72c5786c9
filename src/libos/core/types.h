/*
 * The libOS's basic types: fixed-width integers, the kernel's own structures (from the uapi headers, never retyped),
 * and the internal error codes that never reach a program.
 */
#ifndef LIBOS_TYPES_H
#define LIBOS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <asm/unistd_64.h>
#include <linux/errno.h>

typedef int64_t ssize_t;
typedef int64_t off_t;

/* As in Linux (include/linux/errno.h): a handler returns these when a signal interrupted it; the return path either
 * restarts the call or turns them into -EINTR. */
#define ERESTARTSYS 512	   /* restart if SA_RESTART, or if no handler runs */
#define ERESTARTNOINTR 513 /* always restart */
#define ERESTARTNOHAND 514 /* restart only if no handler runs */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ALIGN_UP(x, a) (((x) + (a)-1) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define nodiscard __attribute__((warn_unused_result))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define PAGE_SIZE 4096ull
#define NSEC_PER_SEC 1000000000ll

struct timespec {
	int64_t tv_sec;
	int64_t tv_nsec;
};
#define _STRUCT_TIMESPEC 1

struct iovec {
	void *iov_base;
	size_t iov_len;
};

/* Freestanding memory and string functions (core/string.c, base/x86_64/copy.S); the compiler may call the first four itself. */
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

/* -ffreestanding turns the names into plain calls; these let the compiler see constant sizes again. */
#define memcpy(dst, src, n) __builtin_memcpy(dst, src, n)
#define memmove(dst, src, n) __builtin_memmove(dst, src, n)
#define memset(dst, c, n) __builtin_memset(dst, c, n)
#define memcmp(a, b, n) __builtin_memcmp(a, b, n)
#define strlen(s) __builtin_strlen(s)

/* printf-like with %s %.*s %c %d %u %ld %lu %lld %llu %x %lx %llx %zu %p %o, widths and 0/- flags; always terminates;
 * returns the length that was wanted. */
int format(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int vformat(char *buf, size_t size, const char *fmt, __builtin_va_list args);

#endif
