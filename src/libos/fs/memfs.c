/*
 * tmpfs and overlay: the tree operations. Directories are pinned dentries of the one dentry tree, so lookups in memory
 * are the hash alone. Called through inode_ops by open.c and the system calls. See fs/memfs.h for what clean, copy-up,
 * whiteout and opaque mean here.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "fs/inotify.h"
#include "fs/memfs.h"
#include <linux/magic.h>

#define FIRST_INO (1ull << 40) /* out of the way of the host's numbers in an overlay */

struct mem_inode *mem_inode_new(struct mount *m, uint32_t mode)
{
	struct mem_inode *inode = kzalloc(sizeof *inode);
	uint64_t ino;

	if (!inode)
		return NULL;
	ino = __atomic_add_fetch(&m->next_ino, 1, __ATOMIC_RELAXED);
	inode_init(&inode->base, &memfs_ops, m, mode, m->type == BOOT_MOUNT_OVERLAY ? FIRST_INO + ino : ino);
	inode->nlink = S_ISDIR(mode) ? 2 : 1;
	inode->uid = current()->process->fsuid;
	inode->gid = current()->process->fsgid;
	inode->upper = true;
	inode->memobj = -1;
	current_time(&inode->mtime);
	inode->atime = inode->ctime = inode->btime = inode->mtime;
	return inode;
}

/* As on Linux: gone is what has no name left when nobody has it open by the one that goes. */
static void memfs_forgotten(struct inode *base)
{
	if (!mem_inode(base)->nlink)
		notify_gone(base);
}

struct mem_inode *mem_inode_in(struct dentry *dir, uint32_t mode)
{
	struct mem_inode *inode = mem_inode_new(dir->mount, mode);

	if (inode && (dir->inode->mode & S_ISGID)) {
		inode->gid = mem_inode(dir->inode)->gid;
		if (S_ISDIR(mode))
			inode->base.mode |= S_ISGID;
		else if ((mode & S_ISGID) && (mode & S_IXGRP) && current()->process->euid && !process_in_group(current()->process, inode->gid))
			inode->base.mode &= ~(uint32_t)S_ISGID;
	}
	return inode;
}

static void memfs_release(struct inode *base)
{
	struct mem_inode *inode = mem_inode(base);

	mem_drop(inode);
	mem_xattr_drop(inode);
	kfree(inode->lower);
	kfree(inode->text);
	kfree(inode);
}

void mem_touch(struct mem_inode *inode, bool contents)
{
	struct timespec now;

	current_time(&now);
	inode->ctime = now;
	if (contents)
		inode->mtime = now;
}

static void put_time(struct statx_timestamp *to, const struct timespec *from)
{
	to->tv_sec = from->tv_sec;
	to->tv_nsec = (uint32_t)from->tv_nsec;
}

void mem_fill_stat(struct mem_inode *inode, struct statx *st)
{
	memset(st, 0, sizeof *st);
	st->stx_mask = STATX_BASIC_STATS | STATX_BTIME;
	st->stx_blksize = PAGE_SIZE;
	st->stx_nlink = inode->nlink;
	st->stx_uid = inode->uid;
	st->stx_gid = inode->gid;
	st->stx_mode = (uint16_t)inode->base.mode;
	st->stx_ino = inode->base.ino;
	st->stx_size = (uint64_t)inode->size;
	st->stx_blocks = !inode->upper || inode->lower ? inode->blocks : mem_blocks(inode);
	st->stx_rdev_major = inode->rdev_major;
	st->stx_rdev_minor = inode->rdev_minor;
	put_time(&st->stx_atime, &inode->atime);
	put_time(&st->stx_mtime, &inode->mtime);
	put_time(&st->stx_ctime, &inode->ctime);
	put_time(&st->stx_btime, &inode->btime);
	statx_anonymous_device(st, inode->base.mount);
}

static int memfs_getattr(struct dentry *d, struct statx *st)
{
	mem_fill_stat(mem_inode(d->inode), st);
	return 0;
}

static int memfs_lookup(struct dentry *dir, const char *name, size_t size, struct inode **out, struct statx *st)
{
	return mem_inode(dir->inode)->lower ? overlay_lookup(dir, name, size, out, st) : -ENOENT;
}

