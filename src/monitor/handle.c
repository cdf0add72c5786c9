/*
 * Handle tables: a cVM names host descriptors by small integers of its own. The reference count of an entry keeps the
 * descriptor open while any hostcall uses it, so a number that another thread closes cannot turn into somebody else's
 * file under a running call.
 */
#include "host/syscall.h"
#include "monitor/monitor.h"

#define HANDLE_RELEASING 0x80000000u /* refs while the last holder closes the descriptor */

static void handle_release(struct handle *h)
{
	struct cvm *c = &g_arena->cvm[(uint64_t)((char *)h - (char *)g_arena->cvm) / sizeof *c];

	if (h->kind == HANDLE_MEMOBJ && !insecure(LAUNCH_INSECURE_NO_LIMITS))
		host(__NR_ftruncate, h->fd, 0); /* or its mappings would keep memory that nobody counts */
	memory_uncount(c, h->size_pages * CVM_PAGE_SIZE);
	host(__NR_close, h->fd);
	__atomic_sub_fetch(&c->handles, h->kind == HANDLE_EPOLL ? LAUNCH_EPOLL_HANDLES : 1, __ATOMIC_RELAXED);
	h->kind = HANDLE_NONE;
	__atomic_store_n(&h->refs, 0, __ATOMIC_RELEASE);
	/* Only a hint, so not under the lock: keeps numbers low and the table's untouched pages untouched. */
	uint32_t number = (uint32_t)(h - c->handle);
	if (number < __atomic_load_n(&c->handle_hint, __ATOMIC_RELAXED))
		__atomic_store_n(&c->handle_hint, number, __ATOMIC_RELAXED);
}

long handle_add(struct cvm *c, int fd, unsigned kind, unsigned rights)
{
	uint32_t max = insecure(LAUNCH_INSECURE_NO_LIMITS) ? HANDLES_MAX : MIN(c->config->handles_max, HANDLES_MAX);
	long number = -EMFILE, weight = kind == HANDLE_EPOLL ? LAUNCH_EPOLL_HANDLES : 1;

	lock_take(&c->handle_lock);
	for (uint32_t n = 0, i = LOAD(c->handle_hint); LOAD(c->handles) + weight <= max && n < HANDLES_MAX; n++, i = (i + 1) % HANDLES_MAX) {
		struct handle *h = &c->handle[i];
		if (__atomic_load_n(&h->refs, __ATOMIC_ACQUIRE))
			continue;
		h->fd = fd;
		h->kind = (uint16_t)kind;
		h->rights = (uint8_t)rights;
		__atomic_store_n(&h->closing, 0, __ATOMIC_RELAXED); /* handle_hold may look at any time */
		h->size_pages = 0;
		__atomic_store_n(&h->refs, 1, __ATOMIC_RELEASE);
		uint32_t used = __atomic_add_fetch(&c->handles, (uint32_t)weight, __ATOMIC_RELAXED);
		if (used > c->stats.handles_peak)
			__atomic_store_n(&c->stats.handles_peak, used, __ATOMIC_RELAXED);
		__atomic_store_n(&c->handle_hint, (i + 1) % HANDLES_MAX, __ATOMIC_RELAXED);
		if (i >= c->handle_end)
			c->handle_end = i + 1;
		number = i;
		break;
	}
	lock_give(&c->handle_lock);
	if (number < 0)
		host(__NR_close, fd);
	return number;
}

/* Takes a reference unless the entry is free or being closed. */
static bool handle_hold(struct handle *h)
{
	uint32_t refs = __atomic_load_n(&h->refs, __ATOMIC_ACQUIRE);

	while (refs && refs != HANDLE_RELEASING && !__atomic_load_n(&h->closing, __ATOMIC_ACQUIRE))
		if (__atomic_compare_exchange_n(&h->refs, &refs, refs + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

struct handle *handle_get(struct thread *t, uint64_t number, unsigned kinds)
{
	struct cvm *c = t->cvm;

	if (insecure(LAUNCH_INSECURE_NO_HANDLE_CHECK)) {
		c = &g_arena->cvm[(c->index + (number >> 32)) % g_arena->launch.cvms]; /* the attack test's control */
		number &= 0xffffffff;
	}
	if (number >= HANDLES_MAX)
		return error_pointer(-EBADF);
	struct handle *h = &c->handle[number];
	/* In a cVM with one context (call.c: whoever executes in it) nobody else can close the handle, so it needs no reference.
	 * One at a time is lent so. */
	bool lend = LOAD(c->threads) == 1 && (!t->lent || t->lent == h);
	if (lend ? !LOAD(h->refs) : !handle_hold(h))
		return error_pointer(-EBADF);
	if (lend)
		t->lent = h;
	if (h->kind & kinds)
		return h;
	handle_put(h);
	return error_pointer(-EBADF);
}

void handle_drop(struct handle *h)
{
	uint32_t refs = __atomic_load_n(&h->refs, __ATOMIC_RELAXED), next;

	do
		next = refs == 1 ? HANDLE_RELEASING : refs - 1;
	while (!__atomic_compare_exchange_n(&h->refs, &refs, next, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	if (refs == 1)
		handle_release(h);
}

int handle_close(struct cvm *c, uint64_t number)
{
	struct handle *h = &c->handle[number % HANDLES_MAX];

	if (number >= HANDLES_MAX || !handle_hold(h))
		return -EBADF;
	if (__atomic_exchange_n(&h->closing, 1, __ATOMIC_ACQ_REL)) {
		handle_drop(h); /* another thread closes it right now */
		return -EBADF;
	}
	handle_drop(h); /* ours */
	handle_drop(h); /* the table's */
	return 0;
}

/* No thread of the cVM runs any more. */
void handle_close_all(struct cvm *c)
{
	for (uint32_t i = 0; i < c->handle_end; i++)
		if (c->handle[i].refs) {
			c->handle[i].refs = 1;
			handle_release(&c->handle[i]);
		}
	c->handle_hint = c->handle_end = 0;
}
