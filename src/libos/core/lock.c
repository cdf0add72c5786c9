/*
 * The contended paths of the mutex (core/lock.h). Waiting is a plain hostcall: a kick only makes it look again, since
 * whoever holds a libOS lock lets it go soon.
 */
#include "core/lock.h"
#include "core/hostcall.h"

#define SPINS 64 /* locks are held for about as long as one hostcall: worth a short look before sleeping */

void mutex_lock_slow(struct mutex *m)
{
	for (int i = 0; i < SPINS; i++) {
		if (__atomic_load_n(&m->word, __ATOMIC_RELAXED) == 0 && mutex_trylock(m))
			return;
		__builtin_ia32_pause();
	}
	while (__atomic_exchange_n(&m->word, 2, __ATOMIC_ACQUIRE) != 0)
		hostcall(HC_futex_wait, &m->word, 2, -1);
}

void mutex_unlock_slow(struct mutex *m)
{
	hostcall(HC_futex_wake, &m->word, 1);
}
