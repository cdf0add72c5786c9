/*
 * Futexes of the program on the monitor's futex hostcalls, and the robust list of an ending thread. The words are
 * program memory: the monitor checks that they lie in the slot, uaccess that they are mapped.
 */
#include "thread/futex.h"
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "mm/mm.h"
#include "process/turn.h"
#include "thread/isolated.h"

#include <linux/futex.h>
#include <linux/time.h>

/*
 * Programs that take turns (process/turn.h) wait here: the host would look at a word that may be another program's when it
 * does. Who wakes them, from whatever process, names the same memory: an address of one program, or a place in what is shared.
 */
struct sleeper {
	struct list link; /* g_sleepers */
	struct mm_place place;
	struct thread *thread;
	bool woken;
};

static struct mutex g_sleepers_lock;
static struct list g_sleepers = LIST_INIT(g_sleepers);
static uint32_t g_sleeper_count; /* atomic */

static long wait_in_turns(uint32_t *word, uint32_t expected, int clock, int64_t deadline)
{
	struct sleeper s = { .thread = current() };
	uint32_t value;
	int err;

	if (!mm_place_of((uint64_t)word, &s.place))
		return -EFAULT;
	__atomic_add_fetch(&g_sleeper_count, 1, __ATOMIC_SEQ_CST);
	mutex_lock(&g_sleepers_lock);
	list_append(&g_sleepers, &s.link);
	mutex_unlock(&g_sleepers_lock);
	err = get_user(value, word) ? -EFAULT : value != expected ? -EAGAIN : 0;
	while (!err && !__atomic_load_n(&s.woken, __ATOMIC_ACQUIRE))
		err = thread_sleep(deadline < 0 ? -1 : MAX(deadline - clock_now(clock), 0));
	mutex_lock(&g_sleepers_lock);
	list_remove(&s.link);
	mutex_unlock(&g_sleepers_lock);
	__atomic_sub_fetch(&g_sleeper_count, 1, __ATOMIC_SEQ_CST);
	return s.woken ? 0 : err == -ERESTARTSYS ? -EINTR : err;
}

uint32_t futex_wake_in_turns(uint32_t *word, uint32_t count)
{
	struct mm_place place;
	uint32_t woken = 0;

	/* The program changed the word before, perhaps by a plain store: a sleeper counts itself and then looks at the word, so one of
	 * the two sees the other. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (likely(!__atomic_load_n(&g_sleeper_count, __ATOMIC_SEQ_CST)) || !mm_place_of((uint64_t)word, &place))
		return 0;
	mutex_lock(&g_sleepers_lock);
	list_for_each(pos, &g_sleepers) {
		struct sleeper *s = list_entry(pos, struct sleeper, link);

		if (woken >= count)
			break;
		if (s->woken || s->place.object != place.object || s->place.offset != place.offset)
			continue;
		__atomic_store_n(&s->woken, true, __ATOMIC_RELEASE);
		thread_wake(s->thread);
		woken++;
	}
	mutex_unlock(&g_sleepers_lock);
	return woken;
}

long futex_wait_until(uint32_t *word, uint32_t expected, int clock, int64_t deadline)
{
	for (;;) {
		int64_t timeout = -1;
		long ret;

		if (turn_is_shared(current()))
			return wait_in_turns(word, expected, clock, deadline);
		if (deadline >= 0) {
			timeout = deadline - clock_now(clock);
			timeout = MAX(timeout, 0);
		}
		ret = hostcall_blocking(HC_futex_wait, word, expected, timeout);
		if (ret == -EINTR && (!work_pending() || turn_interrupted()))
			continue;
		/* the host's clock may be a little ahead of the deadline's */
		if (ret == -ETIMEDOUT && deadline >= 0 && clock_now(clock) < deadline)
			continue;
		return ret;
	}
}

long futex_wake_up(uint32_t *word, uint32_t count)
{
	uint32_t woken = futex_wake_in_turns(word, count);
	long ret = woken < count ? hostcall(HC_futex_wake, word, count - woken) : 0;

	return ret < 0 ? ret : ret + (long)woken;
}