static ssize_t memfs_readlink(struct dentry *d, char *buf, size_t size)
{
	struct mem_inode *inode = mem_inode(d->inode);
	size_t n;

	if (!inode->text && inode->lower)
		return hostcall(HC_file_readlink, d->mount->handle, inode->lower, strlen(inode->lower), buf, size);
	n = MIN(strlen(inode->text), size);
	memcpy(buf, inode->text, n);
	return (ssize_t)n;
}

/* A directory's contents change: from now on it is the memory's own. Tree lock held. */
static void touch_dir(struct dentry *dir, int links)
{
	struct mem_inode *inode = mem_inode(dir->inode);

	inode->upper = true;
	inode->nlink += (uint32_t)links;
	if (dir->parent)
		d_pin(dir);
	mem_touch(inode, true);
}

/* Ask the lower directory first, so that the tree alone can answer under its lock. One reference or NULL in *out. */
static int consult(struct dentry *dir, const char *name, size_t size, struct dentry **out)
{
	struct statx st;
	int err;

	*out = NULL;
	err = d_lookup(dir, name, size, LOOKUP_MIDDLE, out, &st);
	return err == -ENOENT ? 0 : err;
}

int mem_enter(struct dentry *dir, const char *name, size_t size, struct mem_inode *inode, struct dentry **out)
{
	struct dentry *seen, *now, *new = NULL;
	int err = consult(dir, name, size, &seen);

	if (err) {
		inode_put(&inode->base);
		return err;
	}
	tree_lock();
	now = d_find(dir, name, size);
	if (dir->flags & D_DEAD)
		err = -ENOENT;
	else if (now && now->inode)
		err = -EEXIST;
	else if (!(new = d_add(dir, name, size, &inode->base)))
		err = -ENOSPC;
	if (!err) {
		d_pin(new);
		if (now) {
			new->flags |= now->flags & D_COVERS;
			d_get(now);
			d_kill(now);
			d_put(now);
		}
		touch_dir(dir, is_dir(&inode->base));
		if (out)
			*out = new;
		else
			d_put(new);
	}
	if (seen)
		d_put(seen);
	tree_unlock();
	if (err)
		inode_put(&inode->base);
	return err;
}

static struct file *memfs_open(struct dentry *d, int flags, int *error)
{
	struct mem_inode *inode = mem_inode(d->inode);
	struct file *f;

	if (S_ISDIR(inode->base.mode))
		return memdir_open(d, flags, error);
	if (S_ISREG(inode->base.mode))
		return memfile_open(inode, d, flags, error);
	*error = -ENXIO;
	if (inode->open_device)
		f = inode->open_device(inode, flags, error);
	else if (S_ISFIFO(inode->base.mode))
		f = fifo_open(&inode->fifo, &inode->lock, flags, error);
	else
		return NULL;
	if (f && !f->dentry)
		f->dentry = dentry_get(d);
	return f;
}

static struct file *memfs_create(struct dentry *dir, const char *name, size_t size, int flags, uint32_t mode,
				 int *error)
{
	struct mem_inode *inode = mem_inode_in(dir, S_IFREG | (mode & 07777));
	struct dentry *d = NULL;
	struct file *f;

	*error = -ENOSPC;
	if (!inode)
		return NULL;
	if (size) {
		*error = mem_enter(dir, name, size, inode, &d);
		if (*error)
			return NULL;
	} else {
		inode->nlink = 0;
		inode->linkable = !(flags & O_EXCL);
		d = d_alloc_unnamed(dir, &inode->base);
		if (!d)
			return NULL;
	}
	f = memfile_open(inode, d, flags & ~O_TRUNC, error);
	dentry_put(d);
	return f;
}

static int memfs_make(struct dentry *dir, const char *name, size_t size, uint32_t mode, const char *target)
{
	struct mem_inode *inode;

	if (S_ISCHR(mode) || S_ISBLK(mode))
		return -EPERM;
	inode = mem_inode_in(dir, target ? S_IFLNK | 0777 : mode);
	if (!inode)
		return -ENOSPC;
	if (target) {
		inode->text = kstrdup(target);
		inode->size = (off_t)strlen(target);
		if (!inode->text) {
			inode_put(&inode->base);
			return -ENOSPC;
		}
	}
	return mem_enter(dir, name, size, inode, NULL);
}

