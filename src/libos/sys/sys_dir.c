/*
 * System calls that change or list directories, and the working directory. The order of checks is Linux's: an existing
 * name is EEXIST even on a read-only mount, a missing one there is EROFS.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/hostfile.h"
#include "fs/inotify.h"
#include "sys/syscalls.h"

struct old_dirent {
	uint64_t ino;
	uint64_t off;
	uint16_t reclen;
	char name[];
};

struct new_dirent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static long list(struct file *f, void *buf, size_t size)
{
	long n;

	if (!f->ops->getdents)
		return f->flags & O_PATH ? -EBADF : -ENOTDIR;
	mutex_lock(&f->pos_lock);
	n = f->ops->getdents(f, buf, size);
	mutex_unlock(&f->pos_lock);
	if (unlikely(g_watching) && n >= 0)
		notify_dentry(f->dentry, IN_ACCESS);
	return n;
}

long sys_getdents64(struct regs *r)
{
	struct file *f = fd_get_open((int)arg(r, 0));
	long n;

	if (!f)
		return -EBADF;
	n = list(f, (void *)arg(r, 1), (unsigned)arg(r, 2));
	file_put(f);
	return n;
}

/* The old form has the type behind the name and so needs no more room than the new one. False: another thread of the program has
 * meanwhile changed what was there. */
static bool to_old(uint8_t *buf, long size)
{
	for (long at = 0; at < size;) {
		struct new_dirent *e = (void *)(buf + at);
		struct old_dirent *old = (void *)e;
		uint16_t length = size - at > (long)offsetof(struct new_dirent, name) ? e->reclen : 0;
		uint8_t type = e->type;

		if (length <= offsetof(struct new_dirent, name) || length > size - at)
			return false;
		memmove(old->name, e->name, length - offsetof(struct new_dirent, name));
		buf[at + length - 1] = type;
		at += length;
	}
	return true;
}

/* The entries are made where the program wants them, and then become old ones. */
long sys_getdents(struct regs *r)
{
	void *user = (void *)arg(r, 1);
	size_t size = MIN((unsigned)arg(r, 2), 32768u);
	struct file *f = fd_get_open((int)arg(r, 0));
	uint8_t *buf;
	long n = -ENOMEM;

	if (!f)
		return -EBADF;
	buf = kmalloc(size + 1);
	if (buf)
		n = list(f, user, size);
	if (n > 0) {
		bool made = !copy_from_user(buf, user, (size_t)n) && to_old(buf, n);

		n = made && !copy_to_user(user, buf, (size_t)n) ? n : -EFAULT;
	}
	kfree(buf);
	file_put(f);
	return n;
}

/* For what makes a new name: is it free, and may it be made? `directory`: a trailing slash is fine. */
static int check_new(const struct walk *w, bool directory)
{
	struct dentry *d;
	struct statx st;
	bool there;
	int err;

	if (w->last != LAST_NAME)
		return -EEXIST;
	if (w->dentry->flags & D_DEAD)
		return -ENOENT;
	err = d_lookup(w->dentry, w->name, w->name_size, LOOKUP_FRESH, &d, &st);
	if (err && err != -ENOENT)
		return err;
	there = !err && d->inode;
	if (!err)
		dentry_put(d);
	if (there)
		return -EEXIST;
	if (w->trailing_slash && !directory)
		return -ENOENT;
	if (w->dentry->mount->read_only)
		return -EROFS;
	if (w->dentry->inode->ops->make)
		return 0;
	return w->dentry->mount->type == BOOT_MOUNT_PROC ? -ENOENT : -EPERM;
}

static long make(int dirfd, const char *user_path, uint32_t mode, const char *target)
{
	struct walk w;
	int err = path_walk_user(&w, dirfd, user_path, WALK_PARENT);

	if (err)
		return err;
	err = check_new(&w, S_ISDIR(mode));
	if (!err)
		err = w.dentry->inode->ops->make(w.dentry, w.name, w.name_size, mode, target);
	if (!err)
		notify_name(w.dentry, w.name, w.name_size, S_ISDIR(mode) ? IN_CREATE | IN_ISDIR : IN_CREATE, 0);
	walk_done(&w);
	return err;
}

long sys_mkdir(struct regs *r)
{
	return make(AT_FDCWD, (const char *)arg(r, 0), S_IFDIR | ((uint32_t)arg(r, 1) & 01777 & ~process_umask()), NULL);
}

long sys_mkdirat(struct regs *r)
{
	return make((int)arg(r, 0), (const char *)arg(r, 1), S_IFDIR | ((uint32_t)arg(r, 2) & 01777 & ~process_umask()),
		    NULL);
}

