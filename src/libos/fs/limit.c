/*
 * RLIMIT_FSIZE: who wants to make a regular file larger gets SIGXFSZ and EFBIG. Kinds of files that have no length of their own
 * (pipes, sockets, /proc) know no limit. Called by the system calls that write, truncate and allocate; what the libOS writes
 * for itself is not limited.
 */
#include "fs/limit.h"
#include "fs/vfs.h"
#include "process/process.h"
#include "signal/signal.h"

#include <linux/fs.h>
#include <linux/resource.h>

bool g_file_limits;

static int too_large(void)
{
	signal_send_self(SIGXFSZ);
	return -EFBIG;
}

int grow_within_limit(off_t old, off_t size)
{
	uint64_t limit = process_limit(current()->process, RLIMIT_FSIZE);

	return size > old && (uint64_t)size > limit ? too_large() : 0;
}

/* Where the next write of at most `room` bytes ends: whole buffers, and a part of the one behind them. */
static ssize_t write_some(struct file *f, const struct iovec *iov, unsigned count, off_t *pos, uint64_t room)
{
	unsigned whole = 0;
	ssize_t n = 0;

	while (whole < count && iov[whole].iov_len <= room)
		room -= iov[whole++].iov_len;
	if (whole) {
		uint64_t wanted = 0;

		for (unsigned i = 0; i < whole; i++)
			wanted += iov[i].iov_len;
		n = f->ops->write(f, iov, whole, pos);
		if (n < 0 || (uint64_t)n < wanted)
			return n;
	}
	if (whole < count && room) {
		struct iovec part = { iov[whole].iov_base, room };
		ssize_t more = f->ops->write(f, &part, 1, pos);

		n = more > 0 ? n + more : n ? n : more;
	}
	return n;
}

ssize_t write_within_limit(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	uint64_t limit = process_limit(current()->process, RLIMIT_FSIZE), size = 0;
	struct statx st;
	off_t at;

	for (unsigned i = 0; i < count; i++)
		size += iov[i].iov_len;
	if (limit == RLIM_INFINITY || !size || !f->ops->truncate || !f->ops->seek || file_stat(f, &st) || !S_ISREG(st.stx_mode))
		return f->ops->write(f, iov, count, pos);
	if (f->flags & O_APPEND)
		at = (off_t)st.stx_size;
	else if (pos == &f->pos && (!f->ops->positioned || *pos < 0)) /* only the host knows */
		at = f->ops->seek(f, 0, SEEK_CUR);
	else
		at = *pos;
	if (at < 0)
		return at;
	if ((uint64_t)at >= limit)
		return too_large();
	return write_some(f, iov, count, pos, limit - (uint64_t)at);
}
