/*
 * Opening: from a path and flags to a struct file, and the small helpers about dentries that system calls share.
 * Called by sys_open.c and by the loader. A dentry may be older than what the host has: an answer that does not fit it
 * makes us forget it and ask again, once.
 */
#include "core/kheap.h"
#include "fs/hostfile.h"
#include "fs/inotify.h"
#include "fs/memfs.h"
#include "ipc/block.h"
#include "ipc/pipe.h"
#include "net/socket.h"
#include "served/served.h"
#include <linux/time.h>

#define OPEN_ONLY (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)
#define CREATE_TRIES 48u /* more than the links that a walk follows */

uint32_t process_umask(void)
{
	return __atomic_load_n(&current()->process->fs->umask, __ATOMIC_RELAXED);
}

void current_time(struct timespec *ts)
{
	int64_t now = clock_now(CLOCK_REALTIME_COARSE);

	ts->tv_sec = now / NSEC_PER_SEC;
	ts->tv_nsec = now % NSEC_PER_SEC;
}

int dentry_getattr(struct dentry *d, struct statx *st)
{
	memset(st, 0, sizeof *st);
	return d->inode->ops->getattr(d, st);
}

int dentry_setattr(struct dentry *d, const struct attr *attr)
{
	int err;

	if (d->mount->read_only)
		return -EROFS;
	err = d->inode->ops->setattr ? d->inode->ops->setattr(d, attr) : -EPERM;
	if (!err)
		notify_attributes(d, attr->valid);
	return err;
}

/* f->data: another dentry on the same inode, which outlives the name. */
static int path_stat(struct file *f, struct statx *st)
{
	return dentry_getattr(f->data ? f->data : f->dentry, st);
}

static void path_release(struct file *f)
{
	if (f->data)
		dentry_put(f->data);
}

const struct file_ops path_file_ops = { .name = "path", .stat = path_stat, .release = path_release };

/* O_PATH of a file without a path, by its magic link. It does not keep that open, but a memfd or a host's stream. */
struct held {
	struct file *file; /* owned reference, or NULL: it cannot be opened again */
	struct statx st;
	char path[288];
};

static int held_stat(struct file *f, struct statx *st)
{
	struct held *h = f->data;

	*st = h->st;
	return h->file ? file_stat(h->file, st) : 0;
}

static size_t held_path(struct file *f, char *buf, size_t size)
{
	size_t n = MIN(strlen(((struct held *)f->data)->path), size - 1);

	memcpy(buf, ((struct held *)f->data)->path, n);
	buf[n] = 0;
	return n;
}

static void held_release(struct file *f)
{
	struct held *h = f->data;

	if (h->file)
		file_put(h->file);
	kfree(h);
}

static const struct file_ops held_file_ops = { .name = "path", .stat = held_stat, .path = held_path, .release = held_release };

static bool cannot_be_opened(struct file *f)
{
	return socket_of(f) || (f->ops->stat == anon_stat && !served_is_file(f));
}

static struct file *hold(struct file *f, int flags, int *error)
{
	struct held *h = kzalloc(sizeof *h);
	struct file *path = h ? file_alloc(&held_file_ops, (uint32_t)flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW), h) : NULL;

	*error = path ? file_stat(f, &h->st) : -ENOMEM;
	if (!path) {
		kfree(h);
		return NULL;
	}
	file_path(f, h->path, sizeof h->path);
	if (!cannot_be_opened(f)) {
		file_get(f);
		h->file = f;
	}
	if (*error) {
		file_put(path);
		path = NULL;
	}
	return path;
}

static bool wants_write(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

struct file *open_dentry(struct dentry *d, int flags, int *error)
{
	struct inode *inode = d->inode;
	struct file *f = NULL;

	*error = 0;
	if ((flags & O_DIRECTORY) && !is_dir(inode)) {
		*error = -ENOTDIR;
	} else if ((flags & O_PATH) && inode->ops->open_path) {
		return inode->ops->open_path(d, flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW), error);
	} else if (flags & O_PATH) {
		f = file_alloc(&path_file_ops, (uint32_t)flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW), NULL);
		if (f && inode->ops == &memfs_ops)
			f->data = d_alloc_root(d->mount, inode_get(inode));
		if (f)
			f->dentry = dentry_get(d);
		else
			*error = -ENOMEM;
		return f;
	} else if (is_link(inode)) {
		*error = -ELOOP;
	} else if (is_dir(inode) && wants_write(flags)) {
		*error = -EISDIR;
	} else if (S_ISSOCK(inode->mode) || !inode->ops->open) {
		*error = -ENXIO;
	} else if (d->mount->read_only && wants_write(flags) && (is_regular(inode) || is_dir(inode))) {
		*error = -EROFS;
	}
	if (!*error)
		f = inode->ops->open(d, flags, error);
	if (f && !(flags & O_PATH))
		f->flags &= ~(uint32_t)OPEN_ONLY;
	if (f)
		notify_dentry(d, IN_OPEN);
	if (f && (flags & O_TRUNC) && is_regular(inode))
		notify_dentry(d, IN_MODIFY);
	return f;
}

