/*
 * Whether locks are taken in one order (core/lock.h), in the libOS that is built with CVM_LOCK_ORDER: a deadlock is found when its
 * two halves were seen once each, at any time, by any threads (as by lockdep: Linux, Documentation/locking/lockdep-design.rst).
 *
 * A *place* is a mutex_lock in the source. Places that took the same lock are one class, so all locks of a kind become one
 * as soon as one of them was taken at two places. Within a class the order is not looked at: an epoll that watches an epoll, say, whose
 * order is another rule. mutex_trylock is not looked at, for it does not wait.
 */
#include "core/lock_order.h"
#include "core/lock.h"
#include "core/log.h"
#include "thread/thread.h"

#define PLACES 512u

static struct place {
	const char *name;
	uint32_t class; /* another place of the same class, nearer to the one that stands for it; that one: itself */
} g_place[PLACES];
static uint32_t g_places = 1; /* 0 is none */
static uint64_t g_below[PLACES][PLACES / 64]; /* by class: was taken while one of it was held */
static uint64_t g_seen[PLACES / 64];
static uint32_t g_busy;
static bool g_begun;

static bool bit(const uint64_t *bits, uint32_t n)
{
	return bits[n / 64] >> n % 64 & 1;
}

static void bit_set(uint64_t *bits, uint32_t n)
{
	bits[n / 64] |= 1ull << n % 64;
}

static uint32_t class_of(uint32_t place)
{
	while (g_place[place].class != place)
		place = g_place[place].class;
	return place;
}

static bool search(uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < g_places; i++) {
		if (!bit(g_below[from], i) || bit(g_seen, i))
			continue;
		bit_set(g_seen, i);
		if (i == to || search(i, to))
			return true;
	}
	return false;
}

/* Was `to` taken while `from` was held, or while what was taken while that was held, and so on? */
static bool leads(uint32_t from, uint32_t to)
{
	memset(g_seen, 0, sizeof g_seen);
	return search(from, to);
}

static void unite(uint32_t a, uint32_t b)
{
	if (a == b)
		return;
	g_place[b].class = a;
	for (uint32_t i = 0; i < g_places; i++) {
		if (bit(g_below[b], i))
			bit_set(g_below[a], i);
		if (bit(g_below[i], b))
			bit_set(g_below[i], a);
		g_below[i][b / 64] &= ~(1ull << b % 64);
	}
	memset(g_below[b], 0, sizeof g_below[b]);
	g_below[a][a / 64] &= ~(1ull << a % 64);
	if (leads(a, a))
		panic("lock order: what is locked at %s is locked before and behind others", g_place[b].name);
}

static void look(const struct lock_held *above, uint32_t place)
{
	uint32_t a = class_of(above->place), b = class_of(place);

	if (a == b || bit(g_below[a], b))
		return;
	if (leads(b, a))
		panic("lock order: at %s while held from %s, elsewhere the other way round", g_place[place].name, g_place[above->place].name);
	bit_set(g_below[a], b);
}

void lock_order_begin(void)
{
	g_begun = true;
}

void lock_order_taking(struct mutex *m, uint32_t *place, const char *name)
{
	struct thread *t = g_begun ? current() : NULL;

	while (__atomic_exchange_n(&g_busy, 1, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
	if (!*place && g_places < PLACES) {
		*place = g_places++;
		g_place[*place] = (struct place){ name, *place };
	}
	if (!*place)
		panic("lock order: more than %u places", PLACES);
	if (!m->place)
		m->place = *place;
	unite(class_of(m->place), class_of(*place));
	for (uint32_t i = 0; t && i < t->held_count; i++)
		look(&t->held[i], *place);
	__atomic_store_n(&g_busy, 0, __ATOMIC_RELEASE);
	if (t && t->held_count == LOCKS_HELD_MAX)
		panic("lock order: %u locks held at %s", LOCKS_HELD_MAX, name);
	if (t)
		t->held[t->held_count++] = (struct lock_held){ m, *place };
}

/* What was taken before the beginning, or by another thread, is not there. */
void lock_order_given(const struct mutex *m)
{
	struct thread *t = g_begun ? current() : NULL;
	uint32_t i = 0;

	while (t && i < t->held_count && t->held[i].lock != m)
		i++;
	if (!t || i == t->held_count)
		return;
	for (t->held_count--; i < t->held_count; i++)
		t->held[i] = t->held[i + 1];
}
