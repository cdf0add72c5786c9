/*
 * The overlay's lower side: looking names up in the read-only host directory, and copy-up. Called by memfs.c and
 * memfile.c. The host directory is expected not to change; when it does, names and attributes that are still clean
 * follow within CACHE_MS, or twice that where fs/dir_cache.h knows the directory. Hard links below become separate files once copied up, and a descriptor that was opened for
 * reading before a copy-up keeps reading the lower file (as Linux's overlayfs does).
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "fs/dir_cache.h"
#include "fs/hostfile.h"
#include "fs/memfs.h"

#define COPY_SIZE (256u << 10)

static struct timespec time_of(const struct statx_timestamp *t)
{
	return (struct timespec){ t->tv_sec, t->tv_nsec };
}

struct mem_inode *overlay_inode(struct mount *m, const char *lower, struct statx *st)
{
	struct mem_inode *inode = kzalloc(sizeof *inode);

	if (!inode)
		return NULL;
	inode_init(&inode->base, &memfs_ops, m, st->stx_mode, st->stx_ino);
	inode->lower = kstrdup(lower);
	if (!inode->lower) {
		kfree(inode);
		return NULL;
	}
	owner_from_host(st);
	inode->memobj = -1;
	inode->nlink = st->stx_nlink;
	inode->uid = st->stx_uid;
	inode->gid = st->stx_gid;
	inode->rdev_major = st->stx_rdev_major;
	inode->rdev_minor = st->stx_rdev_minor;
	inode->size = (off_t)st->stx_size;
	inode->blocks = st->stx_blocks;
	inode->atime = time_of(&st->stx_atime);
	inode->mtime = time_of(&st->stx_mtime);
	inode->ctime = time_of(&st->stx_ctime);
	inode->btime = time_of(&st->stx_btime);
	return inode;
}

void overlay_refresh(struct inode *base, struct inode *fresh_base)
{
	struct mem_inode *inode = mem_inode(base), *fresh = mem_inode(fresh_base);

	if (inode->upper)
		return;
	base->mode = fresh_base->mode;
	inode->nlink = fresh->nlink;
	inode->uid = fresh->uid;
	inode->gid = fresh->gid;
	inode->size = fresh->size;
	inode->blocks = fresh->blocks;
	inode->atime = fresh->atime;
	inode->mtime = fresh->mtime;
	inode->ctime = fresh->ctime;
}

int overlay_lookup(struct dentry *dir, const char *name, size_t size, struct inode **out, struct statx *st)
{
	const char *parent = mem_inode(dir->inode)->lower;
	size_t used = strlen(parent);
	struct mem_inode *inode;
	char *path;
	long err;

	if (used + size + 2 > PATH_SIZE)
		return -ENAMETOOLONG;
	path = pathbuf_get();
	if (!path)
		return -ENOMEM;
	memcpy(path, parent, used);
	if (used)
		path[used++] = '/';
	memcpy(path + used, name, size);
	path[used + size] = 0;
	err = dir_cache_stat(dir->mount->handle, path, used + size, STATX_BASIC_STATS | STATX_BTIME, st);
	if (err == -EXDEV) { /* a mount of the host */
		*out = stub_inode(dir->mount->handle, parent, name, size);
		err = *out ? 0 : -ENOMEM;
	} else if (!err) {
		inode = overlay_inode(dir->mount, path, st);
		if (inode) {
			inode->hosts = S_ISREG(inode->base.mode) && hosts_is_at(dir->mount, path);
			*out = &inode->base;
		} else {
			err = -ENOMEM;
		}
	}
	pathbuf_put(path);
	st->stx_mask = 0; /* attributes are the inode's */
	return err == -ENOENT || err == -ENOTDIR ? 1 : (int)err;
}

long overlay_open_lower(struct mem_inode *inode, int flags)
{
	const char *path = *inode->lower ? inode->lower : ".";

	return dir_cache_open(inode->base.mount->handle, path, strlen(path), (unsigned)flags | O_NOFOLLOW | O_LARGEFILE);
}

/* Contents of the lower file into memory. inode->lock held; the inode's size is the lower file's from here. */
static int copy_contents(struct mem_inode *inode)
{
	off_t size = inode->size, at = 0;
	long h = overlay_open_lower(inode, O_RDONLY), n = 0;
	uint8_t *buf;

	if (h < 0)
		return (int)h;
	buf = kmalloc(COPY_SIZE);
	inode->size = 0;
	if (!buf)
		n = -ENOMEM;
	else if ((uint64_t)size > COPY_SIZE * 4ull)
		n = mem_to_object(inode, (uint64_t)size);
	while (n >= 0) {
		do
			n = hostcall(HC_file_pread, h, buf, COPY_SIZE, at);
		while (retry_file_call(&n));
		if (n <= 0)
			break;
		struct iovec iov = { buf, (size_t)n };
		ssize_t put = mem_write(inode, &iov, 1, at);

		if (put != n) {
			n = put < 0 ? put : -ENOSPC;
			break;
		}
		at += n;
	}
	kfree(buf);
	hostcall(HC_file_close, h);
	if (n < 0) {
		mem_drop(inode);
		inode->size = size;
	}
	return (int)n;
}

static int copy_link(struct mem_inode *inode)
{
	char *buf = pathbuf_get();
	long n;

	if (!buf)
		return -ENOMEM;
	n = hostcall(HC_file_readlink, inode->base.mount->handle, inode->lower, strlen(inode->lower), buf,
		     PATH_SIZE - 1);
	if (n >= 0) {
		buf[n] = 0;
		inode->text = kstrdup(buf);
		n = inode->text ? 0 : -ENOSPC;
	}
	pathbuf_put(buf);
	return (int)n;
}

int overlay_copy_up(struct dentry *d, bool discard)
{
	struct mem_inode *inode = mem_inode(d->inode);
	int err = 0;

	if (inode->upper)
		return 0;
	tree_lock();
	if (d->parent && !(d->flags & D_DEAD))
		d_pin(d);
	tree_unlock();
	mutex_lock(&inode->lock);
	if (!inode->upper) {
		if (S_ISREG(inode->base.mode)) {
			if (discard)
				inode->size = 0;
			else
				err = copy_contents(inode);
		} else if (S_ISLNK(inode->base.mode)) {
			err = copy_link(inode);
		}
		if (!err) {
			if (!S_ISDIR(inode->base.mode)) {
				inode->nlink = MIN(inode->nlink, 1u); /* other names stay below; it may be removed already */
				kfree(inode->lower);
				inode->lower = NULL;
			}
			inode->upper = true;
		}
	}
	mutex_unlock(&inode->lock);
	return err;
}
