/*
 * Open regular files in memory, and memfd_create. f->data is the inode (owned reference); f->dentry is missing for
 * memfds. Called through file_ops; buffers are the program's.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/dir_cache.h"
#include "fs/handle_cache.h"
#include "fs/hostfile.h"
#include "fs/memfs.h"
#include "mm/mm.h"
#include <linux/falloc.h>
#include <linux/memfd.h>

#define MAP_OBJECT_MIN (64u << 10) /* smaller private mappings are copied: a memory object costs a host handle */

static struct mem_inode *inode_of(const struct file *f)
{
	return f->data;
}

static ssize_t memfile_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct mem_inode *inode = inode_of(f);
	ssize_t n;

	mutex_lock(&inode->lock);
	n = mem_read(inode, iov, count, *pos);
	mutex_unlock(&inode->lock);
	if (n > 0)
		*pos += n;
	return n;
}

static ssize_t memfile_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct mem_inode *inode = inode_of(f);
	off_t at;
	ssize_t n;

	mutex_lock(&inode->lock);
	at = f->flags & O_APPEND ? inode->size : *pos;
	if (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_GROW)) {
		off_t end = at;

		for (unsigned i = 0; i < count; i++)
			end += (off_t)iov[i].iov_len;
		bool sealed = (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) || end > inode->size;
		n = sealed && end > at ? -EPERM : mem_write(inode, iov, count, at);
	} else {
		n = mem_write(inode, iov, count, at);
	}
	if (n > 0) {
		if (current()->process->euid)
			inode->base.mode &= ~(uint32_t)(S_ISUID | (inode->base.mode & S_IXGRP ? S_ISGID : 0));
		mem_touch(inode, true);
	}
	mutex_unlock(&inode->lock);
	if (n > 0 && (!(f->flags & O_APPEND) || pos == &f->pos))
		*pos = at + n;
	return n;
}

static off_t memfile_seek(struct file *f, off_t offset, int whence)
{
	struct mem_inode *inode = inode_of(f);

	if (whence == SEEK_DATA || whence == SEEK_HOLE) {
		mutex_lock(&inode->lock);
		offset = mem_seek_data(inode, offset, whence == SEEK_HOLE);
		mutex_unlock(&inode->lock);
		if (offset < 0)
			return offset;
		whence = SEEK_SET;
	}
	return file_seek_within(f, offset, whence, inode->size);
}

