/*
 * Host directories as file systems: every operation is one or a few hostcalls with a path relative to the mount's
 * directory handle. Nothing of a file is kept but its type, inode number and age (fs/inode.h), for the directory is
 * shared with the host and other cVMs; only a directory that is removed while in use keeps a handle, having no path any
 * more. Rights and confinement are the monitor's and the host kernel's.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "fs/handle_cache.h"
#include "fs/hostfile.h"

struct host_inode {
	struct inode base;
	int removed; /* a directory that this cVM removed while it was in use: its handle; -1 */
};

static const struct inode_ops hostfs_ops;

ssize_t host_path(struct dentry *d, const char *name, size_t name_size, char *buf)
{
	char *at = buf + PATH_SIZE - 1;
	bool fits = true, gone = false;
	size_t size;

	*at = 0;
	if (name_size)
		fits = path_prepend(&at, buf, name, name_size);
	tree_lock();
	for (; fits && d->parent; d = d->parent) {
		gone |= (d->flags & D_DEAD) && is_dir(d->inode);
		if (*at)
			fits = path_prepend(&at, buf, "/", 1);
		fits = fits && path_prepend(&at, buf, d->name, d->name_size);
	}
	tree_unlock();
	if (gone) /* what has its name now is another one */
		return -ENOENT;
	if (!fits)
		return -ENAMETOOLONG;
	if (!*at && d->mount->type != BOOT_MOUNT_HOST_FILE)
		path_prepend(&at, buf, ".", 1);
	size = (size_t)(buf + PATH_SIZE - 1 - at);
	memmove(buf, at, size + 1);
	return (ssize_t)size;
}

static struct inode *hostfs_inode(struct mount *m, const struct statx *st)
{
	struct host_inode *inode = kmalloc(sizeof *inode);

	if (!inode)
		return NULL;
	inode_init(&inode->base, &hostfs_ops, m, st->stx_mode, st->stx_ino);
	inode->removed = -1;
	return &inode->base;
}

static struct host_inode *host_inode(struct inode *inode)
{
	return (struct host_inode *)inode;
}

/* The handle of d if it has no path any more, or -1. */
static int removed_dir(const struct dentry *d)
{
	return d->flags & D_DEAD ? host_inode(d->inode)->removed : -1;
}

static int hostfs_lookup(struct dentry *dir, const char *name, size_t size, struct inode **out, struct statx *st)
{
	char *path = pathbuf_get();
	ssize_t n;
	long err;

	if (!path)
		return -ENOMEM;
	n = host_path(dir, name, size, path);
	err = n < 0 ? n : hostcall(HC_file_stat, dir->mount->handle, path, n, STATX_BASIC_STATS | STATX_BTIME, st);
	if (err)
		st->stx_mask = 0;
	else
		owner_from_host(st);
	if (!err)
		*out = hostfs_inode(dir->mount, st);
	else if (err == -EXDEV && (n = host_path(dir, NULL, 0, path)) >= 0)
		*out = stub_inode(dir->mount->handle, path, name, size);
	pathbuf_put(path);
	if (err && err != -EXDEV)
		return (int)err;
	return *out ? 0 : -ENOMEM;
}

static void hostfs_refresh(struct inode *inode, struct inode *fresh)
{
	inode->ino = fresh->ino;
	inode->mode = fresh->mode;
}

static int hostfs_getattr(struct dentry *d, struct statx *st)
{
	int removed = removed_dir(d);
	char *path;
	ssize_t n;
	long err;

	path = pathbuf_get();
	if (!path)
		return -ENOMEM;
	n = d->parent && removed < 0 ? host_path(d, NULL, 0, path) : 0;
	err = n < 0 ? n : hostcall(HC_file_stat, removed < 0 ? d->mount->handle : removed, path, n, STATX_BASIC_STATS | STATX_BTIME, st);
	pathbuf_put(path);
	if (!err)
		owner_from_host(st);
	if ((err == -ENOENT || err == -ENOTDIR) && !is_dir(d->inode)) /* that may be somebody's working directory */
		d_forget(d);
	return (int)err;
}

static ssize_t hostfs_readlink(struct dentry *d, char *buf, size_t size)
{
	char *path = pathbuf_get();
	ssize_t n;

	if (!path)
		return -ENOMEM;
	n = host_path(d, NULL, 0, path);
	if (n >= 0)
		n = hostcall(HC_file_readlink, d->mount->handle, path, n, buf, size);
	pathbuf_put(path);
	if (n == -ENOENT || n == -EINVAL)
		d_forget(d);
	return n;
}

