/*
 * epoll_create(2), epoll_ctl(2), epoll_wait(2) and relatives: arguments only; fs/epoll.c does the work.
 */
#include "core/uaccess.h"
#include "fs/epoll.h"
#include "sys/syscalls.h"

#define EVENTS_MAX ((int)(INT32_MAX / sizeof(struct epoll_event)))

static long create(bool cloexec)
{
	int err;
	struct file *f = epoll_create_file(&err);

	return f ? fd_install(f, 0, cloexec) : err;
}

long sys_epoll_create(struct regs *r)
{
	return (int)arg(r, 0) > 0 ? create(false) : -EINVAL;
}

long sys_epoll_create1(struct regs *r)
{
	unsigned flags = (unsigned)arg(r, 0);

	return flags & ~(unsigned)EPOLL_CLOEXEC ? -EINVAL : create(flags & EPOLL_CLOEXEC);
}

long sys_epoll_ctl(struct regs *r)
{
	struct epoll_event event = { 0 };
	int op = (int)arg(r, 1), fd = (int)arg(r, 2);
	struct file *epf, *f;
	long ret = -EBADF;

	if (op != EPOLL_CTL_DEL && copy_from_user(&event, (const void *)arg(r, 3), sizeof(event)))
		return -EFAULT;
	epf = fd_get((int)arg(r, 0));
	if (!epf)
		return -EBADF;
	f = fd_get(fd);
	if (f) {
		ret = epoll_control(epf, op, fd, f, &event);
		file_put(f);
	}
	file_put(epf);
	return ret;
}

static long wait_on(struct regs *r, int64_t timeout)
{
	int max = (int)arg(r, 2);
	struct file *f;
	struct epoll *ep;
	long ret = -EINVAL;

	if (max <= 0 || max > EVENTS_MAX)
		return -EINVAL;
	f = fd_get((int)arg(r, 0));
	if (!f)
		return -EBADF;
	ep = epoll_of(f);
	if (ep)
		ret = epoll_wait_events(ep, (struct epoll_event *)arg(r, 1), max, timeout);
	file_put(f);
	return ret;
}

static int64_t ms_timeout(long ms)
{
	return (int)ms < 0 ? -1 : (int64_t)(int)ms * 1000000;
}

static int temporary_mask(const void *user, size_t size)
{
	sigmask_t mask;

	if (!user)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (copy_from_user(&mask, user, sizeof(mask)))
		return -EFAULT;
	signal_set_temporary_mask(mask);
	return 0;
}

long sys_epoll_wait(struct regs *r)
{
	return wait_on(r, ms_timeout(arg(r, 3)));
}

long sys_epoll_pwait(struct regs *r)
{
	int err = temporary_mask((const void *)arg(r, 4), (size_t)arg(r, 5));

	return err ? err : wait_on(r, ms_timeout(arg(r, 3)));
}

long sys_epoll_pwait2(struct regs *r)
{
	const void *user_timeout = (const void *)arg(r, 3);
	int64_t timeout = -1;
	struct timespec ts;
	int err;

	if (user_timeout) {
		if (copy_from_user(&ts, user_timeout, sizeof(ts)))
			return -EFAULT;
		if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= NSEC_PER_SEC)
			return -EINVAL;
		timeout = MIN(ts.tv_sec, (int64_t)1 << 32) * NSEC_PER_SEC + ts.tv_nsec;
	}
	err = temporary_mask((const void *)arg(r, 4), (size_t)arg(r, 5));
	return err ? err : wait_on(r, timeout);
}
