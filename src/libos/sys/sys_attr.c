/*
 * System calls that change attributes and sizes: chmod, chown, utimes, truncate, fallocate, and the sync family; and
 * those that are refused.
 */
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "fs/hostfile.h"
#include "fs/inotify.h"
#include "fs/limit.h"
#include "fs/memfs.h"
#include "ipc/mqueue.h"
#include "sys/syscalls.h"
#include <linux/falloc.h>

static int attr_path(int dirfd, const char *user_path, unsigned walk_flags, const struct attr *a)
{
	struct walk w;
	int err = path_walk_user(&w, dirfd, user_path, walk_flags);

	if (err)
		return err;
	if (!w.dentry)
		err = w.file->dentry ? dentry_setattr(w.file->dentry, a) : 0;
	else if ((a->valid & ATTR_MODE) && is_link(w.dentry->inode))
		err = -EOPNOTSUPP;
	else
		err = dentry_setattr(w.dentry, a);
	walk_done(&w);
	return err;
}

static int attr_file(struct file *f, const struct attr *a)
{
	int err;

	if (f->ops == &g_mqueue_ops)
		return mqueue_setattr(f, a);
	if (f->ops == &memfile_ops && !f->dentry)
		return mem_setattr(f->data, a);
	if (!f->dentry)
		return f->ops == &stream_ops ? -EPERM : 0;
	if ((a->valid & ATTR_MODE) && is_link(f->dentry->inode))
		return -EOPNOTSUPP;
	if (f->dentry->mount->read_only)
		return -EROFS;
	if (!hostfile_is_named(f))
		return dentry_setattr(f->dentry, a);
	err = host_set_attr(hostfile_handle(f), a); /* the right object even if the name is gone */
	if (!err)
		notify_attributes(f->dentry, a->valid);
	return err;
}

static int attr_fd(int fd, const struct attr *a)
{
	struct file *f = fd_get_open(fd);
	int err;

	if (!f)
		return -EBADF;
	err = attr_file(f, a);
	file_put(f);
	return err;
}

/* For the at-calls: an open descriptor named by an empty path is like fchmod and the like, O_PATH ones included. */
static int attr_at(int dirfd, const char *path, int flags, const struct attr *a)
{
	struct file *f;
	char first;
	int err;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!(flags & AT_EMPTY_PATH) || dirfd == AT_FDCWD || (path && !get_user(first, path) && first))
		return attr_path(dirfd, path, (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0), a);
	if (path && get_user(first, path))
		return -EFAULT;
	f = fd_get(dirfd);
	if (!f)
		return -EBADF;
	err = attr_file(f, a);
	file_put(f);
	return err;
}

static struct attr mode_attr(long mode)
{
	return (struct attr){ .valid = ATTR_MODE, .mode = (uint32_t)mode & 07777 };
}

long sys_chmod(struct regs *r)
{
	struct attr a = mode_attr(arg(r, 1));

	return attr_path(AT_FDCWD, (const char *)arg(r, 0), WALK_FOLLOW, &a);
}

long sys_fchmod(struct regs *r)
{
	struct attr a = mode_attr(arg(r, 1));

	return attr_fd((int)arg(r, 0), &a);
}

long sys_fchmodat(struct regs *r)
{
	struct attr a = mode_attr(arg(r, 2));

	return attr_path((int)arg(r, 0), (const char *)arg(r, 1), WALK_FOLLOW, &a);
}

long sys_fchmodat2(struct regs *r)
{
	struct attr a = mode_attr(arg(r, 2));

	return attr_at((int)arg(r, 0), (const char *)arg(r, 1), (int)arg(r, 3), &a);
}

static struct attr owner_attr(long uid, long gid)
{
	struct attr a = { .uid = (uint32_t)uid, .gid = (uint32_t)gid };

	a.valid = ATTR_OWNER | (a.uid != UINT32_MAX ? ATTR_UID : 0) | (a.gid != UINT32_MAX ? ATTR_GID : 0);
	return a;
}

long sys_chown(struct regs *r)
{
	struct attr a = owner_attr(arg(r, 1), arg(r, 2));

	return attr_path(AT_FDCWD, (const char *)arg(r, 0), WALK_FOLLOW, &a);
}

long sys_lchown(struct regs *r)
{
	struct attr a = owner_attr(arg(r, 1), arg(r, 2));

	return attr_path(AT_FDCWD, (const char *)arg(r, 0), 0, &a);
}

long sys_fchown(struct regs *r)
{
	struct attr a = owner_attr(arg(r, 1), arg(r, 2));

	return attr_fd((int)arg(r, 0), &a);
}

long sys_fchownat(struct regs *r)
{
	struct attr a = owner_attr(arg(r, 2), arg(r, 3));

	return attr_at((int)arg(r, 0), (const char *)arg(r, 1), (int)arg(r, 4), &a);
}

