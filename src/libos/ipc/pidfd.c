/*
 * pidfd_open(2): a name for a process, to send signals by and to wait for: readable when it has ended. Made by sys_ipc.c
 * and process/clone.c, used by sys_signal.c and sys_process.c.
 */
#include "ipc/block.h"
#include "ipc/eventfd.h"

static uint32_t pidfd_poll(struct file *f)
{
	struct process *p = f->data;

	return __atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == PROCESS_RUNS ? 0 : EPOLLIN | EPOLLRDNORM;
}

static struct waitq *pidfd_waitq(struct file *f)
{
	return &((struct process *)f->data)->ended;
}

static void pidfd_release(struct file *f)
{
	process_put(f->data);
}

static const struct file_ops g_pidfd_ops = {
	.name = "pidfd",
	.stat = anon_stat,
	.poll = pidfd_poll,
	.waitq = pidfd_waitq,
	.release = pidfd_release,
};

struct file *pidfd_create(struct process *p, uint32_t flags)
{
	struct file *f = file_alloc(&g_pidfd_ops, O_RDWR | (flags & O_NONBLOCK), p);

	if (f)
		process_get(p);
	return f;
}

struct process *pidfd_process(const struct file *f)
{
	return f->ops == &g_pidfd_ops ? f->data : NULL;
}
