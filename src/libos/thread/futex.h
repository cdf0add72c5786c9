/* Futexes of the program; for sys/sys_futex.c and thread exit. */
#ifndef LIBOS_FUTEX_H
#define LIBOS_FUTEX_H

#include "thread/thread.h"

/* Until *word != expected, a wake-up, or the deadline (ns of `clock`; -1: none). 0, -EAGAIN, -ETIMEDOUT, -EFAULT, or
 * -EINTR when the thread has work. */
nodiscard long futex_wait_until(uint32_t *word, uint32_t expected, int clock, int64_t deadline);
nodiscard long futex_wake_up(uint32_t *word, uint32_t count);
/* Who waits on `word` here, because its program takes turns (process/turn.h), wakes up: how many, at most `count`. */
uint32_t futex_wake_in_turns(uint32_t *word, uint32_t count);
/* FUTEX_WAKE_OP: operation on *second, wake on `word`, and on `second` if its old value compares. */
nodiscard long futex_wake_op(uint32_t *word, uint32_t count, uint32_t *second, uint32_t second_count, uint32_t op);
/* The kernel's side of robust mutexes (Documentation/locking/robust-futexes.rst) for an ending thread. */
void robust_list_exit(struct thread *t);

#endif
