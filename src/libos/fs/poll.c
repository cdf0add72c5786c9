/*
 * Waiting for libOS objects and host descriptors together (fs/poll.h, fs/poll_set.h). Objects of the libOS announce
 * changes by their wait queues; host descriptors are asked about by hostcall poll. A set with both sleeps in hostcall
 * poll with the thread's own eventfd among the handles, which thread_wake() writes while t->polling is set.
 * Called by sys_poll.c; the files are the caller's references.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "fs/poll_set.h"
#include "ipc/eventfd.h"
#include "net/loop.h"
#include "process/turn.h"

#include <asm/poll.h>
#include <linux/time.h>

#define ALWAYS_REPORTED ((uint32_t)(EPOLLERR | EPOLLHUP))

static int host_handle(struct file *f)
{
	return f->ops->host_handle ? f->ops->host_handle(f) : -1;
}

static uint32_t local_events(struct file *f)
{
	if (f->ops->poll)
		return f->ops->poll(f);
	return f->ops->waitq ? 0 : POLL_ALWAYS;
}

struct poll_state {
	struct poll_entry *set;
	unsigned count;
	unsigned hosts;	     /* entries with a handle */
	unsigned locals;     /* entries with a waiter */
	long ready;
	bool loop;	     /* connections to other cVMs are among them: the doorbell matters */
	int host_epoll;	     /* for more than HC_POLL_MAX handles, else -1 */
};

static void note(struct poll_state *s, struct poll_entry *e, uint32_t events)
{
	events &= e->events | ALWAYS_REPORTED;
	if (events && !e->revents)
		s->ready++;
	e->revents |= events;
}

/* First look at everything: what the libOS knows itself. */
static void scan_local(struct poll_state *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		struct poll_entry *e = &s->set[i];

		e->revents = 0;
		e->handle = -1;
		e->waiter.queue = NULL;
		if (!e->file)
			continue;
		s->loop |= loop_active() && loop_watches(e->file);
		if (!e->file->ops->waitq)
			e->handle = host_handle(e->file);
		if (e->handle >= 0)
			s->hosts++;
		if (e->handle < 0 || e->file->ops->poll)
			note(s, e, local_events(e->file));
	}
}

static void rescan_local(struct poll_state *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		struct poll_entry *e = &s->set[i];

		if (e->file && e->handle < 0)
			note(s, e, local_events(e->file));
	}
}

static void add_waiters(struct poll_state *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		struct poll_entry *e = &s->set[i];

		if (!e->file || !e->file->ops->waitq)
			continue;
		waiter_init_thread(&e->waiter, e->events | ALWAYS_REPORTED);
		waitq_add(e->file->ops->waitq(e->file), &e->waiter);
		s->locals++;
	}
}

static void remove_waiters(struct poll_state *s)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->set[i].file)
			waitq_remove(&s->set[i].waiter);
}

/* Handles that a sleep has besides those of the set: the thread's eventfd, a timer and the doorbell; -1: not. */
struct extra {
	int wake, timer, doorbell;
};
#define EXTRAS 3u
#define HOST_TIME_NS 1000000 /* that the host rounds the time of poll up to */

/* One hostcall poll over the entries from *next on, at most HC_POLL_MAX handles. */
static long poll_chunk(struct poll_state *s, unsigned *next, struct extra extra, int64_t timeout)
{
	struct pollfd small[POLL_SET_SMALL + EXTRAS], *p = small;
	unsigned n = 0, room = ARRAY_SIZE(small), i = *next, j;
	uint64_t drained;
	long ret;

	if (s->hosts + EXTRAS > room) {
		room = MIN(s->hosts + EXTRAS, HC_POLL_MAX);
		p = kmalloc(room * sizeof(*p));
		if (!p)
			return -ENOMEM;
	}
	if (extra.wake >= 0)
		p[n++] = (struct pollfd){ .fd = extra.wake, .events = POLLIN };
	if (extra.timer >= 0)
		p[n++] = (struct pollfd){ .fd = extra.timer, .events = POLLIN };
	if (extra.doorbell >= 0)
		p[n++] = (struct pollfd){ .fd = extra.doorbell, .events = POLLIN };
	j = n;
	for (; i < s->count && n < room; i++)
		if (s->set[i].handle >= 0)
			p[n++] = (struct pollfd){ .fd = s->set[i].handle, .events = (short)s->set[i].events };
	ret = timeout ? hostcall_blocking(HC_poll, p, n, timeout) : hostcall(HC_poll, p, n, 0);
	if (ret > 0 && extra.doorbell >= 0 && p[j - 1].revents)
		(void)hostcall(HC_file_read, extra.doorbell, &drained, sizeof(drained));
	for (unsigned k = *next; ret > 0 && k < i; k++)
		if (s->set[k].handle >= 0)
			note(s, &s->set[k], (uint32_t)(uint16_t)p[j++].revents);
	*next = i;
	if (ret == 1 && extra.timer >= 0 && p[extra.wake >= 0].revents)
		ret = 0; /* only the time */
	if (p != small)
		kfree(p);
	return ret;
}

static long poll_hosts_now(struct poll_state *s)
{
	for (unsigned next = 0; next < s->count;) {
		long ret = poll_chunk(s, &next, (struct extra){ -1, -1, -1 }, 0);

		if (ret < 0 && ret != -EINTR)
			return ret;
	}
	return 0;
}