/* What utimensat(2) means by its two times; NULL is now. */
static int times_attr(struct attr *a, const struct timespec *times)
{
	struct timespec now;

	current_time(&now);
	*a = (struct attr){ .valid = ATTR_ATIME | ATTR_MTIME, .times = { now, now } };
	for (int i = 0; times && i < 2; i++) {
		if (times[i].tv_nsec == UTIME_OMIT)
			a->valid &= i ? ~ATTR_MTIME : ~ATTR_ATIME;
		else if (times[i].tv_nsec < 0 || (times[i].tv_nsec >= NSEC_PER_SEC && times[i].tv_nsec != UTIME_NOW))
			return -EINVAL;
		else if (times[i].tv_nsec != UTIME_NOW)
			a->times[i] = times[i];
	}
	return 0;
}

static long do_utimes(int dirfd, const char *path, const struct timespec *times, int flags)
{
	struct attr a;
	int wrong = times_attr(&a, times);

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!wrong && !a.valid && path)
		return 0;
	if (wrong) /* only after the file was found */
		a.valid = 0;
	if (!path && (dirfd == AT_FDCWD || flags))
		return dirfd == AT_FDCWD ? -EFAULT : -EINVAL;
	int err = path ? attr_at(dirfd, path, flags, &a) : attr_fd(dirfd, &a);
	return err ? err : wrong;
}

long sys_utimensat(struct regs *r)
{
	struct timespec times[2];

	if (arg(r, 2) && copy_from_user(times, (void *)arg(r, 2), sizeof times))
		return -EFAULT;
	return do_utimes((int)arg(r, 0), (const char *)arg(r, 1), arg(r, 2) ? times : NULL, (int)arg(r, 3));
}

/* struct timeval[2] */
static long microsecond_times(int dirfd, const char *path, const int64_t *user)
{
	int64_t tv[4];
	struct timespec times[2];

	if (!user)
		return do_utimes(dirfd, path, NULL, 0);
	if (copy_from_user(tv, user, sizeof tv))
		return -EFAULT;
	for (int i = 0; i < 2; i++) {
		if (tv[2 * i + 1] < 0 || tv[2 * i + 1] >= 1000000)
			return -EINVAL;
		times[i] = (struct timespec){ tv[2 * i], tv[2 * i + 1] * 1000 };
	}
	return do_utimes(dirfd, path, times, 0);
}

long sys_utimes(struct regs *r)
{
	return microsecond_times(AT_FDCWD, (const char *)arg(r, 0), (const int64_t *)arg(r, 1));
}

long sys_futimesat(struct regs *r)
{
	return microsecond_times((int)arg(r, 0), (const char *)arg(r, 1), (const int64_t *)arg(r, 2));
}

long sys_utime(struct regs *r)
{
	struct timespec times[2] = { 0 };
	int64_t seconds[2];

	if (!arg(r, 1))
		return do_utimes(AT_FDCWD, (const char *)arg(r, 0), NULL, 0);
	if (copy_from_user(seconds, (void *)arg(r, 1), sizeof seconds))
		return -EFAULT;
	times[0].tv_sec = seconds[0];
	times[1].tv_sec = seconds[1];
	return do_utimes(AT_FDCWD, (const char *)arg(r, 0), times, 0);
}

/* Whether RLIMIT_FSIZE lets the file, or what is at `d`, become so large. */
static int may_become(struct file *f, struct dentry *d, off_t size)
{
	struct statx st;

	if (!g_file_limits || (f ? file_stat(f, &st) : dentry_getattr(d, &st)) || !S_ISREG(st.stx_mode))
		return 0;
	return grow_within_limit((off_t)st.stx_size, size);
}

/* Through the magic link of a file that has no path, or none any more. */
static int truncate_open(struct file *f, off_t size)
{
	struct statx st;
	int err = file_stat(f, &st);

	if (err)
		return err;
	if (!S_ISREG(st.stx_mode) || !f->ops->truncate)
		return S_ISDIR(st.stx_mode) ? -EISDIR : -EINVAL;
	if (f->ops == &hostfile_ops && (f->flags & O_ACCMODE) == O_RDONLY) /* no other can be opened */
		return -EACCES;
	err = may_become(f, NULL, size);
	return err ? err : f->ops->truncate(f, size);
}

long sys_truncate(struct regs *r)
{
	struct attr a = { .valid = ATTR_SIZE, .size = arg(r, 1) };
	struct walk w;
	int err;

	if (a.size < 0)
		return -EINVAL;
	err = path_walk_user(&w, AT_FDCWD, (const char *)arg(r, 0), WALK_FOLLOW);
	if (err)
		return err;
	if (!w.dentry)
		err = truncate_open(w.file, a.size);
	else if (!is_regular(w.dentry->inode))
		err = is_dir(w.dentry->inode) ? -EISDIR : -EINVAL;
	else if (!(err = may_become(NULL, w.dentry, a.size)))
		err = dentry_setattr(w.dentry, &a);
	walk_done(&w);
	return err;
}

long sys_ftruncate(struct regs *r)
{
	struct file *f = fd_get_open((int)arg(r, 0));
	long err;

	if (arg(r, 1) < 0) {
		if (f)
			file_put(f);
		return -EINVAL;
	}
	if (!f)
		return -EBADF;
	if (!f->ops->truncate || (f->flags & O_ACCMODE) == O_RDONLY)
		err = -EINVAL;
	else if (!(err = may_become(f, NULL, arg(r, 1))))
		err = f->ops->truncate(f, arg(r, 1));
	if (!err)
		notify_dentry(f->dentry, IN_MODIFY);
	file_put(f);
	return err;
}

