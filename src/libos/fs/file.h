/*
 * Open files and descriptor tables. Every kind of object behind a descriptor is a struct file with a table of
 * operations; a missing operation means the error that Linux gives for that kind.
 *
 * Ownership: a struct file is reference-counted; a descriptor holds one reference, a running system call another.
 * iovec arrays are in libOS memory, the buffers they name are program addresses (any access may be -EFAULT).
 */
#ifndef LIBOS_FILE_H
#define LIBOS_FILE_H

#include "core/lock.h"
#include "core/types.h"
#include "core/waitq.h"
#include <asm/fcntl.h>
#include <linux/stat.h>

struct file;
struct dentry;

struct file_ops {
	const char *name; /* "pipe", "hostfs", ... for /proc/self/fd and --trace */
	/* Bytes or negative errno. `pos` is &file->pos under pos_lock, or the p-calls' own offset; NULL for objects
	 * without position (no pread). They obey O_NONBLOCK in file->flags. -ERESTARTSYS when a signal interrupts. */
	ssize_t (*read)(struct file *f, const struct iovec *iov, unsigned count, off_t *pos);
	ssize_t (*write)(struct file *f, const struct iovec *iov, unsigned count, off_t *pos);
	off_t (*seek)(struct file *f, off_t offset, int whence);
	long (*ioctl)(struct file *f, unsigned long request, void *user_arg);
	/* EPOLL* bits that are ready now. For host-backed files see host_handle. */
	uint32_t (*poll)(struct file *f);
	struct waitq *(*waitq)(struct file *f); /* where readiness changes are announced; NULL if host-backed */
	/* Host handle that host poll/epoll may watch and that mem_map_file may map; -1 if none. */
	int (*host_handle)(struct file *f);
	/* Handle to map for mmap(prot, MAP_SHARED or MAP_PRIVATE) at file offset *offset (may be changed: tmpfs pages in a
	 * pool); -ENODEV: cannot be mapped; -ENOTBLK: private mappings only, by copying through read(). */
	int (*map_handle)(struct file *f, int prot, int flags, off_t *offset, size_t size);
	/* Maps shared memory that has no handle at `start`; with it map_handle says -ENOTBLK. */
	int (*map_at)(struct file *f, uint64_t start, uint64_t size, int prot, off_t offset);
	int (*stat)(struct file *f, struct statx *st);
	size_t (*path)(struct file *f, char *buf, size_t size); /* of files without dentry, as file_path; may be NULL */
	int (*truncate)(struct file *f, off_t size);
	int (*sync)(struct file *f, bool data_only);
	int (*allocate)(struct file *f, int mode, off_t offset, off_t size);
	ssize_t (*getdents)(struct file *f, void *user_buf, size_t size);
	int (*set_flags)(struct file *f, uint32_t flags); /* F_SETFL, after checks; may be NULL */
	int (*lock)(struct file *f, int cmd, void *flock);   /* F_SETLK...: struct flock in libOS memory */
	int (*flock)(struct file *f, int operation);
	void (*on_close)(struct file *f); /* each close(2) of a descriptor (POSIX locks); may be NULL */
	void (*release)(struct file *f); /* last reference gone; frees private data, not `f` */
	bool positioned; /* read and write move file->pos, one at a time under pos_lock (never for what may block) */
};

struct file {
	const struct file_ops *ops;
	uint32_t refs;	/* atomic */
	uint32_t flags; /* O_ACCMODE, O_APPEND, O_NONBLOCK, O_DIRECT, O_PATH ... */
	struct mutex pos_lock;
	off_t pos;
	void *data;		/* the kind's own */
	struct dentry *dentry;	/* for files with a path: owned reference; NULL otherwise (fs/vfs.h) */
	uint32_t kind;		/* private to `ops`: bits of a host file (fs/hostfile.h) */
	struct mapped *mapped;	/* fs/mapped.h: a host file that is read over and over; atomic */
	int64_t patience;	/* bytes to be read before it is looked at for that; atomic */
	bool weighed;		/* and has been once */
	uint8_t owner_type, owner_signal; /* F_SETOWN_EX and F_SETSIG: only remembered */
	int32_t owner;		/* its number; 0: none */
	struct list epolls;	/* epoll items watching this file (fs/poll.c), epolls_lock */
	struct mutex epolls_lock;
};

