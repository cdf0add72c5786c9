/*
 * epoll_create(2), epoll_ctl(2), epoll_wait(2) and relatives: arguments only; fs/epoll.c does the work.
 */
#include "core/uaccess.h"
#include "fs/epoll.h"
#include "sys/syscalls.h"
#include "sys/wait_args.h"

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
	epf = fd_get_open((int)arg(r, 0));
	if (!epf)
		return -EBADF;
	f = fd_get_open(fd);
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

	f = fd_get_open((int)arg(r, 0));
	if (!f)
		return -EBADF;
	ep = max <= 0 || max > EVENTS_MAX ? NULL : epoll_of(f);
	if (ep)
		ret = epoll_wait_events(ep, (struct epoll_event *)arg(r, 1), max, timeout);
	file_put(f);
	return ret;
}

static int64_t ms_timeout(long ms)
{
	return (int)ms < 0 ? -1 : (int64_t)(int)ms * 1000000;
}

long sys_epoll_wait(struct regs *r)
{
	return wait_on(r, ms_timeout(arg(r, 3)));
}

long sys_epoll_pwait(struct regs *r)
{
	int err = wait_mask((const void *)arg(r, 4), (size_t)arg(r, 5));

	return err ? err : wait_mask_end(wait_on(r, ms_timeout(arg(r, 3))));
}

long sys_epoll_pwait2(struct regs *r)
{
	int64_t timeout;
	int err = wait_timeout((const struct timespec *)arg(r, 3), &timeout);

	if (!err)
		err = wait_mask((const void *)arg(r, 4), (size_t)arg(r, 5));
	return err ? err : wait_mask_end(wait_on(r, timeout));
}