/* May the open file stand for one that is opened with these flags? */
static int reopen_removed(struct file *f, int flags)
{
	int has = f->flags & O_ACCMODE, wants = flags & O_ACCMODE;

	if (has != O_RDWR && wants != has)
		return -EACCES;
	return (flags & O_TRUNC) && has != O_RDONLY && f->ops->truncate ? f->ops->truncate(f, 0) : 0;
}

/* A magic link led to a file without a path: memfds and pipes are opened anew; of a host's stream it is another reference to that very
 * file. */
static struct file *reopen(struct walk *w, int flags, int *error)
{
	struct file *f = w->file;

	if (flags & O_DIRECTORY) {
		*error = -ENOTDIR;
		return NULL;
	}
	if (f->ops == &held_file_ops && ((struct held *)f->data)->file) {
		w->file = ((struct held *)f->data)->file;
		file_get(w->file);
		file_put(f);
		f = w->file;
	}
	if (flags & O_PATH)
		return file_is_pipe(f) || file_is_pipe_path(f) ? pipe_open_path(f, flags, error) : hold(f, flags, error);
	if (f->ops == &held_file_ops) {
		*error = -ENXIO;
		return NULL;
	}
	if (cannot_be_opened(f)) {
		*error = -ENXIO;
		return NULL;
	}
	if (file_is_pipe(f) || file_is_pipe_path(f))
		return pipe_reopen(f, flags, error);
	if (f->ops == &memfile_ops) {
		f = memfile_open(f->data, NULL, flags, error);
		if (f)
			f->flags &= ~(uint32_t)OPEN_ONLY;
		return f;
	}
	if (f->ops == &hostfile_ops) { /* its name is gone, so no other can be made */
		*error = reopen_removed(f, flags);
		if (*error)
			return NULL;
	}
	w->file = NULL;
	return f;
}

static bool stale(int error)
{
	return error == -ENOENT || error == -ELOOP || error == -ENOTDIR || error == -EISDIR;
}

static struct file *open_existing(int dirfd, const char *path, int flags, unsigned walk_flags, int *error)
{
	struct file *f = NULL;
	struct walk w;

	if (!(flags & O_NOFOLLOW))
		walk_flags |= WALK_FOLLOW;
	if (flags & O_DIRECTORY)
		walk_flags |= WALK_DIRECTORY;
	for (unsigned trust = WALK_TRUST;; trust = 0) {
		*error = path_walk_at(&w, dirfd, path, walk_flags | trust);
		if (*error)
			return NULL;
		if (w.file)
			f = reopen(&w, flags, error);
		else
			f = open_dentry(w.dentry, flags, error);
		if (!f && trust && w.dentry && w.dentry->mount->handle >= 0 && stale(*error)) {
			d_doubt(w.dentry); /* what is the same then may be open, or somebody's working directory */
			walk_done(&w);
			continue;
		}
		walk_done(&w);
		return f;
	}
}

/* The last component of a WALK_PARENT walk, mounts crossed, one reference: NULL in *out if there is none. */
static int lookup_last(struct walk *w, enum lookup_trust trust, struct dentry **out)
{
	struct dentry *d;
	struct statx st;
	int err = d_lookup(w->dentry, w->name, w->name_size, trust, &d, &st);

	*out = NULL;
	if (err == -ENOENT)
		return 0;
	if (err)
		return err;
	if (d->mounted) {
		struct dentry *top = dentry_get(d->mounted);

		dentry_put(d);
		d = top;
	}
	if (d->inode)
		*out = d;
	else
		dentry_put(d);
	return 0;
}

/* One try of an O_CREAT open at the end of a WALK_PARENT walk: true to try again (a symlink was followed, or the host's
 * side changed between look-up and creation). */
static bool create_step(struct walk *w, int flags, uint32_t mode, unsigned tries, struct file **f, int *error)
{
	struct dentry *d;
	bool again = false;

	if (w->last == LAST_ROOT && !is_dir(w->dentry->inode)) { /* a magic link led to it */
		*f = open_dentry(w->dentry, flags & ~O_CREAT, error);
		return false;
	}
	*error = walk_up_last(w);
	if (*error)
		return false;
	if (w->last != LAST_NAME || w->trailing_slash) {
		*error = w->last != LAST_NAME && (flags & O_EXCL) ? -EEXIST : -EISDIR;
		return false;
	}
	*error = lookup_last(w, tries || (flags & O_EXCL) ? LOOKUP_FRESH : LOOKUP_TRUST, &d);
	if (*error)
		return false;
	if (!d) {
		if (w->dentry->mount->read_only)
			*error = -EROFS;
		else if (!w->dentry->inode->ops->create)
			*error = w->dentry->mount->type == BOOT_MOUNT_PROC ? -ENOENT : -EACCES;
		else
			*f = w->dentry->inode->ops->create(w->dentry, w->name, w->name_size, flags, mode, error);
		if (*f) {
			(*f)->flags &= ~(uint32_t)OPEN_ONLY;
			notify_name(w->dentry, w->name, w->name_size, IN_CREATE, 0);
			notify_dentry((*f)->dentry, IN_OPEN);
		}
		return !*f && *error == -EEXIST && !(flags & O_EXCL);
	}
	if (flags & O_EXCL) {
		*error = -EEXIST;
	} else if (is_link(d->inode)) {
		*error = flags & O_NOFOLLOW ? -ELOOP : walk_follow_last(w, d);
		again = !*error;
		if (again && w->file) {
			*f = reopen(w, flags, error);
			again = false;
		}
	} else if (is_dir(d->inode)) {
		*error = -EISDIR;
	} else {
		*f = open_dentry(d, flags & ~O_CREAT, error);
		again = !*f && stale(*error);
		if (again)
			d_doubt(d);
	}
	dentry_put(d);
	return again;
}

