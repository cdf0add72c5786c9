/*
 * Readiness of connections to other cVMs: from the monitor's event bits to wait queues (net/loop.h says how).
 *
 * The doorbell rings once for each time it was armed, for one of those who sleep. Nothing is lost because everybody arms
 * before sleeping, everybody who fetches bits wakes all whom they concern, and who fetches while others sleep arms again
 * for them. Called by fs/epoll_wait.c and fs/poll.c around their sleeps, and through file_ops.
 */
#include "core/hostcall.h"
#include "fs/epoll.h"
#include "net/loop.h"
#include "net/unix.h"
#include "served/served.h"
#include "thread/clock.h"
#include "thread/thread.h"

#include <linux/time.h>

#define ROOM_ENOUGH (CAP_STREAM_RING / 4)
#define PENDING_NS 1000000 /* how often a connect looks for room in a backlog while everybody sleeps */
#define LINGER_NS 20000 /* what it takes to sleep and be woken on another processor */
#define LINGER_LOOK 16 /* pauses before the next look */
#define LINGER_PAUSE 31
#define PASSED_MAX 4 /* capabilities that wait in a stream (cvm/stream.h) */
#define ROOM_WORTH (CAP_STREAM_RING / 2) /* the monitor wakes a writer for that much */
#define READ_EVENTS ((uint32_t)(EPOLLIN | EPOLLRDNORM))
#define WRITE_EVENTS ((uint32_t)(EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND))

unsigned g_loop_count;
static struct mutex g_table_lock; /* table, and that nothing in it goes away */
static struct loop *g_table[CAPS_MAX];
static unsigned g_sleepers; /* atomic: threads that rely on the doorbell */
static int g_doorbell = -1;

/* g_table_lock held. Those with the same capability are a list. */
static void enter(struct loop *l)
{
	struct loop **first = &g_table[l->cap % CAPS_MAX];

	l->sibling = *first;
	*first = l;
}

void loop_enter(struct loop *l)
{
	mutex_lock(&g_table_lock);
	enter(l);
	mutex_unlock(&g_table_lock);
	loop_one_more();
}

bool loop_leave(struct loop *l)
{
	struct loop **first = &g_table[l->cap % CAPS_MAX], **at = first;
	bool last;

	__atomic_sub_fetch(&g_loop_count, 1, __ATOMIC_SEQ_CST);
	mutex_lock(&g_table_lock);
	while (*at != l)
		at = &(*at)->sibling;
	*at = l->sibling;
	last = !*first;
	mutex_unlock(&g_table_lock);
	return last;
}

bool loop_join(struct loop *l)
{
	bool joined = false;

	mutex_lock(&g_table_lock);
	for (unsigned i = 0; i < CAPS_MAX && !joined; i++) {
		struct loop *first = g_table[i], *other = first;

		if (!first || first->kind != LOOP_LISTENER || strcmp(first->name, l->name))
			continue;
		while (other && !loop_same_place(other, l))
			other = other->sibling;
		if (other)
			break;
		l->cap = first->cap;
		enter(l);
		joined = true;
	}
	mutex_unlock(&g_table_lock);
	if (joined)
		loop_one_more();
	return joined;
}

void loop_drop_passed(const struct loop *l)
{
	long cap = 0;

	for (unsigned i = 0; i < PASSED_MAX && (cap = hostcall(HC_stream_cap, l->cap)) >= 0; i++)
		(void)hostcall(HC_cap_close, cap);
}

