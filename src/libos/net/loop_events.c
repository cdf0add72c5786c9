/*
 * BOOT_EVENTS_DEVICE (abi/boot.h): events of capabilities that the program holds itself, for libcvm's cp_poll. Sockets that
 * are connections to other cVMs use the same bits and the same doorbell, so one place fetches them: loop_poll.c, which gives
 * here what is nobody's there.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "ipc/block.h"
#include "net/loop.h"

/* What one opener has not read yet: a process of the cVM does not take from another what both wait for. */
struct events {
	struct list link; /* g_events.openers */
	uint64_t bits[CAPS_MAX / 64];
	bool any; /* atomic: poll looks without the lock */
};

static struct {
	struct mutex lock; /* openers, and what they have */
	struct list openers;
	struct waitq wait;
} g_events = { .openers = LIST_INIT(g_events.openers), .wait = { .waiters = LIST_INIT(g_events.wait.waiters) } };

void loop_events_note(uint32_t index)
{
	if (list_empty(&g_events.openers)) /* who opens it now looks at everything first */
		return;
	mutex_lock(&g_events.lock);
	list_for_each(pos, &g_events.openers) {
		struct events *e = list_entry(pos, struct events, link);

		e->bits[index / 64] |= 1ull << (index % 64);
		__atomic_store_n(&e->any, true, __ATOMIC_RELAXED);
	}
	mutex_unlock(&g_events.lock);
	waitq_wake(&g_events.wait, EPOLLIN | EPOLLRDNORM);
}

static ssize_t events_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct events *e = f->data;
	uint64_t bits[CAPS_MAX / 64];
	bool any;

	(void)pos;
	if (!count || iov->iov_len < sizeof(bits))
		return -EINVAL;
	loop_collect();
	mutex_lock(&g_events.lock);
	any = e->any;
	memcpy(bits, e->bits, sizeof(bits));
	memset(e->bits, 0, sizeof(bits));
	__atomic_store_n(&e->any, false, __ATOMIC_RELAXED);
	mutex_unlock(&g_events.lock);
	return !any ? 0 : copy_to_buffer(iov->iov_base, bits, sizeof(bits)) ? -EFAULT : (ssize_t)sizeof(bits);
}

static uint32_t events_poll(struct file *f)
{
	return __atomic_load_n(&((struct events *)f->data)->any, __ATOMIC_RELAXED) ? EPOLLIN | EPOLLRDNORM : 0;
}

static struct waitq *events_waitq(struct file *f)
{
	(void)f;
	return &g_events.wait;
}

static void events_release(struct file *f)
{
	struct events *e = f->data;

	mutex_lock(&g_events.lock);
	list_remove(&e->link);
	mutex_unlock(&g_events.lock);
	kfree(e);
	__atomic_sub_fetch(&g_loop_count, 1, __ATOMIC_SEQ_CST);
}

const struct file_ops g_loop_events_ops = { .name = "cvm", .read = events_read, .poll = events_poll, .waitq = events_waitq,
					    .stat = anon_stat, .release = events_release };

struct file *loop_events_open(int flags, int *error)
{
	struct events *e = kzalloc(sizeof(*e));
	struct file *f = e ? file_alloc(&g_loop_events_ops, (uint32_t)flags, e) : NULL;

	*error = -ENOMEM;
	if (!f) {
		kfree(e);
		return NULL;
	}
	mutex_lock(&g_events.lock);
	list_append(&g_events.openers, &e->link);
	mutex_unlock(&g_events.lock);
	loop_one_more(); /* loop_active: waits include the doorbell */
	return f;
}
