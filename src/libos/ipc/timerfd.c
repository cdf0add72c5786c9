/*
 * timerfd over host timers: the handle is a host timerfd, so poll, epoll and blocking reads are the host's. The file's
 * data is the handle plus one. Called through file_ops and by sys_ipc.c.
 */
#include "core/hostcall.h"
#include "ipc/block.h"
#include "ipc/eventfd.h"
#include "process/turn.h"

#include <asm/poll.h>

#include <linux/timerfd.h>

static int timerfd_handle(struct file *f)
{
	return (int)(uintptr_t)f->data - 1;
}

static ssize_t timerfd_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	long ret;

	(void)pos;
	if (!count)
		return 0;
	do {
		turn_await(f, timerfd_handle(f), POLLIN);
		ret = count == 1 ? hostcall_blocking(HC_file_read, timerfd_handle(f), iov->iov_base, iov->iov_len) :
				   hostcall_blocking(HC_file_readv, timerfd_handle(f), iov, MIN(count, HC_IOV_MAX), -1);
	} while (retry_hostcall(&ret));
	return ret;
}

static int timerfd_set_flags(struct file *f, uint32_t flags)
{
	return (int)hostcall(HC_file_setfl, timerfd_handle(f), flags & O_NONBLOCK);
}

static void timerfd_release(struct file *f)
{
	(void)hostcall(HC_file_close, timerfd_handle(f));
}

static const struct file_ops g_timerfd_ops = {
	.name = "timerfd",
	.stat = anon_stat,
	.read = timerfd_read,
	.host_handle = timerfd_handle,
	.set_flags = timerfd_set_flags,
	.release = timerfd_release,
};

struct file *timerfd_create(int clock, uint32_t flags, int *error)
{
	long handle = hostcall(HC_timerfd_create, clock, flags & O_NONBLOCK);
	struct file *f;

	if (handle < 0) {
		*error = (int)handle;
		return NULL;
	}
	f = file_alloc(&g_timerfd_ops, O_RDWR | (flags & O_NONBLOCK), (void *)(uintptr_t)(handle + 1));
	if (!f) {
		(void)hostcall(HC_file_close, handle);
		*error = -ENOMEM;
	}
	return f;
}

int timerfd_settime(struct file *f, int flags, const struct itimerspec *new_value, struct itimerspec *old)
{
	if (f->ops != &g_timerfd_ops)
		return -EINVAL;
	return (int)hostcall(HC_timerfd_settime, timerfd_handle(f), flags, new_value, old);
}

int timerfd_gettime(struct file *f, struct itimerspec *now)
{
	if (f->ops != &g_timerfd_ops)
		return -EINVAL;
	return (int)hostcall(HC_timerfd_gettime, timerfd_handle(f), now);
}