static int futex_modify(uint32_t *word, uint32_t op, uint32_t operand, uint32_t *old)
{
	uint32_t seen, value;
	int err = get_user(seen, word);

	while (!err) {
		switch (op) {
		case FUTEX_OP_SET: value = operand; break;
		case FUTEX_OP_ADD: value = seen + operand; break;
		case FUTEX_OP_OR: value = seen | operand; break;
		case FUTEX_OP_ANDN: value = seen & ~operand; break;
		case FUTEX_OP_XOR: value = seen ^ operand; break;
		default: return -ENOSYS;
		}
		err = cmpxchg_user(word, seen, value, old);
		if (!err && *old == seen)
			return 0;
		seen = *old;
	}
	return err;
}

static bool futex_compare(uint32_t compare, int32_t old, int32_t operand)
{
	switch (compare) {
	case FUTEX_OP_CMP_EQ: return old == operand;
	case FUTEX_OP_CMP_NE: return old != operand;
	case FUTEX_OP_CMP_LT: return old < operand;
	case FUTEX_OP_CMP_GE: return old >= operand;
	case FUTEX_OP_CMP_LE: return old <= operand;
	default: return old > operand; /* FUTEX_OP_CMP_GT: checked before */
	}
}

static int32_t sign_extend_12(uint32_t v)
{
	return (int32_t)(v << 20) >> 20;
}

long futex_wake_op(uint32_t *word, uint32_t count, uint32_t *second, uint32_t second_count, uint32_t encoded)
{
	uint32_t op = encoded >> 28 & 7, compare = encoded >> 24 & 15, old;
	int32_t operand = sign_extend_12(encoded >> 12 & 0xfff), compare_with = sign_extend_12(encoded & 0xfff);
	long woken, more;
	int err;

	if (compare > FUTEX_OP_CMP_GT)
		return -ENOSYS;
	if (encoded >> 28 & FUTEX_OP_OPARG_SHIFT)
		operand = (int32_t)(1u << (operand & 31));
	err = futex_modify(second, op, (uint32_t)operand, &old);
	if (err)
		return err;
	woken = futex_wake_up(word, count);
	if (woken < 0 || !futex_compare(compare, (int32_t)old, compare_with))
		return woken;
	more = futex_wake_up(second, second_count);
	return more < 0 ? more : woken + more;
}

/* One robust mutex of the ending thread: mark it OWNER_DIED and wake one waiter. */
static int robust_release(const struct thread *t, uint32_t *word, bool pending)
{
	uint32_t value, old;
	int err;

	if ((uint64_t)word & 3 || !in_program(word))
		return -EFAULT;
	err = get_user(value, word);
	while (!err) {
		if (pending && value == 0)
			return futex_wake_up(word, 1) < 0 ? -EFAULT : 0;
		if ((value & FUTEX_TID_MASK) != (uint32_t)t->tid)
			return 0;
		err = cmpxchg_user(word, value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &old);
		if (err)
			return err;
		if (old == value)
			return !(value & FUTEX_WAITERS) || futex_wake_up(word, 1) >= 0 ? 0 : -EFAULT;
		value = old;
	}
	return err;
}

void robust_list_exit(struct thread *t)
{
	struct robust_list_head head;
	struct robust_list *entry, *pending, *next;
	unsigned limit = ROBUST_LIST_LIMIT;

	if (!t->robust_list || get_user(head, t->robust_list))
		return;
	/* bit 0 marks PI futexes, which nobody could lock */
	pending = (void *)((uint64_t)head.list_op_pending & ~1ull);
	entry = (void *)((uint64_t)head.list.next & ~1ull);
	while ((void *)entry != t->robust_list && limit--) {
		int err = in_program(entry) ? get_user(next, &entry->next) : -EFAULT;

		if (entry != pending && robust_release(t, (void *)((char *)entry + head.futex_offset), false))
			return;
		if (err)
			return;
		entry = (void *)((uint64_t)next & ~1ull);
	}
	if (pending)
		(void)!robust_release(t, (void *)((char *)pending + head.futex_offset), true);
}