static struct file *open_removed(struct dentry *d, int flags, int *error)
{
	long h = hostcall(HC_file_open, removed_dir(d), ".", 1, O_RDONLY | O_DIRECTORY, 0);

	*error = (int)h;
	return h < 0 ? NULL : hostfile_wrap((int)h, &hostdir_ops, flags, d, error);
}

static struct file *hostfs_open(struct dentry *d, int flags, int *error)
{
	struct file *f = NULL;
	struct statx st;
	char *path;
	ssize_t n;

	if (removed_dir(d) >= 0)
		return open_removed(d, flags, error);
	path = pathbuf_get();
	*error = -ENOMEM;
	if (!path)
		return NULL;
	n = host_path(d, NULL, 0, path);
	*error = (int)n;
	if (n >= 0 && handle_cache_waits(d, flags) && !hostcall(HC_file_stat, d->mount->handle, path, n, HANDLE_CACHE_MASK, &st))
		f = hostfile_cached(d, flags, &st);
	if (n >= 0 && !f)
		f = hostfile_open(d, path, (size_t)n, flags & ~(O_CREAT | O_EXCL), 0, error);
	pathbuf_put(path);
	return f;
}

static struct file *hostfs_create(struct dentry *dir, const char *name, size_t size, int flags, uint32_t mode,
				  int *error)
{
	char *path = pathbuf_get();
	struct file *f = NULL;
	struct inode *inode;
	struct dentry *d;
	struct statx st;
	ssize_t n;

	*error = -ENOMEM;
	if (!path)
		return NULL;
	n = size ? host_path(dir, name, size, path) : -EOPNOTSUPP;
	*error = (int)n;
	if (n >= 0)
		f = hostfile_open(dir, path, (size_t)n, flags | O_CREAT | O_EXCL, mode, error);
	pathbuf_put(path);
	if (!f)
		return NULL;
	f->flags = (uint32_t)flags;
	if (hostcall(HC_file_stat, hostfile_handle(f), 0, 0, STATX_INO, &st)) /* by its number later look-ups know it again */
		st.stx_ino = 0;
	st.stx_mode = S_IFREG | (uint16_t)mode;
	inode = hostfs_inode(dir->mount, &st);
	tree_lock();
	d = d_find(dir, name, size);
	if (d && d->inode && (!is_regular(d->inode) || d->inode->ino != st.stx_ino)) { /* what had the name before */
		d_get(d);
		d_kill(d);
		d_put(d);
		d = NULL;
	}
	if (d) {
		d_get(d);
	} else if (inode) {
		d = d_add(dir, name, size, inode);
		inode = d ? NULL : inode;
	}
	f->dentry = d;
	tree_unlock();
	inode_put(inode);
	if (!d) {
		*error = -ENOMEM;
		file_put(f);
		return NULL;
	}
	return f;
}

/* A handle of a directory to give to dir_*; the mount's own one for its root (close_dir knows). */
static long open_dir(struct dentry *dir)
{
	char *path;
	ssize_t n;

	if (!dir->parent)
		return dir->mount->handle;
	path = pathbuf_get();
	if (!path)
		return -ENOMEM;
	n = host_path(dir, NULL, 0, path);
	if (n >= 0)
		n = hostcall(HC_file_open, dir->mount->handle, path, n, O_PATH | O_DIRECTORY | O_NOFOLLOW,
			     0);
	pathbuf_put(path);
	return n;
}

static void close_dir(struct dentry *dir, long handle)
{
	if (handle >= 0 && handle != dir->mount->handle)
		hostcall(HC_file_close, handle);
}

/* What the tree knows of a name, before the host changes it: 0 if nothing. */
static uint64_t known_name(struct dentry *dir, const char *name, size_t size)
{
	struct dentry *d;
	uint64_t known;

	tree_lock();
	d = d_find(dir, name, size);
	known = d ? d->cookie : 0;
	tree_unlock();
	return known;
}

/* What was known of a name is over; what another thread has entered meanwhile is not. */
static void forget_name(struct dentry *dir, const char *name, size_t size, uint64_t known)
{
	struct dentry *d;

	tree_lock();
	d = d_find(dir, name, size);
	if (d && d->cookie == known && !d->mounted && !(d->flags & D_MOUNTPOINT)) {
		d_get(d);
		d_kill(d);
		d_put(d);
	}
	tree_unlock();
}

