/*
 * eventfd(2) as a libOS object: a counter, a lock and a wait queue. Called through file_ops; made by sys_ipc.c.
 */
#include "ipc/eventfd.h"
#include "core/kheap.h"
#include "ipc/block.h"
#include "ipc/iter.h"

#define COUNTER_MAX (UINT64_MAX - 1)

struct eventfd {
	struct mutex lock; /* count */
	uint64_t count;
	bool semaphore;
	struct waitq wait;
};

struct eventfd_io {
	struct eventfd *e;
	uint64_t value;
};

static ssize_t try_read(void *ctx)
{
	struct eventfd_io *io = ctx;
	struct eventfd *e = io->e;

	mutex_lock(&e->lock);
	io->value = e->semaphore ? e->count != 0 : e->count;
	e->count -= io->value;
	mutex_unlock(&e->lock);
	if (!io->value)
		return -EAGAIN;
	waitq_wake(&e->wait, EPOLLOUT | EPOLLWRNORM);
	return 8;
}

static ssize_t eventfd_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct eventfd_io io = { .e = f->data };
	struct iter it = iter_init(iov, count);
	ssize_t ret;

	(void)pos;
	if (it.left < 8)
		return -EINVAL;
	ret = try_read(&io);
	if (ret == -EAGAIN && !(f->flags & O_NONBLOCK))
		ret = block_until(&io.e->wait, BLOCK_READ, -1, try_read, &io);
	if (ret > 0 && iter_put(&it, &io.value, 8) < 8)
		return -EFAULT;
	return ret;
}

static ssize_t try_write(void *ctx)
{
	struct eventfd_io *io = ctx;
	struct eventfd *e = io->e;
	bool fits;

	mutex_lock(&e->lock);
	fits = io->value <= COUNTER_MAX - e->count;
	if (fits)
		e->count += io->value;
	mutex_unlock(&e->lock);
	if (!fits)
		return -EAGAIN;
	waitq_wake(&e->wait, EPOLLIN | EPOLLRDNORM);
	return 8;
}

static ssize_t write_one(struct file *f, const struct iovec *iov)
{
	struct eventfd_io io = { .e = f->data };
	struct iter it = iter_init(iov, 1);
	ssize_t ret;

	if (it.left != 8) /* since Linux 6.10 */
		return -EINVAL;
	if (iter_take(&it, &io.value, 8) < 8)
		return -EFAULT;
	if (io.value == UINT64_MAX)
		return -EINVAL;
	ret = try_write(&io);
	if (ret == -EAGAIN && !(f->flags & O_NONBLOCK))
		ret = block_until(&io.e->wait, BLOCK_WRITE, -1, try_write, &io);
	return ret;
}

/* Each piece is a number of its own. */
static ssize_t eventfd_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	ssize_t done = 0;

	(void)pos;
	if (!count)
		return -EINVAL;
	for (; count; iov++, count--) {
		ssize_t ret = write_one(f, iov);

		if (ret < 0)
			return done ? done : ret;
		done += ret;
	}
	return done;
}

static uint32_t eventfd_poll(struct file *f)
{
	struct eventfd *e = f->data;
	uint64_t count;

	mutex_lock(&e->lock);
	count = e->count;
	mutex_unlock(&e->lock);
	return (count ? EPOLLIN : 0u) | (count < COUNTER_MAX ? EPOLLOUT : 0u);
}

static struct waitq *eventfd_waitq(struct file *f)
{
	return &((struct eventfd *)f->data)->wait;
}

static void eventfd_release(struct file *f)
{
	kfree(f->data);
}

static const struct file_ops g_eventfd_ops = {
	.name = "eventfd",
	.stat = anon_stat,
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.waitq = eventfd_waitq,
	.release = eventfd_release,
};

struct file *eventfd_create(uint32_t initial, uint32_t flags, int *error)
{
	struct eventfd *e = kzalloc(sizeof(*e));
	struct file *f;

	*error = -ENOMEM;
	if (!e)
		return NULL;
	e->count = initial;
	e->semaphore = (flags & EFD_SEMAPHORE) != 0;
	waitq_init(&e->wait);
	f = file_alloc(&g_eventfd_ops, O_RDWR | (flags & O_NONBLOCK), e);
	if (!f)
		kfree(e);
	return f;
}
