/* System calls about descriptors themselves: dup, fcntl, flock, ioctl. */
#include "core/uaccess.h"
#include "fs/hostfile.h"
#include "fs/memfs.h"
#undef PIPE_BUF /* of <linux/limits.h> */
#include "ipc/pipe.h"
#include "net/socket.h"
#include "sys/syscalls.h"
#include "thread/isolated.h"
#include <asm/ioctls.h>
#include <linux/sockios.h>

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY (F_LINUX_SPECIFIC_BASE + 3)
#endif
#define SETFL_MASK (O_APPEND | O_NONBLOCK | FASYNC | O_DIRECT | O_NOATIME)

long sys_dup(struct regs *r)
{
	struct file *f = fd_get((int)arg(r, 0));

	return f ? fd_install(f, 0, false) : -EBADF;
}

static long dup_to(int from, int to, bool cloexec)
{
	struct file *f = fd_get(from);

	return f ? fd_replace(f, to, cloexec) : -EBADF;
}

long sys_dup2(struct regs *r)
{
	int from = (int)arg(r, 0), to = (int)arg(r, 1);

	if (from == to)
		return fd_get_cloexec(from) < 0 ? -EBADF : to;
	return dup_to(from, to, false);
}

long sys_dup3(struct regs *r)
{
	int from = (int)arg(r, 0), to = (int)arg(r, 1), flags = (int)arg(r, 2);

	if (from == to || (flags & ~O_CLOEXEC))
		return -EINVAL;
	return dup_to(from, to, flags & O_CLOEXEC);
}

static int set_flags(struct file *f, uint32_t wanted)
{
	uint32_t flags = (f->flags & ~(uint32_t)SETFL_MASK) | (wanted & SETFL_MASK);
	int err = f->ops->set_flags ? f->ops->set_flags(f, flags) : 0;

	if (!err)
		f->flags = flags;
	return err;
}

/* A record lock that another thread closed the descriptor of meanwhile would be nobody's to give back: it goes again. */
static long keep_lock(struct file *f, int fd, int cmd, struct flock *lk)
{
	struct file *now;
	bool same;

	if (lk->l_type == F_UNLCK || (cmd != F_SETLK && cmd != F_SETLKW))
		return 0;
	now = fd_get(fd);
	same = now == f;
	if (now)
		file_put(now);
	if (same)
		return 0;
	lk->l_type = F_UNLCK;
	(void)!f->ops->lock(f, F_SETLK, lk);
	return -EBADF;
}

static long do_lock(struct file *f, int fd, int cmd, struct flock *user)
{
	bool get = cmd == F_GETLK || cmd == F_OFD_GETLK;
	struct flock lk, asked;
	long err;

	if (!in_program(user) || copy_from_user(&lk, user, sizeof lk))
		return -EFAULT;
	if (cmd >= F_OFD_GETLK && lk.l_pid)
		return -EINVAL;
	if (lk.l_type != F_RDLCK && lk.l_type != F_WRLCK && (lk.l_type != F_UNLCK || cmd == F_GETLK))
		return -EINVAL;
	asked = lk;
	err = f->ops->lock ? 0 : lock_make_absolute(f, &lk);
	if (err)
		return err;
	if (!f->ops->lock && !get && lk.l_type != F_UNLCK && (f->flags & O_ACCMODE) == (lk.l_type == F_RDLCK ? O_WRONLY : O_RDONLY))
		return -EBADF;
	if (!f->ops->lock) {
		lk.l_type = F_UNLCK;
		err = 0;
	} else {
		err = f->ops->lock(f, cmd, &lk);
		if (!err)
			err = keep_lock(f, fd, cmd, &lk);
	}
	if (!err && get && lk.l_type == F_UNLCK) { /* nothing in the way: all else stays as it was asked */
		lk = asked;
		lk.l_type = F_UNLCK;
	}
	if (!err && get)
		err = copy_to_user(user, &lk, sizeof lk);
	return err;
}

static long duplicate(struct file *f, unsigned long min, bool cloexec)
{
	if (min >= fd_limit())
		return -EINVAL;
	file_get(f);
	return fd_install(f, (int)min, cloexec);
}

static bool owner_there(int type, int32_t number)
{
	struct process *p;

	if (type == F_OWNER_PGRP)
		return process_session_of_group(number) != 0;
	p = type == F_OWNER_TID ? process_of_thread(number) : process_find(number);
	process_put(p);
	return p != NULL;
}

/* Who is to get SIGIO and SIGURG. */
static long set_owner(struct file *f, int type, int32_t number)
{
	if (type != F_OWNER_TID && type != F_OWNER_PID && type != F_OWNER_PGRP)
		return -EINVAL;
	if (number && (number < 0 || !owner_there(type, number)))
		return -ESRCH;
	f->owner_type = (uint8_t)type;
	f->owner = number;
	return 0;
}

