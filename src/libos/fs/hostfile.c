/*
 * Open files behind a host handle. The libOS keeps the offset of regular files, so read and pread are one hostcall with
 * the program's own buffer; the host kernel checks buffers and rights. Appending is left to the host (it alone knows
 * the end of a shared file): afterwards the offset is unknown (-1) until somebody asks. Called through file_ops.
 */
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "fs/dir_cache.h"
#include "fs/handle_cache.h"
#include "fs/hostfile.h"
#include "fs/mapped.h"
#include "process/turn.h"

static uint32_t g_host_uid, g_host_gid; /* never change after owner_init */

/* A memory object belongs to whom the monitor runs as. */
void owner_init(void)
{
	long h = hostcall(HC_memobj_create, 0);
	struct statx st = { 0 };

	if (h < 0)
		return;
	if (!hostcall(HC_file_stat, h, 0, 0, STATX_UID | STATX_GID, &st)) {
		g_host_uid = st.stx_uid;
		g_host_gid = st.stx_gid;
	}
	hostcall(HC_file_close, h);
}

void owner_from_host(struct statx *st)
{
	const struct libos_boot *boot = current()->process->boot;

	if (st->stx_uid == g_host_uid)
		st->stx_uid = boot->uid;
	if (st->stx_gid == g_host_gid)
		st->stx_gid = boot->gid;
}

uint32_t owner_to_host(uint32_t id, bool group)
{
	const struct libos_boot *boot = current()->process->boot;

	if (group)
		return id == boot->gid ? g_host_gid : id;
	return id == boot->uid ? g_host_uid : id;
}

uint32_t host_file_system(long handle)
{
	struct statfs st;

	return hostcall(HC_file_statfs, handle, &st) ? 0 : (uint32_t)st.f_type;
}

/* Who owns it already needs no asking: the host lets only root change that. */
static long set_owner(long handle, const struct attr *a)
{
	struct statx st;
	long err = hostcall(HC_file_stat, handle, 0, 0, STATX_UID | STATX_GID, &st);

	if (err)
		return err;
	owner_from_host(&st);
	bool same_uid = !(a->valid & ATTR_UID) || a->uid == st.stx_uid;
	bool same_gid = !(a->valid & ATTR_GID) || a->gid == st.stx_gid;
	if (same_uid && same_gid)
		return 0;
	return hostcall(HC_file_chown, handle, same_uid ? -1 : (long)owner_to_host(a->uid, false), same_gid ? -1 : (long)owner_to_host(a->gid, true));
}

int host_set_attr(long handle, const struct attr *a)
{
	static const struct timespec omit = { 0, UTIME_OMIT };
	struct timespec times[2] = { a->valid & ATTR_ATIME ? a->times[0] : omit, a->valid & ATTR_MTIME ? a->times[1] : omit };
	long err = 0;

	if (a->valid & ATTR_SIZE)
		err = hostcall(HC_file_truncate, handle, a->size);
	if (!err && (a->valid & (ATTR_UID | ATTR_GID)))
		err = set_owner(handle, a);
	if (!err && (a->valid & ATTR_MODE))
		err = hostcall(HC_file_chmod, handle, a->mode & 07777);
	if (!err && (a->valid & (ATTR_ATIME | ATTR_MTIME)))
		err = hostcall(HC_file_utimes, handle, times);
	return (int)err;
}

static long transfer(long nr_one, long nr_vector, struct file *f, const struct iovec *iov, unsigned count, off_t offset)
{
	long done = 0, n;

	if (likely(count == 1)) {
		do
			n = hostcall(nr_one, hostfile_handle(f), iov->iov_base, iov->iov_len, offset);
		while (retry_file_call(&n));
		return n;
	}
	while (count) {
		unsigned batch = MIN(count, HC_IOV_MAX);
		size_t want = 0;

		for (unsigned i = 0; i < batch; i++)
			want += iov[i].iov_len;
		do
			n = hostcall(nr_vector, hostfile_handle(f), iov, batch, offset < 0 ? -1 : offset + done);
		while (retry_file_call(&n));
		if (n < 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < want)
			break;
		iov += batch;
		count -= batch;
	}
	return done;
}

/* After an append: where the host's own offset is now. */
static long learn_position(struct file *f, off_t *pos)
{
	long at = hostcall(HC_file_seek, hostfile_handle(f), 0, SEEK_CUR);

	if (at >= 0)
		*pos = at;
	return at;
}

static ssize_t hostfile_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	long n;

	if (unlikely(*pos < 0) && (n = learn_position(f, pos)) < 0)
		return n;
	n = count == 1 ? mapped_read(f, iov->iov_base, iov->iov_len, *pos) : -1;
	if (n < 0)
		n = transfer(HC_file_pread, HC_file_readv, f, iov, count, *pos);
	if (likely(n > 0))
		*pos += n;
	return n;
}

