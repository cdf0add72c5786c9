/* System calls that ask about files: stat and its family, access, readlink, statfs. */
#include "core/uaccess.h"
#include "fs/hostfile.h"
#include "sys/syscalls.h"
#include <asm/stat.h>

#define STAT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)
#define R_OK 4
#define W_OK 2
#define X_OK 1

static uint64_t device_number(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | ((uint64_t)major << 8) | ((uint64_t)(minor & ~0xffu) << 12);
}

static int put_stat(struct stat *user, const struct statx *st)
{
	struct stat out = {
		.st_dev = device_number(st->stx_dev_major, st->stx_dev_minor),
		.st_ino = st->stx_ino,
		.st_nlink = st->stx_nlink,
		.st_mode = st->stx_mode,
		.st_uid = st->stx_uid,
		.st_gid = st->stx_gid,
		.st_rdev = device_number(st->stx_rdev_major, st->stx_rdev_minor),
		.st_size = (long)st->stx_size,
		.st_blksize = st->stx_blksize,
		.st_blocks = (long)st->stx_blocks,
		.st_atime = (unsigned long)st->stx_atime.tv_sec,
		.st_atime_nsec = st->stx_atime.tv_nsec,
		.st_mtime = (unsigned long)st->stx_mtime.tv_sec,
		.st_mtime_nsec = st->stx_mtime.tv_nsec,
		.st_ctime = (unsigned long)st->stx_ctime.tv_sec,
		.st_ctime_nsec = st->stx_ctime.tv_nsec,
	};

	return copy_to_user(user, &out, sizeof out);
}

static int stat_fd(int fd, struct statx *st)
{
	struct file *f = fd_get(fd);
	int err;

	if (!f)
		return -EBADF;
	err = file_stat(f, st);
	file_put(f);
	return err;
}

static int walk_stat(struct walk *w, struct statx *st)
{
	if (w->file)
		return file_stat(w->file, st);
	if (!w->st.stx_mask)
		return dentry_getattr(w->dentry, st);
	*st = w->st;
	return 0;
}

static int stat_walk(int dirfd, const char *path, unsigned walk_flags, struct statx *st)
{
	struct walk w;
	int err = path_walk_at(&w, dirfd, path, walk_flags);

	if (err)
		return err;
	err = walk_stat(&w, st);
	walk_done(&w);
	return err;
}

static int stat_path(int dirfd, const char *user_path, int flags, struct statx *st)
{
	unsigned walk_flags = flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;
	char *path, first;
	int err;

	if (flags & AT_EMPTY_PATH) {
		first = 0;
		if (user_path && get_user(first, user_path))
			return -EFAULT;
		if (!first)
			return dirfd == AT_FDCWD ? stat_walk(dirfd, "", walk_flags | WALK_EMPTY, st) : stat_fd(dirfd, st);
	}
	err = path_from_user(user_path, &path);
	if (err)
		return err;
	err = stat_walk(dirfd, path, walk_flags, st);
	pathbuf_put(path);
	return err;
}

static long stat_to_user(int dirfd, const char *path, int flags, struct stat *user)
{
	struct statx st;
	int err = stat_path(dirfd, path, flags, &st);

	return err ? err : put_stat(user, &st);
}

long sys_stat(struct regs *r)
{
	return stat_to_user(AT_FDCWD, (const char *)arg(r, 0), 0, (struct stat *)arg(r, 1));
}

long sys_lstat(struct regs *r)
{
	return stat_to_user(AT_FDCWD, (const char *)arg(r, 0), AT_SYMLINK_NOFOLLOW, (struct stat *)arg(r, 1));
}

long sys_fstat(struct regs *r)
{
	struct statx st;
	int err = stat_fd((int)arg(r, 0), &st);

	return err ? err : put_stat((struct stat *)arg(r, 1), &st);
}

long sys_newfstatat(struct regs *r)
{
	if (arg(r, 3) & ~(long)STAT_FLAGS)
		return -EINVAL;
	return stat_to_user((int)arg(r, 0), (const char *)arg(r, 1), (int)arg(r, 3), (struct stat *)arg(r, 2));
}

long sys_statx(struct regs *r)
{
	int flags = (int)arg(r, 2);
	struct statx st;
	int err;

	if ((flags & ~(STAT_FLAGS | AT_STATX_SYNC_TYPE)) || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE ||
	    (arg(r, 3) & (long)STATX__RESERVED))
		return -EINVAL;
	err = stat_path((int)arg(r, 0), (const char *)arg(r, 1), flags, &st);
	return err ? err : copy_to_user((void *)arg(r, 4), &st, sizeof st);
}