/* Tree lock held. A name that the lower directory has too needs a whiteout once `d` is gone from it. */
static int leave_whiteout(struct dentry *d)
{
	struct dentry *w;

	if (!(d->flags & D_COVERS))
		return 0;
	w = d_add(d->parent, d->name, d->name_size, NULL);
	if (!w)
		return -ENOSPC;
	w->flags |= D_COVERS;
	d_pin(w);
	d_put(w);
	return 0;
}

/* Tree lock held, the caller holds a reference: an empty directory goes, and with it what is known of names that it has not, which would
 * keep it. */
static void drop_missing(struct dentry *d)
{
	list_for_each_safe(p, next, &d->children) {
		struct dentry *child = list_entry(p, struct dentry, siblings);

		if (child->inode)
			continue;
		d_get(child);
		d_kill(child);
		d_put(child);
	}
}

/* Tree lock held, the caller holds a reference: one name less for what d names. */
static void drop_name(struct dentry *d)
{
	struct mem_inode *inode = mem_inode(d->inode);

	if (S_ISDIR(inode->base.mode)) {
		inode->nlink = 0;
		drop_missing(d);
	} else if (inode->nlink) {
		inode->nlink--;
	}
	mem_touch(inode, false);
	d_kill(d);
}

/* Where there is a lower directory, only what the tree knows better than a cache does. */
static bool has_visible_child(const struct dentry *d)
{
	bool lower = mem_inode(d->inode)->lower;

	list_for_each(p, &d->children) {
		const struct dentry *child = list_entry(p, struct dentry, siblings);

		if (child->inode && (!lower || (child->flags & (D_PINNED | D_MOUNTPOINT | D_KEEP))))
			return true;
	}
	return false;
}

/* What was found before the lock was taken, another thread may have given another name since. Tree lock held. */
static bool is_still_at(struct dentry *d, struct dentry *dir, const char *name, size_t size)
{
	return d_find(dir, name, size) == d;
}

/* 1: another thread changed what the name stands for. */
static int try_unlink(struct dentry *dir, const char *name, size_t size, bool directory)
{
	struct dentry *d;
	int err = consult(dir, name, size, &d);

	if (err || !d)
		return err ? err : -ENOENT;
	if (!d->inode)
		err = -ENOENT;
	else if (directory)
		err = is_dir(d->inode) ? mem_dir_is_empty(d) : -ENOTDIR;
	else if (is_dir(d->inode))
		err = -EISDIR;
	tree_lock();
	if (!err && !is_still_at(d, dir, name, size))
		err = 1;
	if (!err && d->mounted)
		err = -EBUSY;
	if (!err && directory && has_visible_child(d))
		err = -ENOTEMPTY;
	if (!err)
		err = leave_whiteout(d);
	if (!err) {
		touch_dir(dir, directory ? -1 : 0);
		drop_name(d);
	}
	d_put(d);
	tree_unlock();
	return err;
}

static int memfs_unlink(struct dentry *dir, const char *name, size_t size, bool directory)
{
	int err;

	do
		err = try_unlink(dir, name, size, directory);
	while (err > 0);
	return err;
}

static bool is_inside(const struct dentry *d, const struct dentry *top)
{
	for (; d; d = d->parent)
		if (d == top)
			return true;
	return false;
}