uint32_t loop_refresh(struct loop *l)
{
	/* What was so far stays doubtful for others until there is an answer. */
	uint32_t before = __atomic_add_fetch(&l->state, LOOP_VERSION, __ATOMIC_SEQ_CST), after;
	struct cap_info info;

	if (hostcall(HC_cap_info, l->cap, &info))
		info = (struct cap_info){ .state = CAP_ENDED | CAP_BROKEN };
	l->room = (uint32_t)info.writable;
	after = (before & ~(LOOP_VERSION - 1)) | (info.state & (CAP_READABLE | CAP_ENDED | CAP_BROKEN | CAP_RESET));
	if (!(info.state & CAP_WRITABLE) || (before & LOOP_FULL && info.writable < ROOM_ENOUGH && !(info.state & CAP_BROKEN)))
		after |= LOOP_FULL;
	if (info.state & CAP_READABLE && !info.readable && !(info.state & CAP_ENDED) && l->kind == LOOP_STREAM) {
		after &= ~CAP_READABLE; /* a passed capability: with it there nobody could wait for bytes */
		loop_drop_passed(l);
	}
	if (!__atomic_compare_exchange_n(&l->state, &before, after, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		loop_must_check(l);
	return after;
}

static uint32_t connecting_events(const struct loop *l)
{
	return l->kind == LOOP_CONNECTING ? 0 : READ_EVENTS | WRITE_EVENTS | EPOLLRDHUP | EPOLLHUP | (l->error ? EPOLLERR : 0);
}

uint32_t loop_poll(struct file *f)
{
	struct loop *l = loop_of(f);
	uint8_t kind = __atomic_load_n(&l->kind, __ATOMIC_ACQUIRE), shut;
	uint32_t state, events = 0;
	bool read_end, write_end;

	if (kind == LOOP_LISTENER)
		return !l->cap ? EPOLLHUP | EPOLLOUT | EPOLLWRNORM : loop_listener_ready(l) ? READ_EVENTS : 0;
	if (kind != LOOP_STREAM)
		return connecting_events(l);
	state = __atomic_load_n(&l->state, __ATOMIC_SEQ_CST);
	if (state & LOOP_CHECK || (!(state & LOOP_FULL) && l->room < ROOM_ENOUGH))
		state = loop_refresh(l);
	shut = __atomic_load_n(&l->shutdown, __ATOMIC_RELAXED);
	read_end = state & CAP_ENDED || shut & LOOP_SHUT_RECEIVE;
	write_end = shut & LOOP_SHUT_SEND || l->hung_up || (state & CAP_BROKEN && l->socket.domain == AF_UNIX);
	if (state & CAP_READABLE || read_end)
		events |= READ_EVENTS;
	if (!(state & LOOP_FULL) || write_end)
		events |= WRITE_EVENTS;
	if (read_end)
		events |= EPOLLRDHUP;
	if (read_end && write_end)
		events |= EPOLLHUP;
	if (state & CAP_RESET && state & CAP_BROKEN)
		events |= READ_EVENTS | WRITE_EVENTS | EPOLLRDHUP | EPOLLHUP | (l->reset_told ? 0 : EPOLLERR);
	return events;
}

struct waitq *loop_waitq(struct file *f)
{
	return loop_of(f)->wait;
}

/* Something happened to l; g_table_lock held. */
static void happened(struct loop *l)
{
	uint32_t before = __atomic_load_n(&l->state, __ATOMIC_SEQ_CST), now = loop_refresh(l), events = 0;

	if (l->kind == LOOP_LISTENER && l->signal >= 0) {
		if (now & CAP_READABLE)
			loop_signal(l);
		return;
	}
	if (now & CAP_READABLE)
		events |= READ_EVENTS;
	if (now & CAP_ENDED)
		events |= READ_EVENTS | EPOLLRDHUP | EPOLLHUP;
	if (now & CAP_BROKEN)
		events |= WRITE_EVENTS | EPOLLHUP | EPOLLERR;
	if (before & (LOOP_FULL | LOOP_CHECK) && !(now & LOOP_FULL))
		events |= WRITE_EVENTS;
	if (events)
		waitq_wake(l->wait, events);
}

/* With the lock, also around the question: who finds nothing because another thread was told finds what that one noted. */
static bool fetch(bool arm)
{
	uint64_t bits[CAPS_MAX / 64];
	bool any;

	mutex_lock(&g_table_lock);
	any = hostcall(HC_cap_events, bits, arm) > 0;
	for (unsigned i = 0; any && i < CAPS_MAX / 64; i++)
		for (; bits[i]; bits[i] &= bits[i] - 1) {
			unsigned index = i * 64 + (unsigned)__builtin_ctzll(bits[i]);

			if (!g_table[index]) {
				served_note(index);
				loop_events_note(index);
			}
			for (struct loop *l = g_table[index]; l; l = l->sibling)
				happened(l);
		}
	mutex_unlock(&g_table_lock);
	return any;
}

static bool somebody_relies(void)
{
	return __atomic_load_n(&g_sleepers, __ATOMIC_SEQ_CST) != 0;
}

/* What was fetched disarmed the doorbell, also if somebody armed it meanwhile: again, until there is nothing, if somebody relies on it. */
static void fetch_all(void)
{
	while (fetch(somebody_relies()) && somebody_relies())
		;
}

void loop_one_more(void)
{
	if (__atomic_add_fetch(&g_loop_count, 1, __ATOMIC_SEQ_CST) == 1)
		fetch_all(); /* those who sleep already did not arm */
}

void loop_collect(void)
{
	(void)loop_retry_pending();
	fetch_all();
}

int loop_doorbell(void)
{
	static struct mutex lock;

	if (likely(__atomic_load_n(&g_doorbell, __ATOMIC_RELAXED) >= 0))
		return g_doorbell;
	mutex_lock(&lock);
	if (g_doorbell < 0)
		__atomic_store_n(&g_doorbell, (int)hostcall(HC_cap_doorbell), __ATOMIC_RELAXED);
	mutex_unlock(&lock);
	return g_doorbell;
}

static bool is_worth(const struct loop *l, uint32_t states)
{
	struct cap_info info;

	if (hostcall(HC_cap_info, l->cap, &info))
		return true;
	return info.state & (states & ~CAP_WRITABLE) || (states & CAP_WRITABLE && (info.writable >= ROOM_WORTH || info.state & CAP_BROKEN));
}

/* Has one of the states come, or what a thread waits for that has `ready`, or is to be woken? */
static bool has_come(struct loop *l, uint32_t states, const struct list *ready)
{
	if (l)
		return is_worth(l, states);
	fetch_all();
	return ready ? !list_empty(ready) : __atomic_load_n(&current()->wake_word, __ATOMIC_SEQ_CST) != 0;
}

/* Who waited in vain does not try again for some time. Whoever else wants the processor gets it. Who has work does not linger, whatever
 * there is: only the sleep finds that it is interrupted, and a caller that finds nothing for itself comes here again. */
bool loop_linger(struct loop *l, uint32_t states, const struct list *ready)
{
	struct thread *t = current();
	int64_t until;

	if (t->no_linger) {
		t->no_linger--;
		return false;
	}
	until = clock_now(CLOCK_MONOTONIC) + LINGER_NS;
	do {
		for (unsigned i = 0; i < LINGER_LOOK; i++)
			__builtin_ia32_pause();
		(void)hostcall(HC_thread_yield);
		if (work_pending())
			return false;
		if (has_come(l, states, ready))
			return true;
	} while (clock_now(CLOCK_MONOTONIC) < until);
	t->no_linger = LINGER_PAUSE;
	return false;
}

void loop_sleep_begin(int64_t *timeout)
{
	__atomic_add_fetch(&g_sleepers, 1, __ATOMIC_SEQ_CST);
	if (!loop_active())
		return;
	fetch_all();
	if (unlikely(loop_retry_pending()) && (*timeout < 0 || *timeout > PENDING_NS))
		*timeout = PENDING_NS;
}

void loop_sleep_end(void)
{
	__atomic_sub_fetch(&g_sleepers, 1, __ATOMIC_SEQ_CST);
	if (loop_active())
		loop_collect();
}

bool loop_watches(struct file *f)
{
	return f->ops == &g_loop_file_ops || f->ops == &g_loop_listener_ops || f->ops == &g_loop_both_ops || f->ops == &g_loop_events_ops ||
	       (f->ops == &g_unix_file_ops && loop_of(f)) || epoll_of(f) || served_is_file(f);
}

long loop_sleep_one(struct file *f, uint32_t events, int64_t timeout)
{
	struct loop *l;
	uint32_t states = 0;
	long ret;

	if (f->ops != &g_loop_file_ops && f->ops != &g_loop_listener_ops)
		return -ENOSYS;
	l = loop_of(f);
	if (l->kind == LOOP_CONNECTING || l->kind == LOOP_FAILED)
		return -ENOSYS;
	if (events & (READ_EVENTS | EPOLLRDHUP))
		states |= CAP_ENDED | (events & READ_EVENTS ? CAP_READABLE : 0);
	if (events & WRITE_EVENTS)
		states |= CAP_WRITABLE;
	/* Only for what is not so already: or it would not sleep. */
	if (__atomic_load_n(&l->state, __ATOMIC_SEQ_CST) & (CAP_BROKEN | LOOP_CHECK) || !states)
		return -ENOSYS;
	if (l->kind == LOOP_STREAM && loop_linger(l, states, NULL))
		ret = 1;
	else
		ret = loop_sleep(l, states, timeout);
	loop_must_check(l);
	return ret == -ETIMEDOUT ? 0 : ret;
}