static int memfile_map_handle(struct file *f, int prot, int flags, off_t *offset, size_t size)
{
	struct mem_inode *inode = inode_of(f);
	bool shared = (flags & 3) == 1; /* MAP_SHARED of <asm/mman.h> */
	uint64_t end = MAX((uint64_t)inode->size, 1ull);
	int ret;

	(void)offset;
	if (prot & 4 /* PROT_EXEC */) /* no image is kept of what changes and goes so easily */
		return -ENOTBLK;
	if (shared && (prot & 2) && (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return -EPERM;
	if (!shared && inode->memobj < 0 && size < MAP_OBJECT_MIN)
		return -ENOTBLK;
	mutex_lock(&inode->lock);
	ret = mem_to_object(inode, end);
	if (!ret) {
		inode->mapped = true;
		ret = inode->memobj;
	}
	mutex_unlock(&inode->lock);
	return ret < 0 && !shared ? -ENOTBLK : ret;
}

static int memfile_stat(struct file *f, struct statx *st)
{
	struct mem_inode *inode = inode_of(f);

	mutex_lock(&inode->lock);
	mem_fill_stat(inode, st);
	mutex_unlock(&inode->lock);
	return 0;
}

static int memfile_truncate(struct file *f, off_t size)
{
	struct mem_inode *inode = inode_of(f);
	int err;

	mutex_lock(&inode->lock);
	err = mem_truncate(inode, size);
	if (!err)
		mem_touch(inode, true);
	mutex_unlock(&inode->lock);
	return err;
}

static int memfile_allocate(struct file *f, int mode, off_t offset, off_t size)
{
	struct mem_inode *inode = inode_of(f);
	int err;

	mutex_lock(&inode->lock);
	err = mem_allocate(inode, mode, offset, size);
	if (!err)
		mem_touch(inode, true);
	mutex_unlock(&inode->lock);
	return err;
}

static int memfile_sync(struct file *f, bool data_only)
{
	(void)f, (void)data_only;
	return 0;
}

static uint32_t memfile_poll(struct file *f)
{
	(void)f;
	return 0x1 | 0x4 | 0x40 | 0x100; /* EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM */
}

static long memfile_ioctl(struct file *f, unsigned long request, void *user)
{
	int left = (int)(inode_of(f)->size - f->pos); /* below 0 behind the end */

	return request == 0x541b ? copy_to_user(user, &left, sizeof left) : -ENOTTY; /* FIONREAD */
}

static size_t memfile_name(struct file *f, char *buf, size_t size)
{
	const char *name = inode_of(f)->text;
	int n = format(buf, size, "/memfd:%s (deleted)", name ? name : "");

	return MIN((size_t)n, size - 1);
}

static void memfile_release(struct file *f)
{
	if (f->kind & HF_LOCKED)
		memlock_forget(f);
	inode_put(&inode_of(f)->base);
}

const struct file_ops memfile_ops = {
	.name = "tmpfs",
	.positioned = true,
	.read = memfile_read,
	.write = memfile_write,
	.seek = memfile_seek,
	.ioctl = memfile_ioctl,
	.poll = memfile_poll,
	.map_handle = memfile_map_handle,
	.stat = memfile_stat,
	.path = memfile_name,
	.truncate = memfile_truncate,
	.sync = memfile_sync,
	.allocate = memfile_allocate,
	.lock = memlock_fcntl,
	.flock = memlock_flock,
	.on_close = hostlock_on_close,
	.release = memfile_release,
};

struct file *memfile_open(struct mem_inode *inode, struct dentry *d, int flags, int *error)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
	struct statx st;
	struct file *f;
	long h;

	*error = 0;
	if (unlikely(inode->hosts) && d)
		hosts_complete(d);
	if (!inode->upper && !writes) {
		if (d && handle_cache_waits(d, flags) &&
		    !dir_cache_stat(inode->base.mount->handle, inode->lower, strlen(inode->lower), HANDLE_CACHE_MASK, &st) &&
		    (f = hostfile_cached(d, flags, &st)) != NULL)
			return f;
		h = overlay_open_lower(inode, O_RDONLY);
		*error = (int)h;
		return h < 0 ? NULL : hostfile_wrap((int)h, &hostfile_ops, flags, d, error);
	}
	if (!inode->upper)
		*error = overlay_copy_up(d, flags & O_TRUNC);
	if (!*error && (flags & O_TRUNC)) {
		mutex_lock(&inode->lock);
		*error = mem_truncate(inode, 0);
		mem_touch(inode, true);
		mutex_unlock(&inode->lock);
	}
	if (*error)
		return NULL;
	f = file_alloc(&memfile_ops, (uint32_t)flags, inode);
	if (!f) {
		*error = -ENOMEM;
		return NULL;
	}
	inode_get(&inode->base);
	f->dentry = d ? dentry_get(d) : NULL;
	return f;
}

struct file *memfd_new(const char *name, uint32_t mode, uint32_t seals, int *error)
{
	static struct mount memfd_mount = { .type = BOOT_MOUNT_TMPFS, .handle = -1, .id = MOUNTS_MAX };
	struct mem_inode *inode = mem_inode_new(&memfd_mount, S_IFREG | mode);
	struct file *f = NULL;

	*error = -ENOMEM;
	if (!inode)
		return NULL;
	inode->nlink = 0;
	inode->seals = seals;
	inode->text = kstrdup(name);
	if (inode->text)
		f = memfile_open(inode, NULL, O_RDWR, error);
	inode_put(&inode->base);
	return f;
}

bool memfile_write_sealed(const struct file *f)
{
	return f->ops == &memfile_ops && (inode_of(f)->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE));
}

long memfile_seals(struct file *f, int cmd, unsigned long seals)
{
	struct mem_inode *inode = f->data;
	long ret = 0;

	if (cmd == F_ADD_SEALS && (f->flags & O_ACCMODE) == O_RDONLY)
		return -EPERM;
	if (f->ops != &memfile_ops || f->dentry)
		return -EINVAL;
	if (cmd == F_GET_SEALS)
		return inode->seals;
	if (seals & ~(unsigned long)(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC))
		return -EINVAL;
	if ((seals & F_SEAL_WRITE) && !mm_keep_unshared(f->ops, inode))
		return inode->seals & F_SEAL_SEAL ? -EPERM : -EBUSY;
	mutex_lock(&inode->lock);
	if ((seals & F_SEAL_EXEC) && (inode->base.mode & 0111))
		seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
	if (inode->seals & F_SEAL_SEAL)
		ret = -EPERM;
	else
		inode->seals |= (uint32_t)seals;
	mutex_unlock(&inode->lock);
	if (seals & F_SEAL_WRITE)
		mm_let_map();
	return ret;
}