static ssize_t hostfile_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	long n;

	if (f->flags & O_APPEND) {
		/* The host's offset moves: where a positioned write leaves the file's own alone, ask for that first. */
		if (pos != &f->pos && f->pos < 0 && (n = learn_position(f, &f->pos)) < 0)
			return n;
		n = transfer(HC_file_write, HC_file_writev, f, iov, count, -1);
		if (n > 0 && pos == &f->pos)
			*pos = -1;
		return n;
	}
	if (unlikely(*pos < 0) && (n = learn_position(f, pos)) < 0)
		return n;
	n = transfer(HC_file_pwrite, HC_file_writev, f, iov, count, *pos);
	if (likely(n > 0))
		*pos += n;
	return n;
}

#define HOST_OFFSET_BITS 40 /* every file system has that */

static off_t hostfile_seek(struct file *f, off_t offset, int whence)
{
	long base = 0;

	/* what follows moves the host's offset, and may fail then */
	if (unlikely(f->pos < 0) && whence != SEEK_SET && (base = learn_position(f, &f->pos)) < 0)
		return base;
	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		base = f->pos;
		break;
	case SEEK_END:
		base = hostcall(HC_file_seek, hostfile_handle(f), 0, SEEK_END);
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		base = hostcall(HC_file_seek, hostfile_handle(f), offset, whence);
		offset = 0;
		break;
	default:
		return -EINVAL;
	}
	if (base < 0)
		return base;
	if (__builtin_add_overflow(base, offset, &offset) || offset < 0)
		return -EINVAL;
	if (offset >> HOST_OFFSET_BITS) { /* where the end is, the host's file system says */
		base = hostcall(HC_file_seek, hostfile_handle(f), offset, SEEK_SET);
		if (base < 0)
			return base;
	}
	f->pos = offset;
	return offset;
}

static int hostfile_stat(struct file *f, struct statx *st)
{
	long err = hostcall(HC_file_stat, hostfile_handle(f), 0, 0, STATX_BASIC_STATS | STATX_BTIME, st);

	if (!err)
		owner_from_host(st);
	if (!err && f->dentry && f->dentry->mount->type == BOOT_MOUNT_OVERLAY)
		statx_anonymous_device(st, f->dentry->mount);
	return (int)err;
}

static int hostfile_map_handle(struct file *f, int prot, int flags, off_t *offset, size_t size)
{
	(void)prot, (void)flags, (void)offset, (void)size;
	return hostfile_handle(f);
}

static int hostfile_truncate(struct file *f, off_t size)
{
	return (int)hostcall(HC_file_truncate, hostfile_handle(f), size);
}

static int hostfile_sync(struct file *f, bool data_only)
{
	return (int)hostcall(HC_file_sync, hostfile_handle(f), data_only);
}

static int hostfile_allocate(struct file *f, int mode, off_t offset, off_t size)
{
	long err;

	do
		err = hostcall(HC_file_allocate, hostfile_handle(f), mode, offset, size);
	while (retry_file_call(&err));
	return (int)err;
}

static int hostfile_set_flags(struct file *f, uint32_t flags)
{
	f->kind |= HF_CHANGED;
	/* Without O_APPEND the offset is ours again. */
	if ((f->flags & O_APPEND) && !(flags & O_APPEND) && f->pos < 0 && learn_position(f, &f->pos) < 0)
		f->pos = 0;
	return (int)hostcall(HC_file_setfl, hostfile_handle(f), flags & (O_APPEND | O_NONBLOCK));
}

static int hostfile_flock(struct file *f, int operation)
{
	long err;

	f->kind |= HF_CHANGED;
	turn_release(current());
	do
		err = hostcall_blocking(HC_file_flock, hostfile_handle(f), operation);
	while (retry_hostcall(&err));
	turn_resume(current());
	return (int)err;
}

static uint32_t always_ready(struct file *f)
{
	(void)f;
	return 0x1 | 0x4 | 0x40 | 0x100; /* EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM */
}

static long hostfile_ioctl(struct file *f, unsigned long request, void *user)
{
	struct statx st;
	long err;
	int left;

	if (request != 0x541b) /* FIONREAD */
		return -ENOTTY;
	err = hostfile_stat(f, &st);
	if (err)
		return err;
	left = (int)((off_t)st.stx_size - file_position(f));
	return copy_to_user(user, &left, sizeof left);
}

static void hostfile_release(struct file *f)
{
	if (f->kind & HF_LOCKED)
		hostlock_forget(f);
	mapped_release(f);
	if (!handle_cache_keep(f))
		hostcall(HC_file_close, hostfile_handle(f));
}

