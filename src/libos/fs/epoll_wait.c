/*
 * epoll: the ready list and waiting (fs/epoll.h says how it works). The hot path of servers is epoll_wait_events() of an
 * epoll with host files only: one hostcall that writes straight into the program's array.
 */
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "fs/epoll.h"
#include "net/loop.h"
#include "process/turn.h"

#include <asm/poll.h>
#include <linux/time.h>

#define HOST_TURNS 8
#define LONG_WAIT_NS 2000000ll /* to which a little more is nothing */
#define HOST_EVENTS_MAX 4096 /* of one hostcall; a program gets the rest with its next wait */

static void write_eventfd(struct epoll *ep)
{
	uint64_t one = 1;

	(void)hostcall(HC_file_write, ep->eventfd, &one, sizeof(one));
}

/* ready_lock held, the ready list as it is now. Pairs with enter_sleep(): one of both sees the other. */
static bool somebody_sleeps(struct epoll *ep)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&ep->sleepers, __ATOMIC_SEQ_CST) || ep->observed;
}

/* Unlocks ready_lock, and wakes a sleeper for what is on the ready list. */
static void unlock_and_signal(struct epoll *ep)
{
	bool signal = !list_empty(&ep->ready) && somebody_sleeps(ep) && !ep->signaled;

	ep->signaled |= signal;
	mutex_unlock(&ep->ready_lock);
	if (signal)
		write_eventfd(ep);
}

void epoll_item_ready(struct epoll_item *item)
{
	struct epoll *ep = item->epoll;

	mutex_lock(&ep->ready_lock);
	if (list_empty(&item->ready))
		list_append(&ep->ready, &item->ready);
	unlock_and_signal(ep);
}

uint32_t epoll_item_poll(struct epoll_item *item)
{
	uint32_t mask = __atomic_load_n(&item->events, __ATOMIC_RELAXED);

	mask &= ~(uint32_t)(EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE);
	return mask ? item->file->ops->poll(item->file) & mask : 0;
}

void epoll_clear_signal(struct epoll *ep)
{
	uint64_t count;

	mutex_lock(&ep->ready_lock);
	ep->signaled = false;
	if (ep->observed) /* level-triggered then */
		(void)hostcall(HC_file_read, ep->eventfd, &count, sizeof(count));
	mutex_unlock(&ep->ready_lock);
}

static struct epoll_item *pop(struct epoll *ep, struct list *from)
{
	struct epoll_item *item = NULL;

	mutex_lock(&ep->ready_lock);
	if (!list_empty(from)) {
		item = list_entry(from->next, struct epoll_item, ready);
		list_remove(&item->ready);
	}
	mutex_unlock(&ep->ready_lock);
	return item;
}

/* Move all of `from` to the front of `to`; ready_lock held. */
static void splice(struct list *from, struct list *to)
{
	if (list_empty(from))
		return;
	from->prev->next = to->next;
	to->next->prev = from->prev;
	to->next = from->next;
	from->next->prev = to;
	list_init(from);
}

static void put_back(struct epoll *ep, struct epoll_item *item)
{
	mutex_lock(&ep->ready_lock);
	if (list_empty(&item->ready))
		list_append(&ep->ready, &item->ready);
	mutex_unlock(&ep->ready_lock);
}

/* Hand what did not fit back, and make sure that others learn of what is still ready. */
static void end_scan(struct epoll *ep, struct list *rest)
{
	mutex_lock(&ep->ready_lock);
	splice(rest, &ep->ready);
	unlock_and_signal(ep);
}

static void begin_scan(struct epoll *ep, struct list *todo)
{
	list_init(todo);
	mutex_lock(&ep->ready_lock);
	splice(&ep->ready, todo);
	mutex_unlock(&ep->ready_lock);
}

