/*
 * System calls that move bytes: read, write and their vectored and positioned forms, lseek. The single-buffer forms are
 * the hottest path of the libOS after getpid: descriptor, one call of the kind, back. Buffers are checked where they
 * are used (host kernel or copy_to_user).
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "fs/hostfile.h"
#include "fs/inotify.h"
#include "fs/limit.h"
#include "fs/mapped.h"
#include "sys/syscalls.h"

#define RW_MAX 0x7ffff000ul
#define IOV_FAST 8

/* The file if it may be read or written, there for positioned calls, else NULL and *error. */
static inline struct file *file_for(int fd, bool writes, bool positioned, long *error, bool *held)
{
	struct file *f = fd_borrow(fd, held);

	*error = -EBADF;
	if (unlikely(!f))
		return NULL;
	if (positioned && unlikely(!f->ops->seek) && !(f->flags & O_PATH))
		*error = -ESPIPE;
	else if (likely((f->flags & O_ACCMODE) != (writes ? O_RDONLY : O_WRONLY) && !(f->flags & O_PATH))) {
		if (likely(writes ? f->ops->write != NULL : f->ops->read != NULL))
			return f;
		*error = -EINVAL;
	}
	fd_return(f, *held);
	return NULL;
}

static inline ssize_t transfer(struct file *f, const struct iovec *iov, unsigned count, off_t *pos, bool writes)
{
	ssize_t n = writes ? file_write(f, iov, count, pos) : f->ops->read(f, iov, count, pos);

	if (unlikely(g_watching) && n > 0)
		notify_dentry(f->dentry, writes ? IN_MODIFY : IN_ACCESS);
	return n;
}

static inline ssize_t transfer_here(struct file *f, const struct iovec *iov, unsigned count, bool writes)
{
	ssize_t n;

	if (!f->ops->positioned || (process_is_single() && f->refs == 1)) /* nobody else has the file */
		return transfer(f, iov, count, &f->pos, writes);
	mutex_lock(&f->pos_lock);
	n = transfer(f, iov, count, &f->pos, writes);
	mutex_unlock(&f->pos_lock);
	return n;
}

static inline long transfer_one(const struct regs *r, bool writes, bool positioned)
{
	struct iovec iov = { (void *)r->rsi, r->rdx };
	off_t pos = (off_t)r->r10;
	struct file *f;
	bool held;
	long n;

	if (positioned && unlikely(pos < 0))
		return -EINVAL;
	f = file_for((int)r->rdi, writes, positioned, &n, &held);
	if (unlikely(!f))
		return n;
	if (unlikely(!iov.iov_len))
		iov.iov_base = &iov; /* nothing may lie anywhere, but the monitor takes no others' addresses */
	if (unlikely(iov.iov_len > RW_MAX)) {
		if ((int64_t)iov.iov_len < 0) {
			fd_return(f, held);
			return -EINVAL;
		}
		iov.iov_len = RW_MAX;
	}
	if (!positioned)
		n = transfer_here(f, &iov, 1, writes);
	else
		n = transfer(f, &iov, 1, &pos, writes);
	fd_return(f, held);
	return n;
}

long sys_read(struct regs *r)
{
	return transfer_one(r, false, false);
}

long sys_write(struct regs *r)
{
	return transfer_one(r, true, false);
}

/* Databases live on these two: a host file's goes straight to its hostcall, or needs none. */
static inline bool straight(const struct file *f, const struct regs *r, unsigned wrong_mode)
{
	return likely(f && !g_watching && f->ops == &hostfile_ops && (f->flags & O_ACCMODE) != wrong_mode && (off_t)r->r10 >= 0 &&
	       r->rdx - 1 < RW_MAX);
}

