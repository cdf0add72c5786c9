/* A futex mutex (Drepper, "Futexes Are Tricky", mutex 3) on futexes, which both platforms have. */
#include "sdk/sdk.h"

void sdk_lock_take(struct sdk_lock *l)
{
	uint32_t word = 0;

	if (__atomic_compare_exchange_n(&l->word, &word, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE))
		platform_futex_wait(&l->word, 2);
}

void sdk_lock_give(struct sdk_lock *l)
{
	if (__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) == 2)
		platform_futex_wake(&l->word, 1);
}
