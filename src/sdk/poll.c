/*
 * cp_poll (cvm/poll.h). The monitor keeps a set of capabilities that had an event, and one doorbell for the cVM. Of all
 * threads in cp_poll one, the leader, has the doorbell among what it waits for; it takes the set and wakes the others,
 * each by an event of its own. A leader that leaves wakes another, which takes its place.
 *
 * Whoever looked at its entries and found nothing was in the list before it looked, so no event is lost.
 */
#include "cvm/poll.h"
#include "cvm/file.h"
#include "sdk/sdk.h"

#define ENTRIES_MAX 128u
#define SPARE 16 /* events kept for the next call */

struct poller {
	struct poller *next;
	uint64_t wanted[CAPS_MAX / 64];
	int event;
	bool any; /* memory: one capability is told for all of the same object; background copies */
};

static struct {
	struct sdk_lock lock; /* everything here */
	struct poller *pollers, *leader;
	int spare[SPARE];
	unsigned spares;
	bool forks; /* after_fork is called */
} g_poll;

/* Looks at one capability: its events, or what is wrong. */
static uint32_t look(const struct cp_poll *e)
{
	if (e->io)
		return cp_file_done(e->io) ? CP_READABLE : 0;
	long r = gate(HC_cap_wait, e->cap, e->events, 0, e->version);
	if (r >= 0)
		return (uint32_t)r & (e->events | CP_BROKEN);
	return r == -ERRNO_EKEYREVOKED ? CP_BROKEN : r == -ETIMEDOUT || r == -EINTR ? 0 : CP_INVALID;
}

static int look_at_caps(struct cp_poll *entry, unsigned count)
{
	int ready = 0;

	for (unsigned i = 0; i < count; i++) {
		entry[i].revents = entry[i].cap || entry[i].io ? look(&entry[i]) : 0;
		ready += entry[i].revents != 0;
	}
	return ready;
}

/* Waits for descriptors: the entries', and those in front. Their results; the number of entries that have some. */
static long wait_fds(struct cp_poll *entry, unsigned count, struct pollfd *p, unsigned extra, int64_t timeout)
{
	unsigned n = extra;
	int ready = 0;

	for (unsigned i = 0; i < count; i++)
		if (!entry[i].cap && !entry[i].io)
			p[n++] = (struct pollfd){ .fd = entry[i].fd, .events = (short)entry[i].events };
	if (!n)
		return 0;
	long r = platform_poll(p, n, timeout);
	if (r < 0)
		return r;
	n = extra;
	for (unsigned i = 0; i < count; i++) {
		if (entry[i].cap || entry[i].io)
			continue;
		entry[i].revents = (uint16_t)p[n++].revents;
		ready += entry[i].revents != 0;
	}
	return ready;
}

/* g_poll.lock held. */
static void wake_pollers(const uint64_t *bits, const struct poller *but)
{
	for (struct poller *p = g_poll.pollers; p; p = p->next) {
		bool hit = p->any;
		for (unsigned i = 0; bits && i < CAPS_MAX / 64 && !hit; i++)
			hit = p->wanted[i] & bits[i];
		if (hit && p != but)
			platform_event_set(p->event);
	}
}

void sdk_io_done(void)
{
	sdk_lock_take(&g_poll.lock);
	wake_pollers(NULL, NULL);
	sdk_lock_give(&g_poll.lock);
}

/* The pollers are the parent's, and so are the events: what one of the two clears, the other one would miss. */
static void after_fork(void)
{
	g_poll.lock.word = 0;
	g_poll.pollers = g_poll.leader = NULL;
	while (g_poll.spares)
		platform_event_close(g_poll.spare[--g_poll.spares]);
	platform_doorbell_forget();
}

static int enter(struct poller *me, const struct cp_poll *entry, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct cap_info info;
		if (entry[i].io) {
			me->any = true;
		} else if (entry[i].cap) {
			uint32_t index = (uint32_t)entry[i].cap % CAPS_MAX;
			me->wanted[index / 64] |= 1ull << (index % 64);
			if (!gate(HC_cap_info, entry[i].cap, &info) && info.kind == CAP_MEMORY)
				me->any = true;
		}
	}
	sdk_lock_take(&g_poll.lock);
	int r = g_poll.forks ? 0 : platform_after_fork(after_fork);
	g_poll.forks = !r;
	me->event = !r && g_poll.spares ? g_poll.spare[--g_poll.spares] : -1;
	sdk_lock_give(&g_poll.lock);
	if (r)
		return r;
	if (me->event < 0)
		me->event = platform_event_new();
	if (me->event < 0)
		return me->event;
	sdk_lock_take(&g_poll.lock);
	me->next = g_poll.pollers;
	g_poll.pollers = me;
	sdk_lock_give(&g_poll.lock);
	return 0;
}