long sys_pread64(struct regs *r)
{
	struct file *f = fd_peek((int)r->rdi);

	if (straight(f, r, O_WRONLY)) {
		ssize_t n = mapped_read(f, (void *)r->rsi, r->rdx, (off_t)r->r10);

		if (n >= 0)
			return n;
		return hostcall_last(HC_file_pread, hostfile_handle(f), (long)r->rsi, (long)r->rdx, (long)r->r10);
	}
	return transfer_one(r, false, true);
}

long sys_pwrite64(struct regs *r)
{
	struct file *f = fd_peek((int)r->rdi);

	if (straight(f, r, O_RDONLY) && !(f->flags & O_APPEND) && likely(!g_file_limits))
		return hostcall_last(HC_file_pwrite, hostfile_handle(f), (long)r->rsi, (long)r->rdx, (long)r->r10);
	return transfer_one(r, true, true);
}

static long transfer_vector(const struct regs *r, bool writes, bool positioned, off_t pos)
{
	struct iovec fast[IOV_FAST], *iov = fast;
	unsigned long count = r->rdx;
	struct file *f;
	bool held;
	long n;

	if (positioned && pos < 0)
		return -EINVAL;
	f = file_for((int)r->rdi, writes, positioned, &n, &held);
	if (!f)
		return n;
	n = -EINVAL;
	if (count > IOV_MAX)
		goto out;
	if (count > IOV_FAST) {
		iov = kmalloc(count * sizeof *iov);
		n = -ENOMEM;
		if (!iov)
			goto out;
	}
	n = iovec_from_user(iov, (void *)r->rsi, count, IOV_MAX);
	if (n > 0) {
		if (!positioned)
			n = transfer_here(f, iov, (unsigned)n, writes);
		else
			n = transfer(f, iov, (unsigned)n, &pos, writes);
	}
	if (iov != fast)
		kfree(iov);
out:
	fd_return(f, held);
	return n;
}

long sys_readv(struct regs *r)
{
	return transfer_vector(r, false, false, 0);
}

long sys_writev(struct regs *r)
{
	return transfer_vector(r, true, false, 0);
}

long sys_preadv(struct regs *r)
{
	return transfer_vector(r, false, true, arg(r, 3));
}

long sys_pwritev(struct regs *r)
{
	return transfer_vector(r, true, true, arg(r, 3));
}

/* RWF_HIPRI and RWF_*SYNC change nothing that a program could see but durability, which RWF_SYNC then asks for. */
static long transfer_vector2(const struct regs *r, bool writes)
{
	unsigned flags = (unsigned)arg(r, 5);
	off_t pos = arg(r, 3);
	struct file *f;
	bool held;
	long n;

	if (flags & ~(unsigned)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC)) {
		f = file_for((int)r->rdi, writes, pos != -1, &n, &held);
		if (!f)
			return n;
		fd_return(f, held);
		return -EOPNOTSUPP;
	}
	n = transfer_vector(r, writes, pos != -1, pos);
	if (n == -EISDIR && (flags & (RWF_DSYNC | RWF_SYNC)))
		return -EOPNOTSUPP;
	if (n > 0 && writes && (flags & (RWF_DSYNC | RWF_SYNC)) && (f = fd_get((int)arg(r, 0))) != NULL) {
		int err = f->ops->sync ? f->ops->sync(f, !(flags & RWF_SYNC)) : 0;

		file_put(f);
		if (err)
			return err;
	}
	return n;
}

long sys_preadv2(struct regs *r)
{
	return transfer_vector2(r, false);
}

long sys_pwritev2(struct regs *r)
{
	return transfer_vector2(r, true);
}

long sys_lseek(struct regs *r)
{
	struct file *f = fd_get_open((int)arg(r, 0));
	long ret;

	if (!f) {
		ret = -EBADF;
	} else if (!f->ops->seek) {
		ret = -ESPIPE;
	} else {
		mutex_lock(&f->pos_lock);
		ret = f->ops->seek(f, arg(r, 1), (int)arg(r, 2));
		mutex_unlock(&f->pos_lock);
	}
	if (f)
		file_put(f);
	return ret;
}