static bool fallocate_known(int mode)
{
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
	case FALLOC_FL_UNSHARE_RANGE:
	case FALLOC_FL_ZERO_RANGE:
		return true;
	case FALLOC_FL_PUNCH_HOLE:
		return mode & FALLOC_FL_KEEP_SIZE;
	case FALLOC_FL_COLLAPSE_RANGE:
	case FALLOC_FL_INSERT_RANGE:
		return !(mode & FALLOC_FL_KEEP_SIZE);
	default:
		return false;
	}
}

static long fallocate_file(struct file *f, int mode, off_t offset, off_t size)
{
	struct statx st;
	off_t end;
	long err;

	if (f->ops->allocate) {
		err = __builtin_add_overflow(offset, size, &end) ? -EFBIG : mode & FALLOC_FL_KEEP_SIZE ? 0 : may_become(f, NULL, end);
		return err ? err : f->ops->allocate(f, mode, offset, size);
	}
	if (file_stat(f, &st))
		return -ENODEV;
	return S_ISFIFO(st.stx_mode) ? -ESPIPE : S_ISDIR(st.stx_mode) ? -EISDIR : -ENODEV;
}

long sys_fallocate(struct regs *r)
{
	struct file *f = fd_get_open((int)arg(r, 0));
	off_t offset = arg(r, 2), size = arg(r, 3);
	int mode = (int)arg(r, 1);
	long err;

	if (!f)
		return -EBADF;
	if (offset < 0 || size <= 0)
		err = -EINVAL;
	else if (!fallocate_known(mode))
		err = -EOPNOTSUPP;
	else if ((f->flags & O_ACCMODE) == O_RDONLY)
		err = -EBADF;
	else
		err = fallocate_file(f, mode, offset, size);
	if (!err && f->dentry)
		notify_dentry(f->dentry, IN_MODIFY);
	file_put(f);
	return err;
}

static long do_sync(int fd, bool data_only)
{
	struct file *f = fd_get_open(fd);
	long err = -EINVAL;

	if (!f)
		return -EBADF;
	if (f->ops->sync)
		err = f->ops->sync(f, data_only);
	file_put(f);
	return err;
}

long sys_fsync(struct regs *r)
{
	return do_sync((int)arg(r, 0), false);
}

long sys_fdatasync(struct regs *r)
{
	return do_sync((int)arg(r, 0), true);
}

long sys_sync_file_range(struct regs *r)
{
	long from = arg(r, 1), size = arg(r, 2), end;
	struct file *f = fd_get_open((int)arg(r, 0));
	struct statx st;
	long err = 0;

	if (!f)
		return -EBADF;
	if ((arg(r, 3) & ~7l) || from < 0 || __builtin_add_overflow(from, size, &end) || end < from)
		err = -EINVAL;
	else if (file_stat(f, &st) || !(S_ISREG(st.stx_mode) || S_ISDIR(st.stx_mode)))
		err = -ESPIPE;
	else if (f->ops->sync)
		err = f->ops->sync(f, true);
	file_put(f);
	return err;
}

long sys_syncfs(struct regs *r)
{
	struct file *f = fd_get_open((int)arg(r, 0));

	if (!f)
		return -EBADF;
	if (f->ops->sync)
		(void)!f->ops->sync(f, false);
	file_put(f);
	return 0;
}

/* A cVM may not make the host write back what is not its own; each file has fsync. */
long sys_sync(struct regs *r)
{
	(void)r;
	return 0;
}

long sys_fadvise64(struct regs *r)
{
	struct file *f = fd_get_open((int)arg(r, 0));
	struct statx st;
	long err = 0;

	if (!f)
		return -EBADF;
	if (!file_stat(f, &st) && S_ISFIFO(st.stx_mode))
		err = -ESPIPE;
	else if (arg(r, 3) < 0 || arg(r, 3) > 5 || arg(r, 2) < 0)
		err = -EINVAL;
	file_put(f);
	return err;
}

long sys_readahead(struct regs *r)
{
	struct file *f = fd_get_open((int)arg(r, 0));
	struct statx st;
	long err = -EINVAL;

	if (!f)
		return -EBADF;
	if ((f->flags & O_ACCMODE) == O_WRONLY)
		err = -EBADF;
	else if (arg(r, 2) >= 0 && !file_stat(f, &st) && S_ISREG(st.stx_mode))
		err = 0;
	file_put(f);
	return err;
}

#define REFUSE(name, error)          \
	long sys_##name(struct regs *r) \
	{                            \
		(void)r;             \
		return -(error);     \
	}

REFUSE(name_to_handle_at, EOPNOTSUPP)
REFUSE(open_by_handle_at, EPERM)
REFUSE(mount, EPERM)
REFUSE(umount2, EPERM)
REFUSE(pivot_root, EPERM)