const struct file_ops hostfile_ops = {
	.name = "hostfs",
	.positioned = true,
	.read = hostfile_read,
	.write = hostfile_write,
	.seek = hostfile_seek,
	.ioctl = hostfile_ioctl,
	.poll = always_ready,
	.map_handle = hostfile_map_handle,
	.stat = hostfile_stat,
	.truncate = hostfile_truncate,
	.sync = hostfile_sync,
	.allocate = hostfile_allocate,
	.set_flags = hostfile_set_flags,
	.lock = hostlock_fcntl,
	.flock = hostfile_flock,
	.on_close = hostlock_on_close,
	.release = hostfile_release,
};

static void hostpath_release(struct file *f)
{
	hostcall(HC_file_close, hostfile_handle(f));
}

/* O_PATH */
const struct file_ops hostpath_ops = { .name = "path", .stat = hostfile_stat, .release = hostpath_release };

bool hostfile_is_named(const struct file *f)
{
	return f->dentry && f->dentry->mount->type == BOOT_MOUNT_HOST && (f->ops == &hostfile_ops || f->ops == &hostdir_ops || f->ops == &hostpath_ops);
}

ssize_t hostfile_readlink(const struct file *f, char *buf, size_t size)
{
	return hostcall(HC_file_readlink, hostfile_handle(f), 0, 0, buf, size);
}

/* Directories */

static ssize_t directory_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	(void)f, (void)iov, (void)count, (void)pos;
	return -EISDIR;
}

static off_t hostdir_seek(struct file *f, off_t offset, int whence)
{
	f->kind &= ~HF_STUBS_DONE;
	return hostcall(HC_file_seek, hostfile_handle(f), offset, whence);
}

/* Mount points that the host directory lacks, behind what it has. */
static ssize_t list_stubs(struct file *f, void *user, size_t size)
{
	struct dirent_writer w = { .user = user, .size = size };
	bool all = true;

	tree_lock();
	list_for_each(p, &f->dentry->children) {
		struct dentry *d = list_entry(p, struct dentry, siblings);

		if (d->flags & D_MOUNTPOINT)
			all = all && dirent_put(&w, d->name, d->name_size, d->inode->ino, mode_to_dt(S_IFDIR),
						0x7fffffffffffff00);
	}
	tree_unlock();
	f->kind |= HF_STUBS_DONE;
	return dirent_result(&w, all);
}

static ssize_t hostdir_getdents(struct file *f, void *user, size_t size)
{
	long n = hostcall(HC_file_getdents, hostfile_handle(f), user, size);

	if (n == 0 && f->dentry && !(f->kind & HF_STUBS_DONE) && !list_empty(&f->dentry->children))
		return list_stubs(f, user, size);
	return n;
}

const struct file_ops hostdir_ops = {
	.name = "hostfs",
	.read = directory_read,
	.seek = hostdir_seek,
	.stat = hostfile_stat,
	.sync = hostfile_sync,
	.getdents = hostdir_getdents,
	.lock = hostlock_fcntl,
	.flock = hostfile_flock,
	.on_close = hostlock_on_close,
	.release = hostfile_release,
};

struct file *hostfile_wrap(int handle, const struct file_ops *ops, int flags, struct dentry *d, int *error)
{
	struct file *f = file_alloc(ops, (uint32_t)flags, (void *)(intptr_t)handle);

	if (!f) {
		hostcall(HC_file_close, handle);
		*error = -ENOMEM;
		return NULL;
	}
	if (d)
		f->dentry = dentry_get(d);
	return f;
}

struct file *hostfile_cached(struct dentry *d, int flags, const struct statx *now)
{
	int handle = handle_cache_take(d, now);
	struct file *f = handle < 0 ? NULL : file_alloc(&hostfile_ops, (uint32_t)flags, (void *)(intptr_t)handle);

	if (f) {
		f->kind = HF_CACHED;
		f->dentry = dentry_get(d);
	} else if (handle >= 0) {
		handle_cache_give(handle);
	}
	return f;
}

struct file *hostfile_open(struct dentry *d, const char *path, size_t path_size, int flags, uint32_t mode, int *error)
{
	unsigned long host_flags = (unsigned)(flags & (O_ACCMODE | O_APPEND | O_TRUNC | O_CREAT | O_EXCL | O_DIRECTORY |
						       O_SYNC | O_DSYNC | O_NOATIME | O_NONBLOCK)) |
				   O_NOFOLLOW | O_LARGEFILE;
	bool dir = is_dir(d->inode) && !(flags & O_CREAT);
	long h;

	if (dir)
		host_flags |= O_DIRECTORY; /* one host call, where other kinds need a look first */
	h = hostcall(HC_file_open, d->mount->handle, path, path_size, host_flags, mode);
	if (h == -EMFILE && dir_cache_drop())
		h = hostcall(HC_file_open, d->mount->handle, path, path_size, host_flags, mode);
	if (h < 0) {
		*error = (int)h;
		return NULL;
	}
	return hostfile_wrap((int)h, dir ? &hostdir_ops : &hostfile_ops, flags, flags & O_CREAT ? NULL : d, error);
}
