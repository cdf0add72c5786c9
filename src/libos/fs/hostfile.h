/* Open files that are host handles: regular files and directories of host volumes and overlays' lower directories, and
 * the standard streams. */
#ifndef LIBOS_HOSTFILE_H
#define LIBOS_HOSTFILE_H

#include "fs/inode.h"

#define HF_STREAM 1u	 /* a standard stream: its offset is the host's, shared with the outside */
#define HF_LOCKED 2u	 /* carries record locks (fs/locks.c) */
#define HF_STUBS_DONE 4u /* directory: the made-up mount points have been listed */
#define HF_CACHED 8u	 /* its handle belongs to fs/handle_cache.c */
#define HF_CHANGED 16u	 /* the host's open file is not as it was opened: locks, flags */
#define HF_TERMINAL 32u  /* the command's terminal (tty/console.h) */

static inline int hostfile_handle(const struct file *f)
{
	return (int)(intptr_t)f->data;
}

/* A file of a host volume, O_PATH ones included: its handle is what it is, whatever has its name now. */
bool hostfile_is_named(const struct file *f);
nodiscard ssize_t hostfile_readlink(const struct file *f, char *buf, size_t size); /* O_PATH of a link */
nodiscard int hostfile_link(const struct file *f, struct dentry *dir, const char *name, size_t size);

extern const struct file_ops hostfile_ops, hostdir_ops, hostpath_ops, stream_ops;

/* Wraps a handle, which it then owns (also on failure); takes its own reference to d (may be NULL). */
nodiscard struct file *hostfile_wrap(int handle, const struct file_ops *ops, int flags, struct dentry *d, int *error);
/* Opens a path below a mount's directory and wraps it. ops by what it is. */
nodiscard struct file *hostfile_open(struct dentry *d, const char *path, size_t path_size, int flags, uint32_t mode,
				     int *error);
/* With a handle of last time, if it is still that of the file which is described: else NULL. */
nodiscard struct file *hostfile_cached(struct dentry *d, int flags, const struct statx *now);
/* The name of d below its mount's directory ("." for the root itself) with an optional last component. Its length or
 * -ENAMETOOLONG. */
nodiscard ssize_t host_path(struct dentry *d, const char *name, size_t name_size, char *buf);

/* The host user who runs the Intravisor is, inside, the user the program believes to be: both ways. */
void owner_init(void);
void owner_from_host(struct statx *st);
uint32_t owner_to_host(uint32_t id, bool group);
nodiscard uint32_t host_file_system(long handle); /* by its magic number (linux/magic.h); 0: unknown */
/* Changes what `a` says of the file behind a handle. */
nodiscard int host_set_attr(long handle, const struct attr *a);

/* Record locks and flock of a host file: see fs/locks.c. */
int hostlock_fcntl(struct file *f, int cmd, void *flock);
void hostlock_on_close(struct file *f);
void hostlock_forget(struct file *f);

/* The same for files in memory, by inode: POSIX (owner: process), OFD and flock (owner: file). */
/* SEEK_CUR and SEEK_END become SEEK_SET, a length that reaches the last possible byte 0; -EINVAL, -EOVERFLOW. */
nodiscard int lock_make_absolute(struct file *f, struct flock *lk);
int memlock_fcntl(struct file *f, int cmd, void *flock);
int memlock_flock(struct file *f, int operation);
void memlock_forget(struct file *f);

#endif
