/*
 * Inside the file tree: dentries, inodes, mounts, and what a file system implements. Included by fs/ and sys/sys_*.c of
 * the file family only; others use fs/vfs.h.
 *
 * One lock, g_tree_lock, guards the shape of the tree: names, parents, children, hash, LRU and reference counts of
 * dentries. It is held for memory operations only, never across a hostcall that may wait for a disk. inode->refs is
 * atomic. A file system in memory (fs/memfs.h) keeps its directories in this same tree, pinned; for host directories
 * the tree is only a cache whose age is limited (CACHE_MS), because the host may change them under us.
 */
#ifndef LIBOS_INODE_H
#define LIBOS_INODE_H

#include "abi/boot.h"
#include "core/list.h"
#include "fs/vfs.h"
#include <asm/statfs.h>
#include <linux/fs.h>

#define UTIME_NOW ((1l << 30) - 1l)
#define UTIME_OMIT ((1l << 30) - 2l)

/* How old a name or the attributes seen through an overlay's lower directory, or a directory on the way to a file of a
 * host volume, may be. The last component of a path on a host volume is always asked of the host again, and names that
 * do not exist there are never remembered. */
#define CACHE_MS 1000

#define D_DEAD 1u      /* no longer in the tree: unlinked, or replaced by what the host has now */
#define D_PINNED 2u    /* lives in memory only: never evicted, never stale; holds one reference on itself */
#define D_COVERS 4u    /* overlay: the lower directory has this name too */
#define D_MOUNTPOINT 8u /* a directory made up for a mount point that the host directory lacks */
#define D_KEEP 16u	/* on the way to a mount point: never evicted, never stale */

struct dentry {
	uint32_t refs; /* 0: only cached, on the LRU list */
	uint32_t flags; /* D_* */
	struct dentry *parent; /* owned reference; NULL at the root of a mount */
	struct inode *inode;   /* owned reference; NULL: the name does not exist */
	struct dentry *mounted; /* root of what is mounted here */
	struct mount *mount;
	struct dentry *hash_next;
	struct list siblings, children, lru;
	uint64_t cookie;     /* order of creation: readdir position in a file system in memory */
	uint64_t checked_ms; /* when the host last confirmed it */
	uint32_t hash;
	uint32_t name_size;
	char *name; /* NUL-terminated: inline_name or its own allocation */
	char inline_name[24];
};

struct inode {
	const struct inode_ops *ops; /* never changes */
	struct mount *mount;
	uint32_t refs; /* atomic */
	uint32_t mode; /* the type bits never change */
	uint64_t ino;
	struct inode *next_gone; /* without references: to be released behind the tree lock */
};

struct mount {
	uint32_t type; /* enum boot_mount_type */
	int handle;    /* host directory or file; -1 */
	bool read_only;
	uint32_t id; /* index in g_mounts: mountinfo, st_dev of file systems in memory */
	struct dentry *root;  /* owned */
	struct dentry *point; /* owned; NULL for "/" */
	const char *path;     /* as the boot information names it */
	uint64_t next_ino;    /* atomic; file systems in memory */
};

/* Others may change what is there, too. */
static inline bool is_host_mount(const struct mount *m)
{
	return m->type == BOOT_MOUNT_HOST || m->type == BOOT_MOUNT_HOST_FILE;
}

#define MOUNTS_MAX 64
extern struct mount *g_mounts[MOUNTS_MAX];
extern unsigned g_mount_count;

#define ATTR_MODE 1u
#define ATTR_UID 2u
#define ATTR_GID 4u
#define ATTR_ATIME 8u
#define ATTR_MTIME 16u
#define ATTR_SIZE 32u
#define ATTR_OWNER 64u /* of a call of the chown family, whether or not it changes anything */

struct attr {
	uint32_t valid; /* ATTR_* */
	uint32_t mode, uid, gid;
	off_t size;
	struct timespec times[2]; /* already resolved: no UTIME_NOW */
};

/* A missing operation is -EPERM for changes, -ENOTDIR for lookup. `dir` and `d` are referenced by the caller and
 * positive; no lock is held. Names are single components. */
