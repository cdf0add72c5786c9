/*
 * The file tree of a cVM: mounts, names and paths, as everybody outside fs/ uses them.
 *
 * A path is a struct dentry (a name in a directory of one file system); a file system is mounted once, so a dentry says
 * everything. How file systems plug in is fs/inode.h. Paths are strings in libOS memory; relative ones start at the
 * calling process's working directory. Errors are Linux's own. Nothing here trusts the boot information: a directory
 * handle that was not granted fails in the monitor.
 */
#ifndef LIBOS_VFS_H
#define LIBOS_VFS_H

#include "core/lock.h"
#include "core/types.h"
#include "fs/file.h"
#include <linux/fcntl.h>

struct libos_boot;
struct dentry;
struct inode;
struct fdtable;

#define PATH_SIZE 4096 /* as PATH_MAX: includes the NUL */
#define NAME_LENGTH_MAX 255

/* What the threads of a process share about paths (CLONE_FS). */
#define UMASK_FIRST 022u

struct fs_context {
	struct mutex lock; /* the fields below */
	struct dentry *cwd;  /* owned reference */
	struct dentry *root; /* owned reference; changes with the tree's lock held, too */
	uint32_t umask;
};

/* Builds the mount table and the calling process's fs_context (current()->process->fs) with the working directory /,
 * and an empty descriptor table (current()->process->files) if it has none. Called once, on the
 * first thread, before stdio_init. 0 or negative errno (reported to the log). */
nodiscard int vfs_init(const struct libos_boot *boot);
/* chdir of the first process. */
nodiscard int vfs_enter(const char *path);
/* Descriptors 0-2 from host handles 0-2; missing ones stay closed. */
nodiscard int stdio_init(void);
nodiscard struct fdtable *fdtable_create(void);
nodiscard struct fdtable *fdtable_copy(struct fdtable *from); /* NULL: no memory */
void fdtable_set(struct fdtable *t, int fd, struct file *f);   /* of a new table: fd < FD_CHUNK; f is borrowed */
void fdtable_close(struct fdtable *t, bool cloexec);	       /* every descriptor, or those to be closed by exec */
void fdtable_free(struct fdtable *t);			       /* a closed one; NULL is fine */
/* Of any process, which may be ending: */
nodiscard struct file *fdtable_get_of(struct process *p, int fd, bool *cloexec); /* new reference; NULL: not open */
int fdtable_next_of(struct process *p, int from);	      /* the first open one >= from, or -1 */
int fdtable_end_of(struct process *p);			      /* one more than the highest open one */
nodiscard struct fs_context *fs_context_copy(struct fs_context *from); /* NULL: no memory */
void fs_context_free(struct fs_context *fs);			       /* NULL is fine */

/* open(2) without a descriptor: one reference, or NULL with *error negative. Follows symlinks unless O_NOFOLLOW. */
nodiscard struct file *vfs_open(const char *path, int flags, int mode, int *error);
/* Is what exists of the path, to its last directory that does, in the cVM's memory only: a tmpfs, or the empty directory
 * that stands for a mount of the host? */
bool vfs_ends_in_memory(const char *path);
/* May the program be executed: regular, an x bit. 0 or -EACCES. */
nodiscard int vfs_check_executable(struct file *f);
/* pread with a buffer of the libOS: bytes (short at end of file) or negative errno. */
nodiscard ssize_t file_pread(struct file *f, void *buf, size_t size, off_t offset);
/* file_ops.seek for files whose end is at `end`; or an error that SEEK_END gives. */
off_t file_seek_within(struct file *f, off_t offset, int whence, off_t end);
/* statx of any open file (objects without an ops->stat get a plausible anonymous inode). */
nodiscard int file_stat(struct file *f, struct statx *st);
off_t file_position(struct file *f); /* f->pos, which an append to a host file leaves unknown until somebody asks */

/* The name under which f was opened, as /proc/self/fd shows it ("/tmp/x", "/tmp/x (deleted)", "pipe:[7]"). Always
 * terminates; returns the length. `f` may be any kind of file. */
size_t file_path(struct file *f, char *buf, size_t size);
/* Path of a dentry from the calling process's root, or the whole if it does not lie below that. Returns its length, or -ENAMETOOLONG;
 * -ENOENT if it was removed (buf is filled anyway). */
nodiscard ssize_t dentry_path(struct dentry *d, char *buf, size_t size);
/* The same from another root (NULL: the first one); *below: does it lie there? */
nodiscard ssize_t dentry_path_from(struct dentry *const *root, struct dentry *d, char *buf, size_t size, bool *below);
struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d); /* NULL is fine */

/* Whose directory in /proc f is: one reference in *out. -EBADF: f is something else; -ESRCH: the process is gone. */
nodiscard int procfs_process(const struct file *f, struct process **out);

/* AF_UNIX names: a socket node in a file system in memory (tmpfs, overlay). The inode stands for the name: the socket
 * layer compares pointers. References by inode_get/inode_put. -EADDRINUSE if the path exists; -EPERM on host volumes. */
nodiscard struct inode *vfs_socket_bind(const char *path, int mode, int *error);
nodiscard struct inode *vfs_socket_lookup(const char *path, int *error); /* -ENOENT, -ECONNREFUSED if not a socket */
struct inode *inode_get(struct inode *inode);
void inode_put(struct inode *inode); /* NULL is fine */

/* FIFOs: ipc/pipe.c implements it if it can; `*slot` is a word of the inode, NULL at first, that keeps the pipe while it
 * is open (under *lock). The default (weak) answers -ENXIO. */
nodiscard struct file *fifo_open(void **slot, struct mutex *lock, int flags, int *error);

#endif
