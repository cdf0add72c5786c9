/*
 * Bare cVMs: a program with memory, threads and capabilities only, and no operating system (the pure-capability kind of
 * CAP-VMs, OSDI'22, section 3). It is linked with libcvm-bare.a (pkg-config cvm-bare) and defines cvm_main.
 *
 * It starts in microseconds and shares nothing but what it was granted. No C library belongs to it: the SDK brings only
 * what compilers ask for (memcpy, memmove, memset, memcmp, strlen). No thread-local variables, no constructors, no
 * stack protector.
 *
 * Ends: SIGTERM, SIGINT and SIGHUP from outside end the cVM, unless cvm_signals is called; a fault ends it with a message
 * on the log. Functions return negative errno values (asm-generic/errno.h) on failure.
 */
#ifndef CVM_BARE_H
#define CVM_BARE_H

#include "call.h"
#include "cap.h"
#include "file.h"
#include "poll.h"
#include "stream.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The program: its return value is the cVM's exit status. argv as in the YAML's args, argv[0] the program. */
int cvm_main(int argc, char **argv);

/* The value of an environment variable of the YAML, or NULL. */
const char *cvm_getenv(const char *name);

_Noreturn void cvm_exit(int status);

/* Standard descriptors are handles 0, 1 and 2. cvm_write writes all bytes: their number, or fewer if an error came after
 * some. cvm_read: at least one byte, 0 at the end. -EBADF; -EFAULT: the buffer; errors of the host's write(2) and read(2). */
ssize_t cvm_write(int handle, const void *bytes, size_t size);
CP_NODISCARD ssize_t cvm_read(int handle, void *bytes, size_t size);

/*
 * Formatted text to handle 1, at most 511 bytes at once: %s %c %d %u %x %p %%, with l or ll, a width, and 0 or - before
 * it. Returns the bytes written.
 */
int cvm_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Zeroed memory in whole pages, readable and writable, or NULL: the cVM's limit, or no addresses. cvm_free takes the same
 * size; NULL is ignored. Pages that are not accessible lie between two such pieces. */
CP_NODISCARD void *cvm_alloc(size_t size);
void cvm_free(void *memory, size_t size);

/* A thread with a stack of 64 KiB. 0, or -EAGAIN: the cVM's limit of threads or memory. cvm_thread_join waits for its end; each
 * is joined once, and *thread stays where it is until then. */
struct cvm_thread {
	void (*function)(void *argument);
	void *argument;
	void *memory;	/* libcvm's, as what follows */
	uint32_t alive; /* futex */
};
CP_NODISCARD int cvm_thread_create(struct cvm_thread *thread, void (*function)(void *), void *argument);
void cvm_thread_join(struct cvm_thread *thread);

/*
 * A futex word of the own memory (futex(2)). cvm_futex_wait waits while *word is `value`, at most timeout_ns nanoseconds (below
 * 0: no limit): 0, perhaps early; -EAGAIN: it was not; -ETIMEDOUT. cvm_futex_wake: how many of at most `count` threads
 * were woken. -EFAULT: not aligned, or not the cVM's memory.
 */
int cvm_futex_wait(uint32_t *word, uint32_t value, int64_t timeout_ns);
int cvm_futex_wake(uint32_t *word, int count);

uint64_t cvm_clock_ns(void);		 /* CLOCK_MONOTONIC */
void cvm_sleep_ns(uint64_t nanoseconds); /* at least so long */

/* From now on signals from outside do not end the cVM. Returns those that came since the last call, bit n-1 for signal n. */
uint64_t cvm_signals(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
