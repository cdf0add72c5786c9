/*
 * signalfd(2): takes the caller's pending signals off the queue as data. Waits on the process's signal queue of waiters.
 * Called through file_ops and by sys_ipc.c.
 */
#include "core/kheap.h"
#include "ipc/block.h"
#include "ipc/eventfd.h"
#include "ipc/iter.h"

#include <linux/signalfd.h>

struct signalfd {
	sigmask_t mask; /* the signals it takes; atomic */
};

struct signalfd_io {
	struct file *f;
	siginfo_t info;
};

static void translate(struct signalfd_siginfo *out, const siginfo_t *in)
{
	memset(out, 0, sizeof(*out));
	out->ssi_signo = (uint32_t)in->si_signo;
	out->ssi_errno = in->si_errno;
	out->ssi_code = in->si_code;
	switch (in->si_signo) {
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
		out->ssi_addr = (uint64_t)in->si_addr;
		return;
	case SIGCHLD:
		out->ssi_status = in->si_status;
		out->ssi_utime = (uint64_t)in->si_utime;
		out->ssi_stime = (uint64_t)in->si_stime;
		break;
	}
	if (in->si_code == SI_TIMER) {
		out->ssi_tid = (uint32_t)in->si_tid;
		out->ssi_overrun = (uint32_t)in->si_overrun;
	} else {
		out->ssi_pid = (uint32_t)in->si_pid;
		out->ssi_uid = in->si_uid;
	}
	if (in->si_signo != SIGCHLD) {
		out->ssi_ptr = (uint64_t)in->si_ptr;
		out->ssi_int = in->si_int;
	}
}

static sigmask_t mask_of(const struct file *f)
{
	return __atomic_load_n(&((struct signalfd *)f->data)->mask, __ATOMIC_RELAXED);
}

static ssize_t try_read(void *ctx)
{
	struct signalfd_io *io = ctx;

	return signal_dequeue(mask_of(io->f), &io->info) ? 1 : -EAGAIN;
}

static ssize_t signalfd_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct signalfd_io io = { .f = f };
	struct iter it = iter_init(iov, count);
	struct signalfd_siginfo out;
	ssize_t total = 0, ret;

	(void)pos;
	if (it.left < sizeof(out))
		return -EINVAL;
	while (it.left >= sizeof(out)) {
		ret = try_read(&io);
		if (ret == -EAGAIN && !total && !(f->flags & O_NONBLOCK))
			ret = block_until(signal_waitq(current()->process), 0, -1, try_read, &io);
		if (ret < 0)
			return total ? total : ret;
		translate(&out, &io.info);
		if (iter_put(&it, &out, sizeof(out)) < sizeof(out))
			return total ? total : -EFAULT;
		total += (ssize_t)sizeof(out);
	}
	return total;
}

static uint32_t signalfd_poll(struct file *f)
{
	struct thread *t = current();
	sigmask_t pending;

	mutex_lock(&t->process->signals.lock);
	pending = t->signals.pending.set | t->process->signals.pending.set;
	mutex_unlock(&t->process->signals.lock);
	return pending & mask_of(f) ? EPOLLIN : 0;
}

static struct waitq *signalfd_waitq(struct file *f)
{
	(void)f;
	return signal_waitq(current()->process);
}

static void signalfd_release(struct file *f)
{
	kfree(f->data);
}

static const struct file_ops g_signalfd_ops = {
	.name = "signalfd",
	.stat = anon_stat,
	.read = signalfd_read,
	.poll = signalfd_poll,
	.waitq = signalfd_waitq,
	.release = signalfd_release,
};

static sigmask_t allowed(sigmask_t mask)
{
	return mask & ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP));
}

struct file *signalfd_create(sigmask_t mask, uint32_t flags, int *error)
{
	struct signalfd *s = kzalloc(sizeof(*s));
	struct file *f;

	*error = -ENOMEM;
	if (!s)
		return NULL;
	s->mask = allowed(mask);
	f = file_alloc(&g_signalfd_ops, O_RDWR | (flags & O_NONBLOCK), s);
	if (!f)
		kfree(s);
	return f;
}

struct process *signalfd_owner(const struct file *f)
{
	return f->ops == &g_signalfd_ops ? process_get(current()->process) : NULL;
}

int signalfd_set_mask(struct file *f, sigmask_t mask)
{
	if (f->ops != &g_signalfd_ops)
		return -EINVAL;
	__atomic_store_n(&((struct signalfd *)f->data)->mask, allowed(mask), __ATOMIC_RELAXED);
	waitq_wake(signal_waitq(current()->process), 0);
	return 0;
}
