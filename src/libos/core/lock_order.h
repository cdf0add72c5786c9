/* What lock_order.c needs of a thread and of those who take locks; included by core/lock.h with CVM_LOCK_ORDER only. */
#ifndef LIBOS_LOCK_ORDER_H
#define LIBOS_LOCK_ORDER_H

#include "core/types.h"

#define LOCKS_HELD_MAX 16u

struct mutex;

struct lock_held {
	const struct mutex *lock;
	uint32_t place;
};

void lock_order_begin(void); /* from now on current() is a thread */
void lock_order_taking(struct mutex *m, uint32_t *place, const char *name);
void lock_order_given(const struct mutex *m);

#endif
