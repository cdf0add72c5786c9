/*
 * pidfd_open(2) of the process itself, the only one there is: a name for it to send signals by. It would become readable
 * when the process has ended, which nobody in it sees. Made by sys_ipc.c, used by sys_signal.c.
 */
#include "ipc/block.h"
#include "ipc/eventfd.h"

static struct waitq g_never = { .waiters = LIST_INIT(g_never.waiters) };

static uint32_t pidfd_poll(struct file *f)
{
	(void)f;
	return 0;
}

static struct waitq *pidfd_waitq(struct file *f)
{
	(void)f;
	return &g_never;
}

static const struct file_ops g_pidfd_ops = {
	.name = "pidfd",
	.stat = anon_stat,
	.poll = pidfd_poll,
	.waitq = pidfd_waitq,
};

struct file *pidfd_create(uint32_t flags)
{
	return file_alloc(&g_pidfd_ops, O_RDWR | (flags & O_NONBLOCK), NULL);
}

bool is_pidfd(const struct file *f)
{
	return f->ops == &g_pidfd_ops;
}