static void leave(struct poller *me)
{
	struct poller **at = &g_poll.pollers;
	bool kept;

	sdk_lock_take(&g_poll.lock);
	while (*at != me)
		at = &(*at)->next;
	*at = me->next;
	if (g_poll.leader == me)
		g_poll.leader = NULL;
	/* Whoever was asked to lead may itself be on its way out: then it asks the next one here. */
	if (!g_poll.leader && g_poll.pollers)
		platform_event_set(g_poll.pollers->event);
	kept = g_poll.spares < SPARE;
	if (kept) {
		platform_event_clear(me->event);
		g_poll.spare[g_poll.spares++] = me->event;
	}
	sdk_lock_give(&g_poll.lock);
	if (!kept)
		platform_event_close(me->event);
}

/* The leader takes the set of events, and tells the others. 1: some are the caller's own. */
static int lead(struct poller *me, int *doorbell)
{
	uint64_t bits[CAPS_MAX / 64];
	int mine = 0;

	*doorbell = -1;
	sdk_lock_take(&g_poll.lock);
	if (!g_poll.leader)
		g_poll.leader = me;
	if (g_poll.leader == me) {
		int any = *doorbell = platform_doorbell();
		/* It rings only after a look that found nothing. */
		while (any >= 0 && (any = platform_events(bits)) > 0) {
			wake_pollers(bits, me);
			for (unsigned i = 0; i < CAPS_MAX / 64; i++)
				mine |= (me->wanted[i] & bits[i]) || me->any;
		}
		mine = any < 0 ? any : mine;
	}
	sdk_lock_give(&g_poll.lock);
	return mine;
}

static int wait_for_all(struct poller *me, struct cp_poll *entry, unsigned count, int64_t timeout)
{
	uint64_t end = timeout > 0 ? platform_now() + (uint64_t)timeout : 0;
	struct pollfd p[ENTRIES_MAX + 2];
	int doorbell;

	for (;;) {
		int ready = look_at_caps(entry, count);
		int mine = ready ? 0 : lead(me, &doorbell);
		if (mine < 0)
			return mine;
		if (mine)
			continue;
		int64_t left = end ? (int64_t)(end - platform_now()) : timeout;
		if (ready || (end && left < 0))
			left = 0;
		unsigned extra = 0;
		if (!ready) {
			p[extra++] = (struct pollfd){ .fd = me->event, .events = POLLIN };
			if (doorbell >= 0)
				p[extra++] = (struct pollfd){ .fd = doorbell, .events = POLLIN };
		}
		long r = wait_fds(entry, count, p, extra, left);
		if (r < 0 && !(r == -EINTR && (ready || !platform_interrupts)))
			return (int)r;
		if (!ready && p[0].revents)
			platform_event_clear(me->event);
		if (r > 0 || ready)
			return ready + (r > 0 ? (int)r : 0);
		if (left == 0 && timeout >= 0)
			return look_at_caps(entry, count);
	}
}

/* One capability alone: its own futex, without doorbell and list. */
static int wait_for_one(struct cp_poll *e, int64_t timeout)
{
	long r = sdk_wait(e->cap, e->events, e->version, timeout);

	if (r == -EINTR)
		return (int)r;
	e->revents = r >= 0 ? (uint32_t)r : r == -ERRNO_EKEYREVOKED ? CP_BROKEN : r == -ETIMEDOUT ? 0 : CP_INVALID;
	return e->revents != 0;
}

int cp_poll(struct cp_poll *entry, unsigned count, int64_t timeout_ns)
{
	struct poller me = { .event = -1 };
	struct pollfd p[ENTRIES_MAX];

	if (!g_sdk_present)
		return -ENOSYS;
	if (count > ENTRIES_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++) {
		struct cap_info info;
		if (entry[i].cap && entry[i].events & CP_WRITABLE && !gate(HC_cap_info, entry[i].cap, &info) && info.kind == CAP_CALL)
			return -EINVAL;
	}
	if (count == 1 && entry[0].cap)
		return wait_for_one(&entry[0], timeout_ns);
	int ready = look_at_caps(entry, count);
	if (ready || timeout_ns == 0) {
		long r = wait_fds(entry, count, p, 0, 0);
		return r < 0 && !ready ? (int)r : ready + (r > 0 ? (int)r : 0);
	}
	int r = enter(&me, entry, count);
	if (r)
		return r;
	r = wait_for_all(&me, entry, count, timeout_ns);
	leave(&me);
	return r;
}