static int hostfs_make(struct dentry *dir, const char *name, size_t size, uint32_t mode, const char *target)
{
	uint64_t known = known_name(dir, name, size);
	long h, err;

	if (!S_ISDIR(mode) && !target)
		return -EPERM;
	h = open_dir(dir);
	if (h < 0)
		return (int)h;
	if (target)
		err = hostcall(HC_dir_symlink, target, strlen(target), h, name, size);
	else
		err = hostcall(HC_dir_mkdir, h, name, size, mode & 07777);
	close_dir(dir, h);
	if (!err)
		forget_name(dir, name, size, known);
	return (int)err;
}

static bool is_mount_point(struct dentry *dir, const char *name, size_t size)
{
	struct dentry *d;
	bool is;

	tree_lock();
	d = d_find(dir, name, size);
	is = d && (d->mounted || (d->flags & (D_MOUNTPOINT | D_KEEP)));
	tree_unlock();
	return is;
}

/* A handle on d for changes of its metadata. */
static long open_path(struct dentry *d, int flags)
{
	char *path;
	ssize_t n;

	if (removed_dir(d) >= 0)
		return hostcall(HC_file_open, removed_dir(d), ".", 1, flags, 0);
	path = pathbuf_get();
	if (!path)
		return -ENOMEM;
	n = host_path(d, NULL, 0, path);
	if (n >= 0)
		n = hostcall(HC_file_open, d->mount->handle, path, n, flags | O_NOFOLLOW, 0);
	pathbuf_put(path);
	return n;
}

/* Before the name of a directory goes: if it is somebody's working directory, or open, one reference to it and a handle.
 * Else *handle is -1. */
static struct dentry *keep_used(struct dentry *dir, const char *name, size_t size, long *handle)
{
	struct dentry *d;

	*handle = -1;
	tree_lock();
	d = d_find(dir, name, size);
	if (d && d->refs && d->inode && is_dir(d->inode) && d->inode->ops == &hostfs_ops)
		d_get(d);
	else
		d = NULL;
	tree_unlock();
	if (d)
		*handle = open_path(d, O_PATH | O_DIRECTORY);
	return d;
}

/* The name went, or did not: consumes what keep_used gave. */
static void used_went(struct dentry *d, long handle, bool went)
{
	if (!d)
		return;
	tree_lock();
	if (went && handle >= 0 && host_inode(d->inode)->removed < 0) {
		host_inode(d->inode)->removed = (int)handle;
		handle = -1;
	}
	d_put(d);
	tree_unlock();
	handle_close(handle);
}

static int hostfs_unlink(struct dentry *dir, const char *name, size_t size, bool directory)
{
	uint64_t known = known_name(dir, name, size);
	struct dentry *used = NULL;
	long h, err, kept = -1;

	if (is_mount_point(dir, name, size))
		return -EBUSY;
	h = open_dir(dir);
	if (h < 0)
		return (int)h;
	if (directory)
		used = keep_used(dir, name, size, &kept);
	err = hostcall(HC_dir_unlink, h, name, size, directory ? AT_REMOVEDIR : 0);
	close_dir(dir, h);
	used_went(used, kept, !err);
	if (!err || err == -ENOENT)
		forget_name(dir, name, size, known);
	return (int)err;
}

/* Tree lock held. */
static void move_name(struct dentry *d, struct dentry *to, const char *name, size_t size)
{
	d_get(d);
	if (d_move(d, to, name, size))
		d_kill(d);
	d_put(d);
}

/* One object has two names in the tree, since another thread looked the new one up already: the one that is in use stays. Tree lock
 * held; the one that moves, or NULL. */
static struct dentry *drop_double(struct dentry *d, struct dentry *other)
{
	struct dentry *drop = d->refs ? other : d;

	d_get(drop);
	d_kill(drop);
	d_put(drop);
	return drop == d ? NULL : d;
}

