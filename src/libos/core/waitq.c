/*
 * Wait queues and the sleeping thread (core/waitq.h). A thread sleeps on its own wake_word: 0 running, 1 woken, 2 asleep;
 * thread_wake() (thread/thread.c) sets 1 and needs the host only if it was 2. Called by every blocking operation of the libOS.
 */
#include "core/waitq.h"
#include "core/hostcall.h"
#include "process/turn.h"
#include "thread/thread.h"

#include <linux/time.h>

void waitq_init(struct waitq *q)
{
	q->lock = (struct mutex){ 0 };
	list_init(&q->waiters);
}

void waitq_add(struct waitq *q, struct waiter *w)
{
	mutex_lock(&q->lock);
	w->queue = q;
	list_append(&q->waiters, &w->link);
	mutex_unlock(&q->lock);
}

void waitq_remove(struct waiter *w)
{
	struct waitq *q = w->queue;

	if (!q)
		return;
	mutex_lock(&q->lock);
	list_remove(&w->link);
	w->queue = NULL;
	mutex_unlock(&q->lock);
}

void waitq_wake(struct waitq *q, uint32_t events)
{
	/* A waiter adds itself and then looks at the object; the caller changed the object before. With a full barrier
	 * on both sides (theirs is waitq_add's lock) one of the two sees the other. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&q->waiters.next, __ATOMIC_RELAXED) == &q->waiters)
		return;
	mutex_lock(&q->lock);
	list_for_each_safe(pos, next, &q->waiters) {
		struct waiter *w = list_entry(pos, struct waiter, link);

		if (!events || !w->events || (w->events & events))
			w->wake(w, events);
	}
	mutex_unlock(&q->lock);
}

static void wake_thread(struct waiter *w, uint32_t events)
{
	(void)events;
	thread_wake(w->data);
}

void waiter_init_thread(struct waiter *w, uint32_t events)
{
	list_init(&w->link);
	w->queue = NULL;
	w->events = events;
	w->wake = wake_thread;
	w->data = current();
}

static int sleep_until_woken(struct thread *t, int64_t timeout_ns)
{
	int64_t deadline = timeout_ns > 0 ? clock_now(CLOCK_MONOTONIC) + timeout_ns : 0;

	for (;;) {
		uint32_t running = 0;
		long ret = -ETIMEDOUT;

		turn_release(t); /* fork by another thread may just have given it one */
		if (!__atomic_compare_exchange_n(&t->wake_word, &running, timeout_ns ? 2 : 0, false, __ATOMIC_SEQ_CST,
						 __ATOMIC_SEQ_CST)) {
			__atomic_store_n(&t->wake_word, 0, __ATOMIC_SEQ_CST);
			return 0;
		}
		if (timeout_ns)
			ret = hostcall_blocking(HC_futex_wait, &t->wake_word, 2, timeout_ns);
		if (__atomic_exchange_n(&t->wake_word, 0, __ATOMIC_SEQ_CST) == 1)
			return 0;
		if (ret == -ETIMEDOUT)
			return -ETIMEDOUT;
		if (__atomic_load_n(&t->work, __ATOMIC_RELAXED) & ~WORK_TURN)
			return -ERESTARTSYS;
		__atomic_fetch_and(&t->work, ~WORK_TURN, __ATOMIC_SEQ_CST);
		if (timeout_ns > 0)
			timeout_ns = MAX(deadline - clock_now(CLOCK_MONOTONIC), 0);
	}
}

int thread_sleep(int64_t timeout_ns)
{
	struct thread *t = current();
	int ret = sleep_until_woken(t, timeout_ns);

	turn_resume(t);
	return ret;
}