/* A name that ends in a slash names no new file: it is there already, or it is not. */
static int slash_error(int dirfd, const char *path)
{
	struct walk w;
	int err = path_walk_at(&w, dirfd, path, WALK_PARENT);

	if (err)
		return err;
	err = check_new(&w, false);
	walk_done(&w);
	return err;
}

static long do_mknod(int dirfd, const char *user_path, uint32_t mode)
{
	struct file *f;
	char *path;
	int err;

	mode = (mode & S_IFMT) | (mode & 07777 & ~process_umask());
	switch (mode & S_IFMT) {
	case S_IFIFO:
	case S_IFSOCK:
		return make(dirfd, user_path, mode, NULL);
	case 0:
	case S_IFREG:
		err = path_from_user(user_path, &path);
		if (err)
			return err;
		f = open_how(dirfd, path, O_CREAT | O_EXCL | O_WRONLY, (int)(mode & 07777), 0, &err);
		if (!f && err == -EISDIR)
			err = slash_error(dirfd, path);
		pathbuf_put(path);
		if (!f)
			return err;
		file_put(f);
		return 0;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

long sys_mknod(struct regs *r)
{
	return do_mknod(AT_FDCWD, (const char *)arg(r, 0), (uint32_t)arg(r, 1));
}

long sys_mknodat(struct regs *r)
{
	return do_mknod((int)arg(r, 0), (const char *)arg(r, 1), (uint32_t)arg(r, 2));
}

static long do_symlink(const char *user_target, int dirfd, const char *user_path)
{
	char *target;
	long err = path_from_user(user_target, &target);

	if (err)
		return err;
	err = *target ? make(dirfd, user_path, S_IFLNK | 0777, target) : -ENOENT;
	pathbuf_put(target);
	return err;
}

long sys_symlink(struct regs *r)
{
	return do_symlink((const char *)arg(r, 0), AT_FDCWD, (const char *)arg(r, 1));
}

long sys_symlinkat(struct regs *r)
{
	return do_symlink((const char *)arg(r, 0), (int)arg(r, 1), (const char *)arg(r, 2));
}

static int check_remove(const struct walk *w, bool directory)
{
	if (w->last == LAST_DOTDOT)
		return directory ? -ENOTEMPTY : -EISDIR;
	if (w->last == LAST_DOT)
		return directory ? -EINVAL : -EISDIR;
	if (w->last == LAST_ROOT)
		return directory ? -EBUSY : -EISDIR;
	if (w->dentry->mount->read_only)
		return -EROFS;
	return w->dentry->inode->ops->unlink ? 0 : -EPERM;
}

/* For inotify: what a name stands for before it goes, one reference, or NULL: that could not be watched. */
static struct dentry *watched_child(const struct walk *w)
{
	struct dentry *d;
	struct statx st;

	if (!g_watching || is_host_mount(w->dentry->mount) || d_lookup(w->dentry, w->name, w->name_size, LOOKUP_FRESH, &d, &st))
		return NULL;
	if (d->inode)
		return d;
	dentry_put(d);
	return NULL;
}

static long do_unlink(int dirfd, const char *user_path, bool directory)
{
	struct dentry *d, *gone;
	struct statx st;
	struct walk w;
	int err = path_walk_user(&w, dirfd, user_path, WALK_PARENT);

	if (err)
		return err;
	err = check_remove(&w, directory);
	if (!err && w.trailing_slash && !directory) {
		err = d_lookup(w.dentry, w.name, w.name_size, LOOKUP_FRESH, &d, &st);
		if (!err) {
			err = !d->inode ? -ENOENT : is_dir(d->inode) ? -EISDIR : -ENOTDIR;
			dentry_put(d);
		}
	}
	gone = err ? NULL : watched_child(&w);
	if (!err)
		err = w.dentry->inode->ops->unlink(w.dentry, w.name, w.name_size, directory);
	if (!err && gone) {
		if (!is_dir(gone->inode))
			notify_inode(gone->inode, IN_ATTRIB);
		dentry_put(gone); /* that it is gone is told before that its name is */
		notify_name(w.dentry, w.name, w.name_size, directory ? IN_DELETE | IN_ISDIR : IN_DELETE, 0);
	} else {
		dentry_put(gone);
	}
	walk_done(&w);
	return err;
}

long sys_unlink(struct regs *r)
{
	return do_unlink(AT_FDCWD, (const char *)arg(r, 0), false);
}

long sys_rmdir(struct regs *r)
{
	return do_unlink(AT_FDCWD, (const char *)arg(r, 0), true);
}

long sys_unlinkat(struct regs *r)
{
	if (arg(r, 2) & ~AT_REMOVEDIR)
		return -EINVAL;
	return do_unlink((int)arg(r, 0), (const char *)arg(r, 1), arg(r, 2) & AT_REMOVEDIR);
}

/* What a walk's last component names: *mode is 0 if there is nothing. */
static int last_mode(const struct walk *w, uint32_t *mode)
{
	struct dentry *d;
	struct statx st;
	int err = d_lookup(w->dentry, w->name, w->name_size, LOOKUP_FRESH, &d, &st);

	*mode = 0;
	if (err)
		return err == -ENOENT ? 0 : err;
	if (d->inode)
		*mode = d->inode->mode;
	dentry_put(d);
	return 0;
}

/* Slashes behind a name ask for a directory; behind the target's for one as the source, unless both change places. */
static int check_slashes(const struct walk *from, const struct walk *to, unsigned flags)
{
	bool exchange = flags & RENAME_EXCHANGE;
	uint32_t source, target;
	int err = last_mode(from, &source);

	if (!err)
		err = last_mode(to, &target);
	if (err)
		return err;
	if (!source || (exchange && !target))
		return -ENOENT;
	if (target && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (to->trailing_slash && !S_ISDIR(exchange ? target : source))
		return -ENOTDIR;
	return from->trailing_slash && !S_ISDIR(source) ? -ENOTDIR : 0;
}

static int check_rename(struct walk *from, struct walk *to, unsigned flags)
{
	if (from->dentry->mount != to->dentry->mount || from->dentry->inode->ops != to->dentry->inode->ops)
		return -EXDEV;
	if (from->last != LAST_NAME || to->last != LAST_NAME)
		return from->last == LAST_NAME && (flags & RENAME_NOREPLACE) ? -EEXIST : -EBUSY;
	if (from->dentry->mount->read_only)
		return -EROFS;
	if (!from->dentry->inode->ops->rename)
		return -EPERM;
	return from->trailing_slash || to->trailing_slash ? check_slashes(from, to, flags) : 0;
}

/* `replaced`: of what had the name, which has one less. */
static void notify_move(struct walk *from, struct walk *to, struct inode *moved, struct inode *replaced)
{
	uint32_t kind = is_dir(moved) ? IN_ISDIR : 0, cookie = notify_cookie();

	notify_name(from->dentry, from->name, from->name_size, IN_MOVED_FROM | kind, cookie);
	notify_name(to->dentry, to->name, to->name_size, IN_MOVED_TO | kind, cookie);
	notify_inode(replaced, IN_ATTRIB);
	notify_inode(moved, IN_MOVE_SELF);
}

static int rename_found(struct walk *from, struct walk *to, unsigned flags)
{
	struct dentry *moved = watched_child(from), *replaced = watched_child(to);
	struct inode *was = replaced ? replaced->inode : NULL;
	int err = from->dentry->inode->ops->rename(from->dentry, from->name, from->name_size, to->dentry, to->name,
						   to->name_size, flags);

	if (!err && moved && moved->inode != was) {
		bool exchange = flags & RENAME_EXCHANGE;

		notify_move(from, to, moved->inode, exchange ? NULL : was);
		if (exchange && was)
			notify_move(to, from, was, NULL);
	}
	dentry_put(moved);
	dentry_put(replaced);
	return err;
}

static long do_rename(int from_fd, const char *from_path, int to_fd, const char *to_path, unsigned flags)
{
	struct walk from, to;
	int err;

	if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	err = path_walk_user(&from, from_fd, from_path, WALK_PARENT);
	if (err)
		return err;
	err = path_walk_user(&to, to_fd, to_path, WALK_PARENT);
	if (!err) {
		err = check_rename(&from, &to, flags);
		if (!err)
			err = rename_found(&from, &to, flags);
		walk_done(&to);
	}
	walk_done(&from);
	return err;
}

long sys_rename(struct regs *r)
{
	return do_rename(AT_FDCWD, (const char *)arg(r, 0), AT_FDCWD, (const char *)arg(r, 1), 0);
}

long sys_renameat(struct regs *r)
{
	return do_rename((int)arg(r, 0), (const char *)arg(r, 1), (int)arg(r, 2), (const char *)arg(r, 3), 0);
}

long sys_renameat2(struct regs *r)
{
	return do_rename((int)arg(r, 0), (const char *)arg(r, 1), (int)arg(r, 2), (const char *)arg(r, 3),
			 (unsigned)arg(r, 4));
}

static int make_link(const struct walk *from, const struct walk *to)
{
	struct dentry *d = from->dentry ? from->dentry : from->file->dentry;
	int err = check_new(to, false);

	if (err)
		return err;
	if (!d || d->mount != to->dentry->mount)
		return -EXDEV;
	if (is_dir(d->inode) || !d->inode->ops->link)
		return -EPERM;
	if (from->file && hostfile_is_named(from->file))
		err = hostfile_link(from->file, to->dentry, to->name, to->name_size);
	else
		err = d->inode->ops->link(d, to->dentry, to->name, to->name_size);
	if (!err) {
		notify_inode(d->inode, IN_ATTRIB);
		notify_name(to->dentry, to->name, to->name_size, IN_CREATE, 0);
	}
	return err;
}

static long do_link(int from_fd, const char *user_from, int to_fd, const char *user_to, int flags)
{
	unsigned walk_flags = (flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
	struct walk from, to;
	int err;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	err = path_walk_user(&from, from_fd, user_from, walk_flags);
	if (err)
		return err;
	err = path_walk_user(&to, to_fd, user_to, WALK_PARENT);
	if (!err) {
		err = make_link(&from, &to);
		walk_done(&to);
	}
	walk_done(&from);
	return err;
}

long sys_link(struct regs *r)
{
	return do_link(AT_FDCWD, (const char *)arg(r, 0), AT_FDCWD, (const char *)arg(r, 1), 0);
}

long sys_linkat(struct regs *r)
{
	return do_link((int)arg(r, 0), (const char *)arg(r, 1), (int)arg(r, 2), (const char *)arg(r, 3),
		       (int)arg(r, 4));
}

/* Consumes the reference to d. */
static void set_cwd(struct dentry *d)
{
	struct fs_context *fs = current()->process->fs;
	struct dentry *old;

	mutex_lock(&fs->lock);
	old = fs->cwd;
	fs->cwd = d;
	mutex_unlock(&fs->lock);
	dentry_put(old);
}

long sys_chdir(struct regs *r)
{
	struct walk w;
	int err = path_walk_user(&w, AT_FDCWD, (const char *)arg(r, 0), WALK_FOLLOW | WALK_DIRECTORY);

	if (err)
		return err;
	set_cwd(dentry_get(w.dentry));
	walk_done(&w);
	return 0;
}

long sys_fchdir(struct regs *r)
{
	struct file *f = fd_get((int)arg(r, 0));
	long err = -ENOTDIR;

	if (!f)
		return -EBADF;
	if (f->dentry && is_dir(f->dentry->inode)) {
		set_cwd(dentry_get(f->dentry));
		err = 0;
	}
	file_put(f);
	return err;
}

#define OUTSIDE_ROOT "(unreachable)" /* Linux's word */

long sys_getcwd(struct regs *r)
{
	struct fs_context *fs = current()->process->fs;
	char *path = pathbuf_get();
	struct dentry *cwd;
	bool below;
	ssize_t n;

	if (!path)
		return -ENOMEM;
	mutex_lock(&fs->lock);
	cwd = dentry_get(fs->cwd);
	mutex_unlock(&fs->lock);
	n = dentry_path_from(&fs->root, cwd, path, PATH_SIZE - strlen(OUTSIDE_ROOT), &below);
	dentry_put(cwd);
	if (n >= 0 && !below) {
		memmove(path + strlen(OUTSIDE_ROOT), path, (size_t)n + 1);
		memcpy(path, OUTSIDE_ROOT, strlen(OUTSIDE_ROOT));
		n += (ssize_t)strlen(OUTSIDE_ROOT);
	}
	if (n >= 0)
		n = (size_t)++n > (size_t)arg(r, 1) ? -ERANGE : n;
	if (n > 0 && copy_to_user((void *)arg(r, 0), path, (size_t)n))
		n = -EFAULT;
	pathbuf_put(path);
	return n;
}

/* Names only: what a process has open, or its working directory, may lie outside, as on Linux. */
long sys_chroot(struct regs *r)
{
	struct fs_context *fs = current()->process->fs;
	struct dentry *old;
	struct walk w;
	int err = path_walk_user(&w, AT_FDCWD, (const char *)arg(r, 0), WALK_FOLLOW | WALK_DIRECTORY);

	if (err)
		return err;
	if (current()->process->euid != 0) {
		walk_done(&w);
		return -EPERM;
	}
	mutex_lock(&fs->lock);
	tree_lock();
	old = fs->root;
	fs->root = w.dentry;
	d_get(w.dentry);
	d_put(old);
	tree_unlock();
	mutex_unlock(&fs->lock);
	walk_done(&w);
	return 0;
}

long sys_umask(struct regs *r)
{
	return __atomic_exchange_n(&current()->process->fs->umask, (uint32_t)arg(r, 0) & 0777, __ATOMIC_RELAXED);
}