nodiscard struct file *file_alloc(const struct file_ops *ops, uint32_t flags, void *data); /* one reference, or NULL */
void file_get(struct file *f);
void file_put(struct file *f);

#define FD_LIMIT_MAX 65536
#define FD_CHUNK 256

struct fdtable {
	struct file **chunk[FD_LIMIT_MAX / FD_CHUNK]; /* descriptors from FD_CHUNK on; atomic; entries atomic */
	struct file *first[FD_CHUNK]; /* the others; atomic */
	struct mutex lock;
	int lowest; /* no free descriptor below it; lock */
	int end;    /* one more than the highest open one; lock */
	uint64_t used[FD_LIMIT_MAX / 64];    /* lock */
	uint64_t cloexec[FD_LIMIT_MAX / 64]; /* lock */
};

/* All act on the calling process's table. */
nodiscard struct file *fd_get(int fd); /* new reference, NULL if not open (EBADF) */
nodiscard struct file *fd_get_open(int fd); /* the same, O_PATH not being open */
/* Install f (consumes the reference, also on failure) at the lowest free number >= min: the number or -EMFILE. */
nodiscard int fd_install(struct file *f, int min, bool cloexec);
nodiscard int fd_close(int fd);
/* dup2/dup3: consumes the reference to f. */
nodiscard int fd_replace(struct file *f, int fd, bool cloexec);
int fd_get_cloexec(int fd);
int fd_set_cloexec(int fd, bool cloexec);
/* One more than the highest open descriptor; for /proc/self/fd and close_range. */
int fd_end(void);

/* RLIMIT_NOFILE's soft limit of the calling process: descriptors are below it. At most FD_LIMIT_MAX. */
uint32_t fd_limit(void);

#define IOV_MAX 1024u /* pieces at most; Linux calls it UIO_MAXIOV */
/* Copies and checks a program's iovec array: count, or -EFAULT/-EINVAL. `out` has room for `max` (<= 1024). */
nodiscard int iovec_from_user(struct iovec *out, const void *user, unsigned long count, unsigned max);

/* -EINTR of a hostcall: -ERESTARTSYS if a signal waits, else 0 meaning "try again". */
static inline bool retry_hostcall(long *ret);

#include "thread/thread.h"
static inline bool process_is_single(void)
{
	return __atomic_load_n(&current()->alone, __ATOMIC_RELAXED);
}

/* Like fd_get for the length of one system call. While the process has one thread nobody else can close the descriptor,
 * so no reference is taken (*held false); give the file back with fd_return. */
nodiscard struct file *fd_borrow_slow(int fd, bool *held);
/* That, where it is only a look into the table; else NULL. */
nodiscard static inline struct file *fd_peek(int fd)
{
	return likely((unsigned)fd < FD_CHUNK && process_is_single()) ? current()->fds[fd] : NULL;
}
nodiscard static inline struct file *fd_borrow(int fd, bool *held)
{
	struct file *f = fd_peek(fd);

	*held = false;
	return likely(f) ? f : fd_borrow_slow(fd, held);
}

static inline void fd_return(struct file *f, bool held)
{
	if (held)
		file_put(f);
}

static inline bool retry_hostcall(long *ret)
{
	if (*ret != -EINTR)
		return false;
	if (!work_pending())
		return true;
	*ret = -ERESTARTSYS;
	return false;
}

/* The same of calls on regular files, which nothing interrupts on Linux: -EINTR says that a kick came before it began. If a signal
 * waits, the whole system call is done again behind its handler. */
static inline bool retry_file_call(long *ret)
{
	if (likely(*ret != -EINTR))
		return false;
	if (!(__atomic_load_n(&current()->work, __ATOMIC_RELAXED) & ~WORK_TURN))
		return true;
	*ret = -ERESTARTNOINTR;
	return false;
}

#endif
