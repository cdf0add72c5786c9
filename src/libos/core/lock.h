/*
 * Mutex on a futex word (Drepper, "Futexes Are Tricky", mutex3): 0 free, 1 held, 2 held with waiters.
 * Not recursive. Never taken by upcall code that interrupted libOS code. Zero is the unlocked state.
 *
 * The order, outermost first; each is taken with any of those in front of it held, none with one behind it:
 *   g_epolls, an epoll's items_lock (that of the epoll which watches another first), a file's pos_lock
 *   what is waited for or shared: pipes and the slots of FIFOs, Unix sockets, connections to other cVMs, semaphores, terminals, timers
 *   the process tree, a family (process/turn.c), a process, its signals
 *   a memory map, an inode in memory, a process's directories, g_tree_lock, inotify
 *   wait queues, an epoll's ready_lock
 *   the heap's size classes, its pages
 * The others are static in their files, which say what they guard.
 * core/lock_order.c looks at each taking in a libOS of its own, with which `race/libos_lock_order` runs all guest programs.
 */
#ifndef LIBOS_LOCK_H
#define LIBOS_LOCK_H

#include "core/types.h"

#ifdef CVM_LOCK_ORDER
#include "core/lock_order.h"
#else
#define lock_order_begin() ((void)0)
#endif

struct mutex {
	uint32_t word;
#ifdef CVM_LOCK_ORDER
	uint32_t place; /* that took it first */
#endif
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

#ifdef CVM_LOCK_ORDER
#define LOCK_PLACE(file, line) LOCK_PLACE_(file, line)
#define LOCK_PLACE_(file, line) file ":" #line
#define mutex_lock(m)                                                                                                 \
	({                                                                                                            \
		static uint32_t place_;                                                                               \
		struct mutex *m_ = (m);                                                                               \
		lock_order_taking(m_, &place_, LOCK_PLACE(__FILE__, __LINE__));                                       \
		mutex_lock(m_);                                                                                       \
	})
#define mutex_unlock(m)                                                                                               \
	({                                                                                                            \
		struct mutex *m_ = (m);                                                                               \
		lock_order_given(m_);                                                                                 \
		mutex_unlock(m_);                                                                                     \
	})
#endif

#endif