struct inode_ops {
	const char *name; /* file system type, as /proc/mounts shows it */
	/* An inode with one reference in *out and maybe *st filled (st->stx_mask != 0); -ENOENT; 1: does not exist, and
	 * that may be remembered for CACHE_MS. */
	int (*lookup)(struct dentry *dir, const char *name, size_t size, struct inode **out, struct statx *st);
	/* The host still has what `inode` describes; take over what changed. */
	void (*refresh)(struct inode *inode, struct inode *fresh);
	int (*getattr)(struct dentry *d, struct statx *st);
	ssize_t (*readlink)(struct dentry *d, char *buf, size_t size);
	/* Magic links of /proc: what the link leads to, either a dentry or a file without a path (one reference). */
	int (*follow)(struct dentry *d, struct dentry **dentry, struct file **file);
	/* Never called for links. flags may hold O_TRUNC, never acts on O_CREAT. */
	struct file *(*open)(struct dentry *d, int flags, int *error);
	/* O_PATH: what d names now, whatever is renamed or removed later. Missing: d itself is that. */
	struct file *(*open_path)(struct dentry *d, int flags, int *error);
	/* Create a regular file and open it; -EEXIST if there is one. With size 0 an unnamed one (O_TMPFILE). */
	struct file *(*create)(struct dentry *dir, const char *name, size_t size, int flags, uint32_t mode, int *error);
	/* Directory, FIFO, socket or device node by the type in mode; symlink if target. */
	int (*make)(struct dentry *dir, const char *name, size_t size, uint32_t mode, const char *target);
	int (*unlink)(struct dentry *dir, const char *name, size_t size, bool directory);
	int (*rename)(struct dentry *dir, const char *name, size_t size, struct dentry *to, const char *to_name,
		      size_t to_size, unsigned flags);
	int (*link)(struct dentry *d, struct dentry *dir, const char *name, size_t size);
	int (*setattr)(struct dentry *d, const struct attr *attr);
	int (*statfs)(struct dentry *d, struct statfs *st);
	void (*forgotten)(struct inode *inode); /* one of its dentries is freed; the tree lock is held. May be NULL */
	void (*release)(struct inode *inode); /* the last reference is gone: free it */
};

/* dcache.c */
/* Puts text in front of a path that begins at *at and grows downwards in buf; false: no room. */
bool path_prepend(char **at, char *buf, const char *text, size_t size);
extern struct mutex g_tree_lock;
extern struct inode *g_gone; /* tree lock */
void inodes_release(struct inode *gone);
static inline void tree_lock(void)
{
	mutex_lock(&g_tree_lock);
}
/* To release an inode may free gigabytes or wait for the host, so what lost its last reference here is released now. */
static inline void tree_unlock(void)
{
	struct inode *gone = g_gone;

	g_gone = NULL;
	mutex_unlock(&g_tree_lock);
	if (unlikely(gone))
		inodes_release(gone);
}
uint64_t cache_now_ms(void);
uint32_t name_hash(const char *name, size_t size);
/* These want the tree lock. */
struct dentry *d_find(struct dentry *dir, const char *name, size_t size); /* no reference taken */
/* Enters a new dentry, one reference for the caller; consumes a reference of inode (may be NULL), not on failure. */
nodiscard struct dentry *d_add(struct dentry *dir, const char *name, size_t size, struct inode *inode);
void d_kill(struct dentry *d); /* out of the tree; pinned ones lose that reference (the caller needs its own) */
void d_pin(struct dentry *d);
nodiscard int d_move(struct dentry *d, struct dentry *to, const char *name, size_t size);
void d_exchange(struct dentry *a, struct dentry *b); /* each takes the other's place; neither is above the other */
void d_get(struct dentry *d);
void d_put(struct dentry *d);
/* A dentry outside any directory: the root of a mount, or an unnamed file. Consumes the inode's reference, also on failure;
 * without an inode it is NULL. */
nodiscard struct dentry *d_alloc_root(struct mount *m, struct inode *inode);
nodiscard struct dentry *d_alloc_unnamed(struct dentry *dir, struct inode *inode); /* O_TMPFILE: named #INO, D_DEAD */
enum lookup_trust {
	LOOKUP_FRESH,  /* the result of a path: host volumes are asked */
	LOOKUP_MIDDLE, /* on the way: CACHE_MS */
	LOOKUP_TRUST,  /* what exists is believed: the caller's next call tells */
};
/* The child of dir, one reference, maybe negative; asks the file system if need be. Takes the lock itself. */
nodiscard int d_lookup(struct dentry *dir, const char *name, size_t size, enum lookup_trust trust,
		       struct dentry **out, struct statx *st);
/* What the cache says of d was wrong: forget it, unless it lives in memory. */
void d_forget(struct dentry *d);
/* It may be wrong: the next look-up asks again, and what is the same stays, for those who have it. */
void d_doubt(struct dentry *d);

void inode_init(struct inode *inode, const struct inode_ops *ops, struct mount *m, uint32_t mode, uint64_t ino);

#define is_dir(inode) (((inode)->mode & S_IFMT) == S_IFDIR)
#define is_link(inode) (((inode)->mode & S_IFMT) == S_IFLNK)
#define is_regular(inode) (((inode)->mode & S_IFMT) == S_IFREG)