/* Deliver ready libOS objects to the program's array: count, or -EFAULT. */
static long harvest(struct epoll *ep, struct epoll_event *user, int max)
{
	struct epoll_item *item;
	struct list todo;
	long n = 0;

	mutex_lock(&ep->items_lock);
	begin_scan(ep, &todo);
	while (n < max && (item = pop(ep, &todo))) {
		uint32_t events = epoll_item_poll(item);
		struct epoll_event e = { .events = events, .data = item->data };

		if (!events)
			continue;
		if (copy_to_user(user + n, &e, sizeof(e))) {
			put_back(ep, item);
			if (!n)
				n = -EFAULT;
			break;
		}
		n++;
		if (item->events & EPOLLONESHOT)
			__atomic_and_fetch(&item->events, (uint32_t)(EPOLLET | EPOLLONESHOT), __ATOMIC_RELAXED);
		else if (!(item->events & EPOLLET))
			put_back(ep, item);
	}
	end_scan(ep, &todo);
	mutex_unlock(&ep->items_lock);
	return n;
}

bool epoll_refresh(struct epoll *ep)
{
	struct epoll_item *item;
	struct list todo;
	bool ready = false;

	for (unsigned fd = 0; ep->nested_count && fd < ep->by_fd_count; fd++)
		for (struct epoll_item *i = ep->by_fd[fd]; i; i = i->next)
			if (epoll_of(i->file))
				(void)i->file->ops->poll(i->file);
	begin_scan(ep, &todo);
	while (!ready && (item = pop(ep, &todo))) {
		ready = epoll_item_poll(item) != 0;
		if (ready)
			put_back(ep, item);
	}
	if (!ready && ep->observed && ep->eventfd >= 0) {
		bool empty;

		mutex_lock(&ep->ready_lock);
		empty = list_empty(&ep->ready) && list_empty(&todo);
		mutex_unlock(&ep->ready_lock);
		if (empty && ep->signaled)
			epoll_clear_signal(ep);
	}
	end_scan(ep, &todo);
	return ready;
}

/* Take the eventfd's and the doorbell's events out of what the host returned. */
static long strip(struct epoll *ep, struct epoll_event *user, long n, bool *signaled)
{
	long kept = 0;

	*signaled = false;
	if (ep->eventfd < 0 && !ep->doorbell)
		return n;
	for (long i = 0; i < n; i++) {
		struct epoll_event e;

		if (copy_from_user(&e, user + i, sizeof(e)))
			return -EFAULT;
		if (e.data == ep->cookie && ep->eventfd >= 0) {
			*signaled = true;
			epoll_clear_signal(ep);
			continue;
		}
		if (e.data == ep->cookie + 1 && ep->doorbell) {
			*signaled = true;
			continue;
		}
		if (kept++ < i && copy_to_user(user + kept - 1, &e, sizeof(e)))
			return -EFAULT;
	}
	return kept;
}

/* What this thread was told may have been for one that sleeps, and this one need not come again. */
static void pass_on(struct epoll *ep)
{
	if (loop_active())
		loop_collect();
	mutex_lock(&ep->ready_lock);
	unlock_and_signal(ep);
}

static bool ready_empty(struct epoll *ep)
{
	return __atomic_load_n(&ep->ready.next, __ATOMIC_SEQ_CST) == &ep->ready;
}

/* Announce a sleep in the host epoll, unless something is ready after all. */
static bool enter_sleep(struct epoll *ep)
{
	__atomic_add_fetch(&ep->sleepers, 1, __ATOMIC_SEQ_CST);
	if (likely(ready_empty(ep)))
		return true;
	__atomic_sub_fetch(&ep->sleepers, 1, __ATOMIC_SEQ_CST);
	return false;
}

static void leave_sleep(struct epoll *ep)
{
	__atomic_sub_fetch(&ep->sleepers, 1, __ATOMIC_SEQ_CST);
}