static struct file *open_create(int dirfd, const char *path, int flags, uint32_t mode, unsigned walk_flags, int *error)
{
	struct file *f = NULL;
	bool again = true;
	struct walk w;

	*error = path_walk_at(&w, dirfd, path, walk_flags | WALK_PARENT);
	if (*error)
		return NULL;
	for (unsigned tries = 0; again && tries < CREATE_TRIES; tries++)
		again = create_step(&w, flags, mode, tries, &f, error);
	if (again && !*error)
		*error = -ELOOP; /* a link as often as that, changed by others in between */
	walk_done(&w);
	return f;
}

static struct file *open_unnamed(int dirfd, const char *path, int flags, uint32_t mode, unsigned walk_flags, int *error)
{
	struct file *f = NULL;
	struct walk w;

	if ((flags & O_ACCMODE) == O_RDONLY) {
		*error = -EINVAL;
		return NULL;
	}
	*error = path_walk_at(&w, dirfd, path, walk_flags | WALK_FOLLOW | WALK_DIRECTORY);
	if (*error)
		return NULL;
	*error = -EOPNOTSUPP;
	if (w.dentry->mount->read_only)
		*error = -EROFS;
	else if (w.dentry->inode->ops->create)
		f = w.dentry->inode->ops->create(w.dentry, NULL, 0, flags & ~O_TMPFILE, mode, error);
	if (f)
		f->flags = (f->flags & ~(uint32_t)OPEN_ONLY) | O_TMPFILE;
	walk_done(&w);
	return f;
}

struct file *open_how(int dirfd, const char *path, int flags, int mode, unsigned walk_flags, int *error)
{
	uint32_t perms = (uint32_t)mode & 07777 & ~process_umask();

	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if ((flags & O_TMPFILE) == O_TMPFILE)
		return open_unnamed(dirfd, path, flags, perms, walk_flags, error);
	if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY)) {
		*error = -EINVAL;
		return NULL;
	}
	if (flags & O_CREAT)
		return open_create(dirfd, path, flags, perms, walk_flags, error);
	return open_existing(dirfd, path, flags, walk_flags, error);
}

struct file *vfs_open(const char *path, int flags, int mode, int *error)
{
	return open_how(AT_FDCWD, path, flags, mode, 0, error);
}

int vfs_check_executable(struct file *f)
{
	struct statx st;
	int err = file_stat(f, &st);

	if (err)
		return err;
	return S_ISREG(st.stx_mode) && (st.stx_mode & 0111) ? 0 : -EACCES;
}

struct inode *vfs_socket_bind(const char *path, int mode, int *error)
{
	struct mem_inode *inode = NULL;
	struct walk w;

	*error = path_walk(&w, NULL, path, WALK_PARENT);
	if (*error)
		return NULL;
	if (w.last != LAST_NAME || w.trailing_slash)
		*error = -EADDRINUSE;
	else if (w.dentry->mount->read_only)
		*error = -EROFS;
	else if (w.dentry->inode->ops != &memfs_ops)
		*error = -EPERM;
	else if (!(inode = mem_inode_in(w.dentry, S_IFSOCK | ((uint32_t)mode & 07777 & ~process_umask()))))
		*error = -ENOMEM;
	if (!*error) {
		inode_get(&inode->base);
		*error = mem_enter(w.dentry, w.name, w.name_size, inode, NULL);
		if (*error) {
			inode_put(&inode->base);
			*error = *error == -EEXIST ? -EADDRINUSE : *error;
		}
	}
	walk_done(&w);
	return *error ? NULL : &inode->base;
}

struct inode *vfs_socket_lookup(const char *path, int *error)
{
	struct inode *inode = NULL;
	struct walk w;

	*error = path_walk(&w, NULL, path, WALK_FOLLOW);
	if (*error)
		return NULL;
	if (w.dentry && S_ISSOCK(w.dentry->inode->mode))
		inode = inode_get(w.dentry->inode);
	else
		*error = -ECONNREFUSED;
	walk_done(&w);
	return inode;
}