static long owner_call(struct file *f, int cmd, unsigned long value)
{
	struct f_owner_ex owner, *user = (void *)value;
	int32_t who = (int32_t)value;

	if ((cmd == F_SETOWN_EX || cmd == F_GETOWN_EX) && !in_program(user))
		return -EFAULT;
	switch (cmd) {
	case F_SETOWN:
		if (who == INT32_MIN)
			return -EINVAL;
		return set_owner(f, who < 0 ? F_OWNER_PGRP : F_OWNER_PID, who < 0 ? -who : who);
	case F_SETOWN_EX:
		return get_user(owner, user) ? -EFAULT : set_owner(f, owner.type, owner.pid);
	}
	owner.type = f->owner_type;
	owner.pid = f->owner && owner_there(f->owner_type, f->owner) ? f->owner : 0;
	if (cmd == F_GETOWN)
		return owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid;
	return put_user(owner, user) ? -EFAULT : 0;
}

static long is_same_file(struct file *f, int fd)
{
	struct file *other = fd_get(fd);

	if (!other)
		return -EBADF;
	file_put(other);
	return other == f;
}

static long do_fcntl(struct file *f, int fd, int cmd, unsigned long value)
{
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return duplicate(f, value, cmd == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return fd_get_cloexec(fd);
	case F_SETFD:
		return fd_set_cloexec(fd, value & FD_CLOEXEC);
	case F_GETFL:
		return f->flags;
	case F_DUPFD_QUERY:
		return is_same_file(f, (int)value);
	}
	if (f->flags & O_PATH)
		return -EBADF;
	switch (cmd) {
	case F_SETFL:
		return set_flags(f, (uint32_t)value);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return do_lock(f, fd, cmd, (struct flock *)value);
	case F_SETOWN:
	case F_GETOWN:
	case F_SETOWN_EX:
	case F_GETOWN_EX:
		return owner_call(f, cmd, value);
	case F_SETSIG:
		if (value > SIGNAL_COUNT)
			return -EINVAL;
		f->owner_signal = (uint8_t)value;
		return 0;
	case F_GETSIG:
		return f->owner_signal;
	case F_GETPIPE_SZ:
		return pipe_get_size(f);
	case F_SETPIPE_SZ:
		return pipe_set_size(f, value);
	case F_ADD_SEALS:
	case F_GET_SEALS:
		return memfile_seals(f, cmd, value);
	case F_GETLEASE:
		return F_UNLCK;
	default:
		return -EINVAL;
	}
}

long sys_fcntl(struct regs *r)
{
	struct file *f = fd_get((int)arg(r, 0));
	long ret;

	if (!f)
		return -EBADF;
	ret = do_fcntl(f, (int)arg(r, 0), (int)arg(r, 1), (unsigned long)arg(r, 2));
	file_put(f);
	return ret;
}

long sys_flock(struct regs *r)
{
	struct file *f = fd_get((int)arg(r, 0));
	int op = (int)arg(r, 1), kind = op & ~LOCK_NB;
	long ret;

	if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN)
		ret = -EINVAL;
	else if (!f || (f->flags & O_PATH))
		ret = -EBADF;
	else
		ret = f->ops->flock ? f->ops->flock(f, op) : 0;
	if (f)
		file_put(f);
	return ret;
}

static long do_ioctl(struct file *f, int fd, unsigned long request, void *user)
{
	int on;

	switch (request) {
	case FIOCLEX:
		return fd_set_cloexec(fd, true);
	case FIONCLEX:
		return fd_set_cloexec(fd, false);
	}
	if (!in_program(user))
		return -EFAULT;
	switch (request) {
	case FIONBIO:
		if (get_user(on, (int *)user))
			return -EFAULT;
		return set_flags(f, on ? f->flags | O_NONBLOCK : f->flags & ~(uint32_t)O_NONBLOCK);
	case FIOASYNC:
		return 0;
	default:
		if (request >= SIOCGIFNAME && request <= SIOCGIFINDEX && socket_of(f))
			return interface_ioctl(request, user);
		return f->ops->ioctl ? f->ops->ioctl(f, request, user) : -ENOTTY;
	}
}

long sys_ioctl(struct regs *r)
{
	struct file *f = fd_get((int)arg(r, 0));
	long ret;

	if (!f)
		return -EBADF;
	ret = f->flags & O_PATH ? -EBADF : do_ioctl(f, (int)arg(r, 0), (unsigned long)(uint32_t)arg(r, 1), (void *)arg(r, 2));
	file_put(f);
	return ret;
}