/* walk.c */
#define WALK_FOLLOW 1u	     /* follow a symlink at the end */
#define WALK_PARENT 2u	     /* stop at the directory of the last component */
#define WALK_TRUST 4u	     /* the last component may come from the cache: the caller asks the host next anyway */
#define WALK_EMPTY 8u	     /* AT_EMPTY_PATH */
#define WALK_DIRECTORY 16u   /* -ENOTDIR for anything else */
#define WALK_NO_SYMLINKS 32u /* RESOLVE_NO_SYMLINKS */
#define WALK_BENEATH 64u     /* RESOLVE_BENEATH */
#define WALK_IN_ROOT 128u    /* RESOLVE_IN_ROOT */
#define WALK_NO_MAGIC 256u   /* RESOLVE_NO_MAGICLINKS */
#define WALK_NO_XDEV 512u    /* RESOLVE_NO_XDEV */

enum walk_last { LAST_NAME, LAST_DOT, LAST_DOTDOT, LAST_ROOT };

struct walk {
	struct dentry *dentry; /* the result, or with WALK_PARENT the directory; owned */
	struct file *file;     /* a magic link led to a file without path (dentry is then NULL), or it is a descriptor's own; owned */
	struct statx st;       /* of the result, just asked, if st.stx_mask != 0 */
	/* WALK_PARENT: the last component */
	enum walk_last last;
	bool trailing_slash;
	uint32_t name_size;
	char name[NAME_LENGTH_MAX + 1];
	/* internal */
	struct dentry *root;
	char *buffer;
	unsigned links, flags;
};
/* base: NULL for the working directory; used only by relative paths. On failure nothing is held. */
nodiscard int path_walk(struct walk *w, struct dentry *base, const char *path, unsigned flags);
/* Same with a descriptor or AT_FDCWD. With WALK_EMPTY and "" what the descriptor stands for: w->file is set, and w->dentry if it has a
 * path, which may be another's by now. */
nodiscard int path_walk_at(struct walk *w, int dirfd, const char *path, unsigned flags);
/* Same with a program's path. */
nodiscard int path_walk_user(struct walk *w, int dirfd, const char *user, unsigned flags);
void walk_done(struct walk *w);
/* Goes where a WALK_PARENT walk's ".." leads, if it ends in one; or it may not. */
nodiscard int walk_up_last(struct walk *w);
/* Continue a WALK_PARENT walk through the symlink `link` (a child of w->dentry). */
nodiscard int walk_follow_last(struct walk *w, struct dentry *link);

/* Path buffers of PATH_SIZE bytes: kernel stacks are too small for them. NULL when out of memory. */
char *pathbuf_get(void);
void pathbuf_put(char *p); /* NULL is fine */
/* A program's path: *out is a path buffer. -EFAULT, -ENAMETOOLONG, -ENOMEM. */
nodiscard int path_from_user(const char *user, char **out);

/* mount.c: what stands for a name on which the host has something mounted that was not granted: an empty directory, or
 * an empty file. `parent` is a path below the directory handle ("" for itself). NULL when out of memory. */
nodiscard struct inode *stub_inode(int handle, const char *parent, const char *name, size_t size);

/* open.c: opens what a finished walk found. */
nodiscard struct file *open_dentry(struct dentry *d, int flags, int *error);
nodiscard struct file *open_how(int dirfd, const char *path, int flags, int mode, unsigned walk_flags, int *error);
nodiscard int dentry_getattr(struct dentry *d, struct statx *st);
nodiscard int dentry_setattr(struct dentry *d, const struct attr *attr);
uint32_t process_umask(void);
void current_time(struct timespec *ts);
/* File handle of a path only (O_PATH), for any dentry. */
extern const struct file_ops path_file_ops;

/* statx's device numbers from the mount. */
void statx_anonymous_device(struct statx *st, const struct mount *m);

struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	uint16_t d_reclen;
	uint8_t d_type;
	char d_name[];
};

/* Directory entries towards a program's buffer. */
struct dirent_writer {
	uint8_t *user;
	size_t size, used;
	int error;
};
/* False when there is no room (or w->error): stop. `next` is the position after this entry. */
bool dirent_put(struct dirent_writer *w, const char *name, size_t name_size, uint64_t ino, unsigned type, off_t next);
ssize_t dirent_result(const struct dirent_writer *w, bool nothing_left);
#define mode_to_dt(mode) (((mode)&S_IFMT) >> 12)

/* Roots of the file systems; one reference in *out. */
nodiscard int hostfs_mount(struct mount *m, struct dentry **out);
nodiscard int memfs_mount(struct mount *m, uint32_t mode, struct dentry **out); /* tmpfs, and overlay by m->type */
nodiscard int devfs_mount(struct mount *m, struct dentry **out);
nodiscard int capfs_mount(struct mount *m, struct dentry **out);
nodiscard int procfs_mount(struct mount *m, struct dentry **out);

#endif