/* known: of the new name, before. */
static void moved(struct dentry *dir, const char *name, size_t size, struct dentry *to, const char *to_name,
		  size_t to_size, unsigned flags, uint64_t known)
{
	struct dentry *d, *other;

	if (!(flags & RENAME_EXCHANGE))
		forget_name(to, to_name, to_size, known);
	tree_lock();
	d = d_find(dir, name, size);
	other = d_find(to, to_name, to_size);
	if (!(flags & RENAME_EXCHANGE)) {
		d = d && other ? drop_double(d, other) : d;
		other = NULL;
	}
	if (d && other)
		d_exchange(d, other);
	else if (d)
		move_name(d, to, to_name, to_size);
	else if (other)
		move_name(other, dir, name, size);
	tree_unlock();
}

static int hostfs_rename(struct dentry *dir, const char *name, size_t size, struct dentry *to, const char *to_name,
			 size_t to_size, unsigned flags)
{
	uint64_t known = known_name(to, to_name, to_size);
	struct dentry *used = NULL;
	long from_handle, to_handle, err, kept = -1;

	if (is_mount_point(dir, name, size) || is_mount_point(to, to_name, to_size))
		return -EBUSY;
	from_handle = open_dir(dir);
	if (from_handle < 0)
		return (int)from_handle;
	to_handle = dir == to ? from_handle : open_dir(to);
	err = to_handle;
	if (!(flags & (RENAME_EXCHANGE | RENAME_NOREPLACE)))
		used = keep_used(to, to_name, to_size, &kept);
	if (to_handle >= 0)
		err = hostcall(HC_dir_rename, from_handle, name, size, to_handle, to_name,
			       to_size | (uint64_t)flags << 32);
	if (to_handle != from_handle)
		close_dir(to, to_handle);
	close_dir(dir, from_handle);
	bool same = dir == to && size == to_size && memcmp(name, to_name, size) == 0;
	used_went(used, kept, !err && !same);
	if (!err && !same)
		moved(dir, name, size, to, to_name, to_size, flags, known);
	return (int)err;
}

static struct file *hostfs_open_path(struct dentry *d, int flags, int *error)
{
	long h = open_path(d, O_PATH);

	if (h >= 0)
		return hostfile_wrap((int)h, &hostpath_ops, flags, d, error);
	*error = (int)h;
	return NULL;
}

static int link_handle(long h, struct dentry *dir, const char *name, size_t size)
{
	long to = open_dir(dir), err = to;

	if (to >= 0)
		err = hostcall(HC_dir_link, h, to, name, size);
	close_dir(dir, to);
	return (int)err;
}

static int hostfs_link(struct dentry *d, struct dentry *dir, const char *name, size_t size)
{
	long h = open_path(d, O_PATH);
	int err;

	if (h < 0)
		return (int)h;
	err = link_handle(h, dir, name, size);
	hostcall(HC_file_close, h);
	return err;
}

int hostfile_link(const struct file *f, struct dentry *dir, const char *name, size_t size)
{
	return link_handle(hostfile_handle(f), dir, name, size);
}

static int hostfs_setattr(struct dentry *d, const struct attr *a)
{
	long h = open_path(d, a->valid & ATTR_SIZE ? O_WRONLY : O_PATH);
	int err;

	if (h < 0)
		return (int)h;
	err = host_set_attr(h, a);
	hostcall(HC_file_close, h);
	return err;
}

static int hostfs_statfs(struct dentry *d, struct statfs *st)
{
	return (int)hostcall(HC_file_statfs, d->mount->handle, st);
}

static void hostfs_release(struct inode *inode)
{
	handle_close(host_inode(inode)->removed);
	kfree(inode);
}

static const struct inode_ops hostfs_ops = {
	.name = "hostfs",
	.lookup = hostfs_lookup,
	.refresh = hostfs_refresh,
	.getattr = hostfs_getattr,
	.readlink = hostfs_readlink,
	.open = hostfs_open,
	.open_path = hostfs_open_path,
	.create = hostfs_create,
	.make = hostfs_make,
	.unlink = hostfs_unlink,
	.rename = hostfs_rename,
	.link = hostfs_link,
	.setattr = hostfs_setattr,
	.statfs = hostfs_statfs,
	.release = hostfs_release,
};

int hostfs_mount(struct mount *m, struct dentry **out)
{
	struct statx st;
	long err = hostcall(HC_file_stat, m->handle, 0, 0, STATX_BASIC_STATS, &st);

	if (err)
		return (int)err;
	*out = d_alloc_root(m, hostfs_inode(m, &st));
	return *out ? 0 : -ENOMEM;
}
