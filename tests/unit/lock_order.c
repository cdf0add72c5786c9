/*
 * core/lock_order.c sees what it is there for: two orders of two locks, of three, of locks of one kind; and is silent about
 * one order, a lock alone and a kind within itself. Each case in a process of its own, as the first finding ends it.
 */
#include "core/lock.h"
#include "core/log.h"
#include "thread/thread.h"
#include "unit/fake_host.h"

static struct thread g_thread;
static struct mutex g_a, g_b, g_c, g_kind[2];

void panic(const char *fmt, ...)
{
	(void)fmt;
	unit_exit(1);
}

static void take_a(void)
{
	mutex_lock(&g_a);
}

static void take_b(void)
{
	mutex_lock(&g_b);
}

static void take_c(void)
{
	mutex_lock(&g_c);
}

static void take_kind(unsigned i)
{
	mutex_lock(&g_kind[i]);
}

static void give(struct mutex *m)
{
	mutex_unlock(m);
}

static void a_b(void)
{
	take_a(), take_b(), give(&g_b), give(&g_a);
}

static void same_order(void)
{
	a_b();
	a_b();
	take_b(), take_c(), give(&g_b), give(&g_c);
	take_a(), take_c(), give(&g_a), give(&g_c);
	take_kind(0), take_kind(1), give(&g_kind[0]), give(&g_kind[1]);
	take_kind(1), take_kind(0), give(&g_kind[0]), give(&g_kind[1]);
}

static void other_order(void)
{
	a_b();
	take_b(), take_a();
}

static void by_a_third(void)
{
	a_b();
	take_b(), take_c(), give(&g_c), give(&g_b);
	take_c(), take_a();
}

static void by_kind(void)
{
	take_kind(0), take_a(), give(&g_a), give(&g_kind[0]);
	take_a(), take_kind(1);
}

/* Two places each with a lock of its own, before and behind a; then one of them takes the other's lock. */
static void by_place(void)
{
	take_b(), take_a(), give(&g_a), give(&g_b);
	take_a(), take_c(), give(&g_c), give(&g_a);
	mutex_lock(&g_b), give(&g_b); /* another place of b's: no finding */
	for (int i = 0; i < 2; i++) {
		mutex_lock(i ? &g_b : &g_c);
		mutex_unlock(i ? &g_b : &g_c);
	}
}

int main(void)
{
	fake_host_init(&g_thread);
	lock_order_begin();
	CHECK(unit_child(same_order) == 0);
	CHECK(unit_child(other_order) == 1);
	CHECK(unit_child(by_a_third) == 1);
	CHECK(unit_child(by_kind) == 1);
	CHECK(unit_child(by_place) == 1);
	return 0;
}
