/*
 * The standard streams: host handles 0-2, which may be files, pipes, sockets or terminals shared with the outside. The
 * offset is the host's, so reads and writes are plain; O_NONBLOCK is kept by the libOS alone, since setting it on the
 * host's open file would change it for whoever else has it. Called through file_ops; also for /dev/console (tty/console.c).
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/hostfile.h"
#include "fs/inode.h"
#include "process/turn.h"
#include "tty/console.h"
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/termbits.h>

/* 0 when ready, -EAGAIN (timeout 0), or -ERESTARTSYS. */
static long stream_wait(struct file *f, short events, int64_t timeout)
{
	struct pollfd p = { .fd = hostfile_handle(f), .events = events };
	long n;

	turn_release(current());
	do
		n = hostcall_blocking(HC_poll, &p, 1, timeout);
	while (retry_hostcall(&n));
	turn_resume(current());
	return n < 0 ? n : n == 0 ? -EAGAIN : 0;
}

static long stream_transfer(struct file *f, const struct iovec *iov, unsigned count, bool writes)
{
	long n;

	for (;;) {
		if ((f->flags & O_NONBLOCK) && (n = stream_wait(f, writes ? POLLOUT : POLLIN, 0)) < 0)
			return n;
		turn_await(f, hostfile_handle(f), writes ? POLLOUT : POLLIN);
		if (count == 1)
			n = hostcall_blocking(writes ? HC_file_write : HC_file_read, hostfile_handle(f), iov->iov_base,
					      iov->iov_len);
		else
			n = hostcall_blocking(writes ? HC_file_writev : HC_file_readv, hostfile_handle(f), iov,
					      MIN(count, HC_IOV_MAX), -1);
		if (n == -EAGAIN && !(f->flags & O_NONBLOCK)) {
			n = stream_wait(f, writes ? POLLOUT : POLLIN, -1);
			if (n < 0)
				return n;
			continue;
		}
		if (!retry_hostcall(&n))
			return n;
	}
}

static ssize_t stream_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	int err = f->kind & HF_TERMINAL ? console_check_read(f) : 0;

	if (err)
		return err;
	if (pos != &f->pos)
		return hostcall(HC_file_readv, hostfile_handle(f), iov, MIN(count, HC_IOV_MAX), *pos);
	return stream_transfer(f, iov, count, false);
}

static ssize_t stream_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	long n = f->kind & HF_TERMINAL ? console_check_write(f) : 0;

	if (n)
		return n;
	if (pos != &f->pos)
		return hostcall(HC_file_writev, hostfile_handle(f), iov, MIN(count, HC_IOV_MAX), *pos);
	n = stream_transfer(f, iov, count, true);
	if (n == -EPIPE)
		signal_send_self(SIGPIPE);
	return n;
}

static off_t stream_seek(struct file *f, off_t offset, int whence)
{
	return hostcall(HC_file_seek, hostfile_handle(f), offset, whence);
}

static bool is_tty(int handle)
{
	struct termios t;

	return hostcall(HC_file_ioctl, handle, TCGETS, &t) == 0;
}

static long stream_ioctl(struct file *f, unsigned long request, void *user)
{
	long ret = f->kind & HF_TERMINAL ? console_ioctl(f, request, user) : 1;

	if (ret <= 0)
		return ret;
	switch (request) {
	case FIONREAD:
	case TCGETS:
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
	case TIOCGWINSZ:
		return hostcall(HC_file_ioctl, hostfile_handle(f), request, user);
	default:
		return -ENOTTY;
	}
}

static int stream_host_handle(struct file *f)
{
	return hostfile_handle(f);
}

static int stream_stat(struct file *f, struct statx *st)
{
	int err;

	if (f->dentry)
		return dentry_getattr(f->dentry, st);
	err = (int)hostcall(HC_file_stat, hostfile_handle(f), 0, 0, STATX_BASIC_STATS | STATX_BTIME, st);
	if (!err)
		owner_from_host(st);
	return err;
}

static int stream_sync(struct file *f, bool data_only)
{
	return (int)hostcall(HC_file_sync, hostfile_handle(f), data_only);
}

static void stream_release(struct file *f)
{
	hostcall(HC_file_close, hostfile_handle(f));
}

const struct file_ops stream_ops = {
	.name = "stdio",
	.read = stream_read,
	.write = stream_write,
	.seek = stream_seek,
	.ioctl = stream_ioctl,
	.host_handle = stream_host_handle,
	.stat = stream_stat,
	.sync = stream_sync,
	.release = stream_release,
};

/* What the command was started without may neither be read nor written: the program has no such descriptor. Asked with no buffers,
 * for even a read of no bytes from a terminal stops a process in its background. */
static bool is_closed(int fd)
{
	struct iovec none;

	return hostcall(HC_file_readv, fd, &none, 0, -1) == -EBADF && hostcall(HC_file_writev, fd, &none, 0, -1) == -EBADF;
}

/* A path a host pipe shows nobody; /proc/self/fd says "stdio:[inode]". */
int stdio_init(void)
{
	for (int fd = 0; fd < 3; fd++) {
		struct statx st;
		struct file *f;
		int err = (int)hostcall(HC_file_stat, fd, 0, 0, STATX_BASIC_STATS, &st);

		if (err || is_closed(fd))
			continue;
		f = hostfile_wrap(fd, &stream_ops, fd == 0 ? O_RDONLY : O_WRONLY, NULL, &err);
		if (!f)
			return err;
		f->kind |= HF_STREAM;
		if (S_ISCHR(st.stx_mode) && is_tty(fd))
			console_attach(f, hostcall(HC_file_dup, fd));
		err = fd_replace(f, fd, false);
		if (err < 0)
			return err;
	}
	return 0;
}
