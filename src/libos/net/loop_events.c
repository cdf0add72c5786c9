/*
 * BOOT_EVENTS_DEVICE (abi/boot.h): events of capabilities that the program holds itself, for libcvm's cp_poll. Sockets that
 * are connections to other cVMs use the same bits and the same doorbell, so one place fetches them: loop_poll.c, which gives
 * here what is nobody's there.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "ipc/block.h"
#include "net/loop.h"

static struct {
	struct mutex lock; /* bits, any */
	uint64_t bits[CAPS_MAX / 64];
	bool any;
	unsigned open; /* atomic */
	struct waitq wait;
} g_events;

void loop_events_note(uint32_t index)
{
	if (!__atomic_load_n(&g_events.open, __ATOMIC_RELAXED))
		return;
	mutex_lock(&g_events.lock);
	g_events.bits[index / 64] |= 1ull << (index % 64);
	g_events.any = true;
	mutex_unlock(&g_events.lock);
	waitq_wake(&g_events.wait, EPOLLIN | EPOLLRDNORM);
}

static ssize_t events_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	uint64_t bits[CAPS_MAX / 64];
	bool any;

	(void)f, (void)pos;
	if (!count || iov->iov_len < sizeof(bits))
		return -EINVAL;
	loop_collect();
	mutex_lock(&g_events.lock);
	any = g_events.any;
	if (any) {
		memcpy(bits, g_events.bits, sizeof(bits));
		memset(g_events.bits, 0, sizeof(bits));
		g_events.any = false;
	}
	mutex_unlock(&g_events.lock);
	return !any ? 0 : copy_to_buffer(iov->iov_base, bits, sizeof(bits)) ? -EFAULT : (ssize_t)sizeof(bits);
}

static uint32_t events_poll(struct file *f)
{
	(void)f;
	return __atomic_load_n(&g_events.any, __ATOMIC_RELAXED) ? EPOLLIN | EPOLLRDNORM : 0;
}

static struct waitq *events_waitq(struct file *f)
{
	(void)f;
	return &g_events.wait;
}

static void events_release(struct file *f)
{
	(void)f;
	__atomic_sub_fetch(&g_events.open, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&g_loop_count, 1, __ATOMIC_SEQ_CST);
}

const struct file_ops g_loop_events_ops = { .name = "cvm", .read = events_read, .poll = events_poll, .waitq = events_waitq,
					    .stat = anon_stat, .release = events_release };

struct file *loop_events_open(int flags, int *error)
{
	static uint32_t initialized;
	struct file *f = file_alloc(&g_loop_events_ops, (uint32_t)flags, NULL);

	*error = -ENOMEM;
	if (!f)
		return NULL;
	mutex_lock(&g_events.lock);
	if (!initialized)
		waitq_init(&g_events.wait);
	initialized = 1;
	mutex_unlock(&g_events.lock);
	__atomic_add_fetch(&g_events.open, 1, __ATOMIC_RELAXED);
	loop_one_more(); /* loop_active: waits include the doorbell */
	return f;
}