/* Tree lock held: may s take the place of t (NULL, negative or positive) in `to`? */
static int check_rename(struct dentry *dir, struct dentry *s, struct dentry *to, struct dentry *t, unsigned flags)
{
	bool there = t && t->inode;

	if (!s->inode || (s->flags & D_DEAD) || (to->flags & D_DEAD) || (t && (t->flags & D_DEAD)))
		return -ENOENT;
	if ((flags & RENAME_EXCHANGE) && !there)
		return -ENOENT;
	if (there && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (s->mounted || (t && t->mounted))
		return -EBUSY;
	if (is_dir(s->inode) && is_inside(to, s))
		return -EINVAL;
	if (there && is_inside(dir, t))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	if (there && s->inode == t->inode)
		return 0;
	if (there && !(flags & RENAME_EXCHANGE)) {
		if (is_dir(s->inode) && !is_dir(t->inode))
			return -ENOTDIR;
		if (!is_dir(s->inode) && is_dir(t->inode))
			return -EISDIR;
		if (is_dir(t->inode) && has_visible_child(t))
			return -ENOTEMPTY;
	}
	return 0;
}

/* Tree lock held, checked. */
static int do_rename(struct dentry *dir, struct dentry *s, struct dentry *to, struct dentry *t)
{
	uint32_t covers = t ? t->flags & D_COVERS : 0;
	int moved_dir = is_dir(s->inode), err = leave_whiteout(s);
	struct dentry *w;

	if (err)
		return err;
	d_pin(s);
	w = s->flags & D_COVERS ? d_find(dir, s->name, s->name_size) : NULL;
	err = d_move(s, to, t ? t->name : s->name, t ? t->name_size : s->name_size);
	if (err) {
		if (w && w != s)
			d_kill(w);
		return -ENOSPC;
	}
	s->flags = (s->flags & ~D_COVERS) | covers;
	touch_dir(dir, -moved_dir);
	touch_dir(to, moved_dir - (t && t->inode && is_dir(t->inode)));
	mem_touch(mem_inode(s->inode), false);
	if (t && t->inode)
		drop_name(t);
	else if (t)
		d_kill(t);
	return 0;
}

static int do_exchange(struct dentry *dir, struct dentry *s, struct dentry *to, struct dentry *t)
{
	uint32_t differ = (s->flags ^ t->flags) & D_COVERS; /* which is a matter of the name */

	d_pin(s);
	d_pin(t);
	d_exchange(s, t);
	s->flags ^= differ;
	t->flags ^= differ;
	touch_dir(dir, is_dir(t->inode) - is_dir(s->inode));
	touch_dir(to, is_dir(s->inode) - is_dir(t->inode));
	mem_touch(mem_inode(s->inode), false);
	mem_touch(mem_inode(t->inode), false);
	return 0;
}

/* The target needs a name in the tree before d_move takes it over. 1: another thread changed what a name stands for. */
static int try_rename(struct dentry *dir, const char *name, size_t size, struct dentry *to, const char *to_name,
		      size_t to_size, unsigned flags)
{
	struct dentry *s, *t = NULL;
	int err = consult(dir, name, size, &s);

	if (!err && !s)
		err = -ENOENT;
	if (!err)
		err = consult(to, to_name, to_size, &t);
	tree_lock();
	if (!err && !flags && s->inode && is_dir(s->inode) && is_inside(to, s))
		err = to->flags & D_DEAD ? -ENOENT : -EINVAL;
	tree_unlock();
	if (!err && t && t->inode && is_dir(t->inode) && s->inode && is_dir(s->inode) && s != t &&
	    !(flags & (RENAME_EXCHANGE | RENAME_NOREPLACE)))
		err = mem_dir_is_empty(t);
	tree_lock();
	if (!err && !(is_still_at(s, dir, name, size) && is_still_at(t, to, to_name, to_size)))
		err = 1;
	if (!err && !t && !(t = d_add(to, to_name, to_size, NULL)))
		err = -ENOSPC;
	if (!err)
		err = check_rename(dir, s, to, t, flags);
	if (!err && s->inode != t->inode)
		err = flags & RENAME_EXCHANGE ? do_exchange(dir, s, to, t) : do_rename(dir, s, to, t);
	if (t) {
		if (err && !t->inode && !(t->flags & D_PINNED))
			d_kill(t);
		d_put(t);
	}
	if (s)
		d_put(s);
	tree_unlock();
	return err;
}

static int memfs_rename(struct dentry *dir, const char *name, size_t size, struct dentry *to, const char *to_name,
			size_t to_size, unsigned flags)
{
	int err;

	do
		err = try_rename(dir, name, size, to, to_name, to_size, flags);
	while (err > 0);
	return err;
}

static int memfs_link(struct dentry *d, struct dentry *dir, const char *name, size_t size)
{
	struct mem_inode *inode = mem_inode(d->inode);
	int err = overlay_copy_up(d, false);

	if (err)
		return err;
	tree_lock(); /* as whoever takes a name away */
	if (!inode->nlink && !inode->linkable) {
		tree_unlock();
		return -ENOENT;
	}
	inode->nlink++;
	tree_unlock();
	inode_get(d->inode);
	err = mem_enter(dir, name, size, inode, NULL);
	tree_lock();
	if (err)
		inode->nlink--;
	else
		mem_touch(inode, false);
	inode->linkable &= err != 0;
	tree_unlock();
	return err;
}

int mem_setattr(struct mem_inode *inode, const struct attr *a)
{
	int err = 0;

	mutex_lock(&inode->lock);
	if ((a->valid & ATTR_MODE) && (inode->seals & F_SEAL_EXEC) && ((a->mode ^ inode->base.mode) & 0111))
		err = -EPERM;
	if (!err && (a->valid & ATTR_SIZE)) {
		err = mem_truncate(inode, a->size);
		if (!err)
			mem_touch(inode, true);
	}
	if (!err) {
		if (a->valid & ATTR_UID)
			inode->uid = a->uid;
		if (a->valid & ATTR_GID)
			inode->gid = a->gid;
		if (a->valid & ATTR_OWNER && !is_dir(&inode->base))
			inode->base.mode &= ~(inode->base.mode & S_IXGRP ? S_ISUID | S_ISGID : S_ISUID);
		if (a->valid & ATTR_MODE)
			inode->base.mode = (inode->base.mode & S_IFMT) | (a->mode & 07777);
		if (a->valid & ATTR_ATIME)
			inode->atime = a->times[0];
		if (a->valid & ATTR_MTIME)
			inode->mtime = a->times[1];
		mem_touch(inode, false);
	}
	mutex_unlock(&inode->lock);
	return err;
}

static int memfs_setattr(struct dentry *d, const struct attr *a)
{
	int err = overlay_copy_up(d, (a->valid & ATTR_SIZE) && a->size == 0);

	return err ? err : mem_setattr(mem_inode(d->inode), a);
}

static int memfs_statfs(struct dentry *d, struct statfs *st)
{
	uint64_t used, limit;

	mem_usage(&used, &limit);
	used += PAGE_SIZE; /* the directories themselves: programs take "nothing is used" for a wrong answer */
	st->f_type = d->mount->type == BOOT_MOUNT_OVERLAY ? OVERLAYFS_SUPER_MAGIC : TMPFS_MAGIC;
	st->f_bsize = st->f_frsize = (long)PAGE_SIZE;
	st->f_blocks = (long)(limit / PAGE_SIZE);
	st->f_bfree = st->f_bavail = (long)((limit - MIN(used, limit)) / PAGE_SIZE);
	st->f_files = st->f_ffree = 1000000;
	st->f_namelen = NAME_LENGTH_MAX;
	return 0;
}

const struct inode_ops memfs_ops = {
	.name = "tmpfs",
	.lookup = memfs_lookup,
	.refresh = overlay_refresh,
	.getattr = memfs_getattr,
	.readlink = memfs_readlink,
	.open = memfs_open,
	.create = memfs_create,
	.make = memfs_make,
	.unlink = memfs_unlink,
	.rename = memfs_rename,
	.link = memfs_link,
	.setattr = memfs_setattr,
	.statfs = memfs_statfs,
	.forgotten = memfs_forgotten,
	.release = memfs_release,
};

int memfs_mount(struct mount *m, uint32_t mode, struct dentry **out)
{
	struct mem_inode *inode;
	struct statx st;
	long err;

	if (m->type == BOOT_MOUNT_OVERLAY) {
		err = hostcall(HC_file_stat, m->handle, 0, 0, STATX_BASIC_STATS | STATX_BTIME, &st);
		if (err)
			return (int)err;
		inode = overlay_inode(m, "", &st);
	} else {
		inode = mem_inode_new(m, S_IFDIR | mode);
	}
	if (!inode)
		return -ENOMEM;
	*out = d_alloc_root(m, &inode->base);
	return *out ? 0 : -ENOMEM;
}
