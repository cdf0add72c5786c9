/*
 * futex(2). The host waits on the words; bit sets are not kept: a wait with one is woken by any, and a wake-up with one
 * wakes all waiters (both are spurious wake-ups, which futex(2) allows). Priority inheritance is ENOSYS, as on kernels
 * without it.
 */
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "sys/syscalls.h"
#include "sys/wait_args.h"
#include "thread/clock.h"
#include "thread/futex.h"
#include "thread/isolated.h"

#include <linux/futex.h>

static long do_wait(struct regs *r, int op, bool absolute)
{
	struct thread *t = current();
	int clock = !absolute || !(op & FUTEX_CLOCK_REALTIME) ? CLOCK_MONOTONIC : CLOCK_REALTIME;
	uint32_t *word = (uint32_t *)r->rdi;
	int64_t deadline = -1;
	long ret = r->r10 ? wait_deadline((const struct timespec *)r->r10, clock, absolute, &deadline) : 0;

	if (ret)
		return ret;
	ret = futex_wait_until(word, (uint32_t)r->rdx, clock, deadline);
	if (ret != -EINTR)
		return ret;
	return deadline < 0 ? -ERESTARTSYS : wait_again(t, deadline);
}

/* A private futex is its address: where none waits nobody looks at the memory. */
static long private_may_be_nowhere(int op, long ret)
{
	return ret == -EFAULT && (op & FUTEX_PRIVATE_FLAG) ? 0 : ret;
}

static long do_requeue(struct regs *r, bool compare)
{
	uint32_t *word = (uint32_t *)r->rdi, value;
	long ret;

	if ((int32_t)r->rdx < 0 || (int32_t)r->r10 < 0)
		return -EINVAL;
	if (get_user(value, word))
		return -EFAULT;
	if (compare && value != (uint32_t)r->r9)
		return -EAGAIN;
	(void)futex_wake_in_turns(word, UINT32_MAX); /* a spurious wake-up is as good */
	ret = hostcall(HC_futex_requeue, word, (uint32_t)r->rdx, r->r8, (uint32_t)r->r10);
	/* Where others may wait, too, the monitor moves nobody. */
	return ret == -EACCES ? futex_wake_up(word, MIN((uint32_t)r->rdx + (uint32_t)r->r10, (uint32_t)INT32_MAX)) : ret;
}

static long do_wake(struct regs *r, uint32_t bits)
{
	int32_t count = (int32_t)r->rdx;

	if (!bits)
		return -EINVAL;
	if (count < 1)
		count = 1; /* as Linux does */
	return futex_wake_up((uint32_t *)r->rdi, bits == FUTEX_BITSET_MATCH_ANY ? (uint32_t)count : INT32_MAX);
}

/* Other operations have no timeout and no second word, and C libraries leave anything there. */
static bool addresses_in_program(const struct regs *r, int command)
{
	switch (command) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET: return address_in_program(r->r10);
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_WAKE_OP: return address_in_program(r->r8);
	default: return true;
	}
}

long sys_futex(struct regs *r)
{
	int op = (int)r->rsi;

	if (!addresses_in_program(r, op & FUTEX_CMD_MASK))
		return -EFAULT;
	if (r->rdi & 3)
		return -EINVAL;
	if ((op & FUTEX_CLOCK_REALTIME) && (op & FUTEX_CMD_MASK) != FUTEX_WAIT_BITSET)
		return -ENOSYS;
	switch (op & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
		return do_wait(r, op, false);
	case FUTEX_WAIT_BITSET:
		return (uint32_t)r->r9 ? do_wait(r, op, true) : -EINVAL;
	case FUTEX_WAKE:
		return private_may_be_nowhere(op, do_wake(r, FUTEX_BITSET_MATCH_ANY));
	case FUTEX_WAKE_BITSET:
		return private_may_be_nowhere(op, do_wake(r, (uint32_t)r->r9));
	case FUTEX_REQUEUE:
		return do_requeue(r, false);
	case FUTEX_CMP_REQUEUE:
		return do_requeue(r, true);
	case FUTEX_WAKE_OP:
		if (r->r8 & 3)
			return -EINVAL;
		return futex_wake_op((uint32_t *)r->rdi, (uint32_t)r->rdx, (uint32_t *)r->r8, (uint32_t)r->r10,
				     (uint32_t)r->r9);
	default:
		return -ENOSYS;
	}
}