/* As root in a container: everything may be read and written, executed what has an x bit. */
static int check_access(const struct walk *w, const struct statx *st, int mode)
{
	bool writable_kind = S_ISREG(st->stx_mode) || S_ISDIR(st->stx_mode);

	if ((mode & W_OK) && w->dentry && w->dentry->mount->read_only && writable_kind)
		return -EROFS;
	if ((mode & X_OK) && !S_ISDIR(st->stx_mode) && !(st->stx_mode & 0111))
		return -EACCES;
	return 0;
}

static long do_access(int dirfd, const char *user_path, int mode, int flags)
{
	unsigned walk_flags = (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
	struct statx st;
	struct walk w;
	int err;

	if ((mode & ~(R_OK | W_OK | X_OK)) || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
		return -EINVAL;
	err = path_walk_user(&w, dirfd, user_path, walk_flags);
	if (err)
		return err;
	err = walk_stat(&w, &st);
	if (!err)
		err = check_access(&w, &st, mode);
	walk_done(&w);
	return err;
}

long sys_access(struct regs *r)
{
	return do_access(AT_FDCWD, (const char *)arg(r, 0), (int)arg(r, 1), 0);
}

long sys_faccessat(struct regs *r)
{
	return do_access((int)arg(r, 0), (const char *)arg(r, 1), (int)arg(r, 2), 0);
}

long sys_faccessat2(struct regs *r)
{
	return do_access((int)arg(r, 0), (const char *)arg(r, 1), (int)arg(r, 2), (int)arg(r, 3));
}

static ssize_t read_link(const struct walk *w, char *buf, size_t size)
{
	if (w->file && hostfile_is_named(w->file))
		return hostfile_readlink(w->file, buf, size);
	return w->dentry->inode->ops->readlink(w->dentry, buf, size);
}

static long do_readlink(int dirfd, const char *user_path, char *user, int size)
{
	char *path, *text;
	struct walk w;
	ssize_t n;
	int err;

	if (size <= 0)
		return -EINVAL;
	err = path_from_user(user_path, &path);
	if (err)
		return err;
	err = path_walk_at(&w, dirfd, path, *path ? 0 : WALK_EMPTY);
	if (err || !w.dentry || !is_link(w.dentry->inode)) {
		bool empty = !*path;

		pathbuf_put(path);
		if (!err)
			walk_done(&w);
		return err ? err : empty ? -ENOENT : -EINVAL;
	}
	pathbuf_put(path);
	text = pathbuf_get();
	n = text ? read_link(&w, text, PATH_SIZE) : -ENOMEM;
	n = n < 0 ? n : MIN(n, (ssize_t)size);
	if (n > 0 && copy_to_user(user, text, (size_t)n))
		n = -EFAULT;
	pathbuf_put(text);
	walk_done(&w);
	return n;
}

long sys_readlink(struct regs *r)
{
	return do_readlink(AT_FDCWD, (const char *)arg(r, 0), (char *)arg(r, 1), (int)arg(r, 2));
}

long sys_readlinkat(struct regs *r)
{
	return do_readlink((int)arg(r, 0), (const char *)arg(r, 1), (char *)arg(r, 2), (int)arg(r, 3));
}

static long statfs_to_user(struct dentry *d, struct statfs *user)
{
	struct statfs st = { .f_type = 0x9fa0, .f_bsize = (long)PAGE_SIZE, .f_frsize = (long)PAGE_SIZE, .f_namelen = 255 };
	int err = 0;

	if (d && d->inode->ops->statfs)
		err = d->inode->ops->statfs(d, &st);
	if (d && d->mount->read_only)
		st.f_flags |= 1; /* ST_RDONLY */
	return err ? err : copy_to_user(user, &st, sizeof st);
}

long sys_statfs(struct regs *r)
{
	struct walk w;
	long ret = path_walk_user(&w, AT_FDCWD, (const char *)arg(r, 0), WALK_FOLLOW);

	if (ret)
		return ret;
	ret = statfs_to_user(w.dentry, (struct statfs *)arg(r, 1));
	walk_done(&w);
	return ret;
}

long sys_fstatfs(struct regs *r)
{
	struct file *f = fd_get((int)arg(r, 0));
	long ret;

	if (!f)
		return -EBADF;
	ret = statfs_to_user(f->dentry, (struct statfs *)arg(r, 1));
	file_put(f);
	return ret;
}