/* Too many handles for one hostcall: a temporary host epoll says when it is worth asking for all of them again. */
static long make_host_epoll(struct poll_state *s, struct extra extra)
{
	long ep = hostcall(HC_epoll_create);

	if (ep < 0)
		return ep;
	s->host_epoll = (int)ep;
	if (extra.wake >= 0)
		(void)hostcall(HC_epoll_ctl, ep, EPOLL_CTL_ADD, extra.wake, EPOLLIN, 0);
	if (extra.doorbell >= 0)
		(void)hostcall(HC_epoll_ctl, ep, EPOLL_CTL_ADD, extra.doorbell, EPOLLIN | EPOLLET, 0);
	for (unsigned i = 0; i < s->count; i++) {
		struct poll_entry *e = &s->set[i];
		uint32_t events = e->events;
		long ret;

		if (e->handle < 0)
			continue;
		ret = hostcall(HC_epoll_ctl, ep, EPOLL_CTL_ADD, e->handle, events, 0);
		if (ret == -EEXIST) { /* the same file twice: wait for what either wants */
			for (unsigned j = 0; j < i; j++)
				events |= s->set[j].handle == e->handle ? s->set[j].events : 0;
			ret = hostcall(HC_epoll_ctl, ep, EPOLL_CTL_MOD, e->handle, events, 0);
		}
		if (ret < 0)
			return ret;
	}
	return 0;
}

static long sleep_hosts(struct poll_state *s, struct extra extra, int64_t timeout)
{
	unsigned next = 0;
	struct epoll_event event;

	if (s->hosts + EXTRAS <= HC_POLL_MAX) {
		if (timeout > 0 && timeout % HOST_TIME_NS && (extra.timer = thread_timer(timeout)) >= 0)
			timeout = -1;
		return poll_chunk(s, &next, extra, timeout);
	}
	if (s->host_epoll < 0) {
		long ret = make_host_epoll(s, extra);

		if (ret < 0)
			return ret;
	}
	long ret = hostcall_blocking(HC_epoll_wait, s->host_epoll, &event, 1, timeout);
	if (ret > 0) {
		long err = poll_hosts_now(s);

		return err < 0 ? err : ret;
	}
	return ret;
}

static int wake_handle(struct thread *t)
{
	if (t->wake_eventfd < 0)
		t->wake_eventfd = (int)hostcall(HC_eventfd_create, 0, EFD_NONBLOCK);
	return t->wake_eventfd;
}

/* Host handles and libOS objects: thread_wake() must end the hostcall. */
static long sleep_mixed(struct poll_state *s, int64_t timeout)
{
	struct thread *t = current();
	struct extra extra = { wake_handle(t), -1, s->loop ? loop_doorbell() : -1 };
	int wake = extra.wake;
	int64_t whole = timeout;
	uint64_t drained;
	long ret = 1;

	if (wake < 0)
		return wake;
	if (s->loop)
		(void)loop_linger(NULL, 0, NULL);
	__atomic_store_n(&t->polling, 1, __ATOMIC_SEQ_CST);
	if (s->loop)
		loop_sleep_begin(&timeout);
	if (!__atomic_exchange_n(&t->wake_word, 0, __ATOMIC_SEQ_CST))
		ret = sleep_hosts(s, extra, timeout);
	if (s->loop)
		loop_sleep_end();
	__atomic_store_n(&t->polling, 0, __ATOMIC_SEQ_CST);
	if (ret == 0 && timeout != whole)
		ret = 1; /* only a connect that wanted another try */
	if (__atomic_exchange_n(&t->wake_word, 0, __ATOMIC_SEQ_CST) || (ret > 0 && !s->ready))
		(void)hostcall(HC_file_read, wake, &drained, sizeof(drained));
	return ret;
}

/* One sleep: > 0 or 0 as hostcall poll says, or negative errno. */
static long sleep_once(struct poll_state *s, int64_t timeout)
{
	if (s->loop && s->count == 1) {
		long ret = loop_sleep_one(s->set->file, s->set->events, timeout);

		if (ret != -ENOSYS)
			return ret;
	}
	if ((s->hosts && s->locals) || s->loop)
		return sleep_mixed(s, timeout);
	if (s->hosts)
		return sleep_hosts(s, (struct extra){ -1, -1, -1 }, timeout);

	int err = thread_sleep(timeout);
	if (err == -ETIMEDOUT)
		return 0;
	return err == -ERESTARTSYS ? -EINTR : err ? err : 1;
}

static long wait_loop(struct poll_state *s, int64_t timeout)
{
	int64_t deadline = timeout > 0 ? clock_now(CLOCK_MONOTONIC) + timeout : 0;

	for (;;) {
		long ret;

		turn_release(current());
		ret = sleep_once(s, timeout);
		turn_resume(current());

		if (s->locals)
			rescan_local(s);
		if (s->ready)
			return 0;
		if (ret == 0)
			return 0;
		if (ret < 0 && ret != -EINTR)
			return ret;
		if (ret == -EINTR && work_pending() && !turn_interrupted())
			return -ERESTARTNOHAND;
		if (timeout > 0)
			timeout = MAX(deadline - clock_now(CLOCK_MONOTONIC), (int64_t)0);
	}
}

long poll_set_wait(struct poll_entry *set, unsigned count, int64_t timeout)
{
	struct poll_state s = { .set = set, .count = count, .host_epoll = -1 };
	long ret = 0;

	if (loop_active())
		loop_collect();
	scan_local(&s);
	if (s.ready || timeout == 0 || turn_is_shared(current())) { /* a turn is not given up for nothing */
		if (s.hosts)
			ret = poll_hosts_now(&s);
		if (ret < 0 || s.ready || timeout == 0)
			return ret < 0 ? ret : s.ready;
	}
	add_waiters(&s);
	if (s.locals)
		rescan_local(&s);
	if (!s.ready)
		ret = wait_loop(&s, timeout);
	else if (s.hosts)
		ret = poll_hosts_now(&s);
	if (s.locals)
		remove_waiters(&s);
	handle_close(s.host_epoll);
	return ret < 0 ? ret : s.ready;
}
