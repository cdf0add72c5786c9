/*
 * pipe(2), eventfd(2), timerfd_create(2), signalfd(2), pidfd_open(2) and relatives: arguments only; ipc/ does the work.
 */
#include "core/uaccess.h"
#include "ipc/eventfd.h"
#include "ipc/pipe.h"
#include "sys/syscalls.h"
#include "thread/clock.h"

#include <linux/signalfd.h>
#include <linux/timerfd.h>

#define MESSAGE_FLAGS ((unsigned)(O_CLOEXEC | O_NONBLOCK))

static long install(struct file *f, int err, unsigned flags)
{
	return f ? fd_install(f, 0, flags & O_CLOEXEC) : err;
}

static long do_pipe(int *user, unsigned flags)
{
	struct file *end[2];
	int fd[2], err;

	/* Direct I/O (packet mode) and notification pipes are not kept. */
	if (flags & ~MESSAGE_FLAGS)
		return -EINVAL;
	err = pipe_create(end, flags);
	if (err)
		return err;
	fd[0] = fd_install(end[0], 0, flags & O_CLOEXEC);
	if (fd[0] < 0) {
		file_put(end[1]);
		return fd[0];
	}
	fd[1] = fd_install(end[1], 0, flags & O_CLOEXEC);
	err = fd[1] < 0 ? fd[1] : copy_to_user(user, fd, sizeof(fd));
	if (err) {
		(void)!fd_close(fd[0]);
		if (fd[1] >= 0)
			(void)!fd_close(fd[1]);
	}
	return err;
}

long sys_pipe(struct regs *r)
{
	return do_pipe((int *)arg(r, 0), 0);
}

long sys_pipe2(struct regs *r)
{
	return do_pipe((int *)arg(r, 0), (unsigned)arg(r, 1));
}

static long do_eventfd(uint32_t initial, unsigned flags)
{
	int err = -EINVAL;

	if (flags & ~(MESSAGE_FLAGS | EFD_SEMAPHORE))
		return err;
	struct file *f = eventfd_create(initial, flags, &err);

	return install(f, err, flags);
}

long sys_eventfd(struct regs *r)
{
	return do_eventfd((uint32_t)arg(r, 0), 0);
}

long sys_eventfd2(struct regs *r)
{
	return do_eventfd((uint32_t)arg(r, 0), (unsigned)arg(r, 1));
}

/* Of a process, by its number: PIDFD_THREAD is refused as before Linux 6.9, the number of a thread as before 6.15. */
long sys_pidfd_open(struct regs *r)
{
	int pid = (int)arg(r, 0);
	unsigned flags = (unsigned)arg(r, 1);
	struct process *p, *owner;
	long ret = -ESRCH;

	if ((flags & ~(unsigned)O_NONBLOCK) || pid <= 0)
		return -EINVAL;
	p = process_find(pid);
	if (p) {
		ret = install(pidfd_create(p, flags), -ENOMEM, O_CLOEXEC);
	} else if ((owner = process_of_thread(pid))) {
		ret = -EINVAL;
		process_put(owner);
	}
	process_put(p);
	return ret;
}

long sys_timerfd_create(struct regs *r)
{
	unsigned flags = (unsigned)arg(r, 1);
	int err = -EINVAL;
	struct file *f;

	if (flags & ~MESSAGE_FLAGS)
		return err;
	f = timerfd_create((int)arg(r, 0), flags, &err);
	return install(f, err, flags);
}

long sys_timerfd_settime(struct regs *r)
{
	struct itimerspec new_value, old;
	struct file *f;
	int ret;

	if (!arg(r, 2))
		return -EFAULT;
	if (get_user(new_value, (void *)arg(r, 2)))
		return -EFAULT;
	if ((arg(r, 1) & ~(long)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) || !timespec_valid(&new_value.it_value) ||
	    !timespec_valid(&new_value.it_interval))
		return -EINVAL;
	f = fd_get_open((int)arg(r, 0));
	if (!f)
		return -EBADF;
	ret = timerfd_settime(f, (int)arg(r, 1), &new_value, &old);
	file_put(f);
	if (!ret && arg(r, 3))
		ret = copy_to_user((void *)arg(r, 3), &old, sizeof(old));
	return ret;
}

long sys_timerfd_gettime(struct regs *r)
{
	struct itimerspec now;
	struct file *f = fd_get_open((int)arg(r, 0));
	int ret;

	if (!f)
		return -EBADF;
	ret = timerfd_gettime(f, &now);
	file_put(f);
	return ret ? ret : copy_to_user((void *)arg(r, 1), &now, sizeof(now));
}

static long do_signalfd(int fd, const void *user_mask, size_t size, unsigned flags)
{
	sigmask_t mask;
	struct file *f;
	int err = -EINVAL;

	if ((flags & ~MESSAGE_FLAGS) || size != sizeof(mask))
		return -EINVAL;
	if (copy_from_user(&mask, user_mask, sizeof(mask)))
		return -EFAULT;
	if (fd == -1) {
		f = signalfd_create(mask, flags, &err);
		return install(f, err, flags);
	}
	f = fd_get_open(fd);
	if (!f)
		return -EBADF;
	err = signalfd_set_mask(f, mask);
	file_put(f);
	return err ? err : fd;
}

long sys_signalfd(struct regs *r)
{
	return do_signalfd((int)arg(r, 0), (const void *)arg(r, 1), (size_t)arg(r, 2), 0);
}

long sys_signalfd4(struct regs *r)
{
	return do_signalfd((int)arg(r, 0), (const void *)arg(r, 1), (size_t)arg(r, 2), (unsigned)arg(r, 3));
}
