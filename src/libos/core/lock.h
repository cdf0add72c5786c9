/*
 * Mutex on a futex word (Drepper, "Futexes Are Tricky", mutex3): 0 free, 1 held, 2 held with waiters.
 * Not recursive. Never taken by upcall code that interrupted libOS code. Zero is the unlocked state.
 */
#ifndef LIBOS_LOCK_H
#define LIBOS_LOCK_H

#include "core/types.h"

struct mutex {
	uint32_t word;
};

void mutex_lock_slow(struct mutex *m);
void mutex_unlock_slow(struct mutex *m);

static inline void mutex_lock(struct mutex *m)
{
	uint32_t expected = 0;
	if (unlikely(!__atomic_compare_exchange_n(&m->word, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		mutex_lock_slow(m);
}

static inline bool mutex_trylock(struct mutex *m)
{
	uint32_t expected = 0;
	return __atomic_compare_exchange_n(&m->word, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void mutex_unlock(struct mutex *m)
{
	if (unlikely(__atomic_exchange_n(&m->word, 0, __ATOMIC_RELEASE) == 2))
		mutex_unlock_slow(m);
}

#endif