/* What is ready now on both sides, without sleeping. */
static long collect(struct epoll *ep, struct epoll_event *user, int max)
{
	bool signaled = false, host_first = max == 1 && (ep->host_turn = !ep->host_turn);
	long n = 0, ret;

	if (!host_first && !ready_empty(ep))
		n = harvest(ep, user, max);
	if (n < 0 || n == max)
		return n;
	/* A libOS that is busy with its own objects asks the host only now and then. */
	if (n && loop_active() && ++ep->busy % HOST_TURNS)
		return n;
	if (ep->host_count || ep->signaled) {
		ret = hostcall(HC_epoll_wait, ep->host, user + n, max - n, 0);
		if (ret > 0)
			ret = strip(ep, user + n, ret, &signaled);
		if (ret > 0 || (!n && ret != -EINTR))
			n += ret;
	}
	if (host_first && n == 0 && !ready_empty(ep))
		n = harvest(ep, user, max);
	if (signaled)
		pass_on(ep);
	return n;
}

/* The host may not write to the program's memory while another one is there. What objects of the libOS wait for, other processes do when
 * it is their turn: only what the host may have soon is worth to linger for. */
static long sleep_in_turns(struct epoll *ep, struct epoll_event *user, int max, int64_t timeout)
{
	struct pollfd p = { .fd = ep->host, .events = POLLIN };
	struct thread *t = current();
	long n = hostcall(HC_epoll_wait, ep->host, user, max, 0);

	if (n || !timeout)
		return n;
	if ((timeout >= 0 && timeout < LONG_WAIT_NS) || !ep->host_count || !turn_linger(ep->host, POLLIN)) {
		turn_release(t);
		n = hostcall_blocking(HC_poll, &p, 1, timeout);
		turn_resume(t);
		if (n <= 0)
			return n;
	}
	n = hostcall(HC_epoll_wait, ep->host, user, max, 0);
	return n ? n : -EINTR; /* meanwhile another process took what came */
}

/* Sleep once. *ended: the time is over or an error came. */
static long sleep_host(struct epoll *ep, struct epoll_event *user, int max, int64_t timeout, bool *ended)
{
	bool signaled = false;
	int64_t whole = timeout;
	long n, more;

	*ended = false;
	if (loop_active() && loop_linger(NULL, 0, &ep->ready))
		return 0;
	loop_sleep_begin(&timeout);
	if (!enter_sleep(ep)) {
		loop_sleep_end();
		return 0;
	}
	n = likely(!turn_is_shared(current())) ? hostcall_blocking(HC_epoll_wait, ep->host, user, max, timeout) :
						 sleep_in_turns(ep, user, max, timeout);
	leave_sleep(ep);
	loop_sleep_end();
	if (n <= 0) {
		*ended = (n == 0 && timeout == whole) || n != -EINTR || (work_pending() && !turn_interrupted());
		return n == -EINTR ? (*ended ? -ERESTARTNOHAND : 0) : n;
	}
	n = strip(ep, user, n, &signaled);
	if (n < 0 && signaled)
		pass_on(ep);
	if (n < 0 || n == max || !signaled)
		return n;
	more = harvest(ep, user + n, max - (int)n);
	return more < 0 ? (n ? n : more) : n + more;
}

long epoll_wait_events(struct epoll *ep, struct epoll_event *user, int max, int64_t timeout)
{
	struct thread *t = current();
	int64_t deadline = timeout > 0 ? wait_end(t, timeout) : 0;

	max = MIN(max, HOST_EVENTS_MAX);
	if (unlikely(t->restarting))
		timeout = MAX(deadline - clock_now(CLOCK_MONOTONIC), (int64_t)0);
	for (;;) {
		bool ended;
		long n = 0;

		if (unlikely(ep->nested_count)) {
			mutex_lock(&ep->items_lock);
			(void)epoll_refresh(ep);
			mutex_unlock(&ep->items_lock);
		}
		if (loop_active())
			loop_collect();
		if (timeout == 0 || !ready_empty(ep))
			n = collect(ep, user, max);
		if (n || timeout == 0)
			return n;
		n = sleep_host(ep, user, max, timeout, &ended);
		if (n == -ERESTARTNOHAND && timeout > 0)
			return wait_again(t, deadline);
		if (n || ended)
			return n;
		if (timeout > 0)
			timeout = MAX(deadline - clock_now(CLOCK_MONOTONIC), (int64_t)0);
	}
}
