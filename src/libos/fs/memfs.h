/*
 * File systems in memory: tmpfs, and the overlay, which is a tmpfs whose inodes may still have a *lower* side: a path in
 * a read-only host directory. A clean inode is the host's (attributes at most CACHE_MS old, contents read by host
 * handles); the first change makes it the memory's own ("copy-up"). Because an inode carries its lower path as text, a
 * lower directory can be renamed like any other. A name that was removed but exists below stays as a pinned negative
 * dentry (whiteout); a directory made anew has no lower side (opaque).
 */
#ifndef LIBOS_MEMFS_H
#define LIBOS_MEMFS_H

#include "fs/inode.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#define MFD_EXEC 16u
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif

struct mem_inode {
	struct inode base;  /* base.mode: `lock` */
	struct mutex lock;  /* everything below; taken before the tree lock, never after */
	bool upper;	    /* attributes are the memory's own */
	bool linkable;	    /* made without a name, which linkat may give it (tree lock) */
	bool hosts;	    /* of the overlay: to be completed (hosts.c) */
	char *lower;	    /* overlay: path below mount->handle; regular files and links lose it by copy-up */
	uint32_t nlink, uid, gid;
	uint32_t rdev_major, rdev_minor;
	uint32_t seals;	    /* memfd: F_SEAL_* */
	off_t size;
	uint64_t blocks;    /* clean inodes: the host's */
	struct timespec atime, mtime, ctime, btime;
	/* contents of regular files: pages of the libOS, or once large or mapped a memory object of its own */
	uint8_t **page;	       /* NULL entries are holes */
	uint32_t page_slots;
	uint32_t pages_used;
	int memobj;	       /* host handle or -1 */
	bool mapped;	       /* it was: the object reaches to the end of the file, or mappings would fault there */
	uint64_t memobj_size;  /* bytes, page-aligned; what lies behind it up to `size` is a hole */
	char *text;	       /* symlink: target; memfd: name */
	struct xattr *xattrs;  /* xattr.c */
	void *fifo;	       /* FIFO: ipc/pipe.c's */
	/* character device: opens it */
	struct file *(*open_device)(struct mem_inode *inode, int flags, int *error);
	const struct file_ops *device_ops;
};

static inline struct mem_inode *mem_inode(struct inode *inode)
{
	return container_of(inode, struct mem_inode, base);
}

extern const struct inode_ops memfs_ops;
extern const struct file_ops memfile_ops, memdir_ops;

struct mem_inode *mem_inode_new(struct mount *m, uint32_t mode);
struct mem_inode *mem_inode_in(struct dentry *dir, uint32_t mode); /* to be entered there: of its group if it says so (S_ISGID) */
/* Enter an inode (reference consumed, also on failure) under a new name. -EEXIST, -ENOENT (directory is gone). */
nodiscard int mem_enter(struct dentry *dir, const char *name, size_t size, struct mem_inode *inode,
			struct dentry **out);
nodiscard struct file *memfile_open(struct mem_inode *inode, struct dentry *d, int flags, int *error);
nodiscard struct file *memfd_new(const char *name, uint32_t mode, uint32_t seals, int *error);
bool memfile_write_sealed(const struct file *f);
nodiscard long memfile_seals(struct file *f, int cmd, unsigned long arg); /* F_ADD_SEALS, F_GET_SEALS */
void mem_fill_stat(struct mem_inode *inode, struct statx *st);
nodiscard int mem_setattr(struct mem_inode *inode, const struct attr *attr);
void mem_touch(struct mem_inode *inode, bool contents); /* ctime, and mtime; lock not needed by readers */

/* memdata.c: contents; inode->lock held */
nodiscard ssize_t mem_read(struct mem_inode *inode, const struct iovec *iov, unsigned count, off_t offset);
nodiscard ssize_t mem_write(struct mem_inode *inode, const struct iovec *iov, unsigned count, off_t offset);
nodiscard int mem_truncate(struct mem_inode *inode, off_t size);
nodiscard int mem_allocate(struct mem_inode *inode, int mode, off_t offset, off_t size);
nodiscard off_t mem_seek_data(struct mem_inode *inode, off_t offset, bool hole);
nodiscard int mem_to_object(struct mem_inode *inode, uint64_t size); /* contents into a memory object of that size */
void mem_drop(struct mem_inode *inode);
uint64_t mem_blocks(const struct mem_inode *inode); /* of 512 bytes */
void mem_set_limit(uint64_t bytes);
void mem_usage(uint64_t *used, uint64_t *limit);

/* xattr.c: extended attributes; inode->lock held. flags: XATTR_*. Size 0 only asks how much there is. */
nodiscard int mem_xattr_set(struct mem_inode *inode, const char *name, const void *value, size_t size, int flags);
nodiscard int mem_xattr_remove(struct mem_inode *inode, const char *name);
nodiscard ssize_t mem_xattr_get(struct mem_inode *inode, const char *name, void *buf, size_t size);
/* All names but those that begin with `hidden`, each with its NUL. */
nodiscard ssize_t mem_xattr_list(struct mem_inode *inode, char *buf, size_t size, const char *hidden);
void mem_xattr_drop(struct mem_inode *inode);

/* hosts.c: is it the /etc/hosts of the root directory? Then, before it is opened: */
bool hosts_is_at(const struct mount *m, const char *path);
void hosts_complete(struct dentry *d);

/* memdir.c */
nodiscard struct file *memdir_open(struct dentry *d, int flags, int *error);
nodiscard int mem_dir_is_empty(struct dentry *d); /* 0, -ENOTEMPTY or another error */

/* overlay.c */
nodiscard int overlay_lookup(struct dentry *dir, const char *name, size_t size, struct inode **out, struct statx *st);
/* Everything of d becomes the memory's own; with `discard` without the contents. */
nodiscard int overlay_copy_up(struct dentry *d, bool discard);
void overlay_refresh(struct inode *inode, struct inode *fresh);
nodiscard struct mem_inode *overlay_inode(struct mount *m, const char *lower, struct statx *st);
nodiscard long overlay_open_lower(struct mem_inode *inode, int flags); /* a handle */

#endif
