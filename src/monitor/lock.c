/* The monitor's futex mutex (Drepper, "Futexes Are Tricky"): holders are inside a hostcall and always come out.
 * Private, as all futexes of the monitor's own words are: every thread of the host is of one process. */
#include <linux/futex.h>

#include "host/syscall.h"
#include "monitor/monitor.h"

bool lock_try(struct lock *l)
{
	uint32_t expected = 0;

	return __atomic_compare_exchange_n(&l->word, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void lock_take(struct lock *l)
{
	if (lock_try(l))
		return;
	while (__atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE))
		host(__NR_futex, &l->word, FUTEX_WAIT_PRIVATE, 2, 0);
}

void lock_give(struct lock *l)
{
	if (__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) == 2)
		host(__NR_futex, &l->word, FUTEX_WAKE_PRIVATE, 1);
}
