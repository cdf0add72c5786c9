/*
 * System calls that copy between descriptors: all go through a buffer of the libOS, which is right for every pair of kinds.
 * splice takes from a pipe only what the other side took; who else reads it waits until that is known.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/inode.h"
#include "fs/limit.h"
#include "ipc/block.h"
#include "ipc/pipe.h"
#include "served/served.h"
#include "sys/syscalls.h"

#define BUFFER_SIZE (128u << 10)
#define SPLICE_SIZE (64u << 10) /* at once, as much as a pipe holds */
#define SPLICE_F_NONBLOCK 2
#define SPLICE_FLAGS 0xf

/* Copy up to `count` bytes; a NULL position means the file's own. Bytes, or the error if there are none. */
static ssize_t copy_between(struct file *in, off_t *in_pos, struct file *out, off_t *out_pos, size_t count)
{
	uint8_t *buf = kmalloc(MIN(count, BUFFER_SIZE) + 1);
	ssize_t done = 0, n = 0;

	if (!buf)
		return -ENOMEM;
	while ((size_t)done < count) {
		struct iovec iov = { buf, MIN(count - (size_t)done, BUFFER_SIZE) };
		off_t at = *in_pos;
		ssize_t put;

		n = in->ops->read(in, &iov, 1, in_pos);
		if (n <= 0)
			break;
		iov.iov_len = (size_t)n;
		put = file_write(out, &iov, 1, out_pos);
		if (put != n && in->ops->seek)
			*in_pos = at + MAX(put, 0);
		if (put < 0)
			n = put;
		else
			done += put;
		if (put != (ssize_t)iov.iov_len)
			break;
	}
	kfree(buf);
	return done ? done : n;
}

static bool mode_fits(const struct file *f, bool writes)
{
	return (f->flags & O_ACCMODE) != (writes ? O_RDONLY : O_WRONLY);
}

static struct file *get_mode(int fd, bool writes)
{
	struct file *f = fd_get_open(fd);

	if (f && !mode_fits(f, writes)) {
		file_put(f);
		f = NULL;
	}
	return f;
}

static void put_both(struct file *a, struct file *b)
{
	if (a)
		file_put(a);
	if (b)
		file_put(b);
}

static bool is_directory(struct file *f)
{
	struct statx st;

	return f->dentry && !file_stat(f, &st) && S_ISDIR(st.stx_mode);
}

long sys_sendfile(struct regs *r)
{
	struct file *out = fd_get_open((int)arg(r, 0)), *in = fd_get_open((int)arg(r, 1));
	off_t *user = (off_t *)arg(r, 2), pos = 0;
	ssize_t n = -EBADF;

	if (!in || !mode_fits(in, false))
		goto done;
	n = -ESPIPE;
	if (user && !in->ops->seek)
		goto done;
	n = -EBADF;
	if (!out || !mode_fits(out, true))
		goto done;
	n = -EINVAL;
	if (!in->ops->read || !in->ops->seek || (arg(r, 3) && is_directory(in)) || !out->ops->write || (out->flags & O_APPEND) || arg(r, 3) < 0)
		goto done;
	if (user) {
		n = get_user(pos, user);
		if (!n && pos < 0)
			n = -EINVAL;
		if (n)
			goto done;
		n = copy_between(in, &pos, out, &out->pos, (size_t)arg(r, 3));
		if (n >= 0 && put_user(pos, user))
			n = -EFAULT;
	} else {
		n = copy_between(in, &in->pos, out, &out->pos, (size_t)arg(r, 3));
	}
done:
	put_both(in, out);
	return n;
}

static int regular_only(struct file *f, struct statx *st)
{
	int err = file_stat(f, st);

	if (err)
		return err;
	return S_ISDIR(st->stx_mode) ? -EISDIR : S_ISREG(st->stx_mode) ? 0 : -EINVAL;
}

/* Within one file the ranges must not overlap. */
static bool overlap(const struct statx *a, const struct statx *b, off_t from, off_t to, off_t size)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor &&
	       to + size > from && to < from + size;
}

long sys_copy_file_range(struct regs *r)
{
	struct file *in = fd_get_open((int)arg(r, 0)), *out = fd_get_open((int)arg(r, 2));
	off_t *user_in = (off_t *)arg(r, 1), *user_out = (off_t *)arg(r, 3), in_pos = 0, out_pos = 0;
	size_t count = MIN((size_t)arg(r, 4), 1ul << 30);
	struct statx in_st, out_st;
	ssize_t n = -EBADF;

	if (!in || !out)
		goto done;
	n = arg(r, 5) ? -EINVAL : regular_only(in, &in_st);
	if (!n)
		n = regular_only(out, &out_st);
	if (!n && (!mode_fits(in, false) || !mode_fits(out, true) || (out->flags & O_APPEND)))
		n = -EBADF;
	if (!n && ((user_in && get_user(in_pos, user_in)) || (user_out && get_user(out_pos, user_out))))
		n = -EFAULT;
	if (n)
		goto done;
	n = -EINVAL;
	if (!user_in && file_position(in) < 0)
		goto done;
	off_t *from = user_in ? &in_pos : &in->pos, *to = user_out ? &out_pos : &out->pos;
	uint64_t beyond;
	if (__builtin_add_overflow((uint64_t)*from, (uint64_t)arg(r, 4), &beyond) || __builtin_add_overflow((uint64_t)*to, (uint64_t)arg(r, 4), &beyond)) {
		n = -EOVERFLOW;
		goto done;
	}
	if (*from < 0 || *to < 0)
		goto done;
	off_t left = (off_t)in_st.stx_size > *from ? (off_t)in_st.stx_size - *from : 0;
	count = MIN(count, (size_t)left); /* at the start: the copy itself may make the file longer */
	if (overlap(&in_st, &out_st, *from, *to, (off_t)count))
		goto done;
	n = copy_between(in, from, out, to, count);
	if (n >= 0 && ((user_in && put_user(in_pos, user_in)) || (user_out && put_user(out_pos, user_out))))
		n = -EFAULT;
done:
	put_both(in, out);
	return n;
}

struct splice {
	struct file *in, *out;
	off_t *in_pos, *out_pos;
	size_t count;
	bool nonblock, keep; /* keep: tee */
};

/* Linux splices no eventfds, timerfds and the like. */
static bool can_splice(const struct file *f)
{
	return f->ops->stat != anon_stat || served_is_file(f);
}

/* From a pipe, which others do not read until it is known how much went on. Who keeps them waiting waits for no other pipe. */
static ssize_t splice_from_pipe(const struct splice *s, void *buf, size_t size)
{
	ssize_t n, put, room;

	for (;;) {
		n = pipe_hold(s->in, buf, size, s->nonblock);
		if (n <= 0)
			return n;
		if (file_is_pipe(s->out))
			put = pipe_put(s->out, &(struct iovec){ buf, (size_t)n }, 1, true);
		else
			put = file_write(s->out, &(struct iovec){ buf, (size_t)n }, 1, s->out_pos);
		pipe_skip(s->in, put > 0 && !s->keep ? (size_t)put : 0);
		if (put != -EAGAIN || !file_is_pipe(s->out))
			return put;
		room = pipe_room(s->out, s->nonblock); /* others filled it meanwhile */
		if (room < 0)
			return room;
		size = MIN(size, (size_t)room);
	}
}

/* One portion. Of two pipes the one to read from is looked at first. */
static ssize_t splice_once(const struct splice *s)
{
	bool from_pipe = file_is_pipe(s->in);
	struct iovec iov = { .iov_len = MIN(s->count, SPLICE_SIZE) };
	ssize_t n, put;
	char first;

	if (from_pipe && file_is_pipe(s->out) && (n = pipe_peek(s->in, &first, 1, s->nonblock)) < 0)
		return n;
	if (file_is_pipe(s->out)) {
		n = pipe_room(s->out, s->nonblock);
		if (n < 0)
			return n;
		if (!can_splice(s->in))
			return -EINVAL;
		iov.iov_len = MIN(iov.iov_len, (size_t)n);
	}
	iov.iov_base = kmalloc(iov.iov_len);
	if (!iov.iov_base)
		return -ENOMEM;
	n = from_pipe ? splice_from_pipe(s, iov.iov_base, iov.iov_len) : s->in->ops->read(s->in, &iov, 1, s->in_pos);
	if (!from_pipe && n > 0) {
		iov.iov_len = (size_t)n;
		put = file_write(s->out, &iov, 1, s->out_pos);
		if (put != n && s->in->ops->seek)
			*s->in_pos -= n - MAX(put, 0);
		n = put;
	}
	kfree(iov.iov_base);
	return n;
}

/* Where to read or write: NULL with *error if a position was given that the file has no use for. */
static off_t *splice_position(struct file *f, const off_t *user, off_t *pos, int *error)
{
	if (!user)
		return &f->pos;
	*error = file_is_pipe(f) ? -ESPIPE : !f->ops->seek ? -EINVAL : get_user(*pos, user);
	if (!*error && *pos < 0)
		*error = -EINVAL;
	return pos;
}

long sys_splice(struct regs *r)
{
	struct splice s = { .count = (size_t)arg(r, 4), .nonblock = arg(r, 5) & SPLICE_F_NONBLOCK };
	off_t *user_in = (off_t *)arg(r, 1), *user_out = (off_t *)arg(r, 3), in_pos = 0, out_pos = 0;
	int error = 0;
	ssize_t n = -EBADF;

	if (!s.count)
		return 0;
	if ((uint32_t)arg(r, 5) & ~SPLICE_FLAGS)
		return -EINVAL;
	s.in = get_mode((int)arg(r, 0), false);
	s.out = get_mode((int)arg(r, 2), true);
	if (!s.in || !s.out)
		goto done;
	s.in_pos = splice_position(s.in, user_in, &in_pos, &error);
	if (!error)
		s.out_pos = splice_position(s.out, user_out, &out_pos, &error);
	n = error;
	if (!n && ((!file_is_pipe(s.in) && !file_is_pipe(s.out)) || (!s.in->ops->read && can_splice(s.in)) || !s.out->ops->write ||
		   !can_splice(s.out) || (s.out->flags & O_APPEND && !file_is_pipe(s.out)) ||
		   (file_is_pipe(s.in) && file_is_pipe(s.out) && pipe_same(s.in, s.out))))
		n = -EINVAL;
	if (!n)
		n = splice_once(&s);
	if (n >= 0 && ((user_in && put_user(in_pos, user_in)) || (user_out && put_user(out_pos, user_out))))
		n = -EFAULT;
done:
	put_both(s.in, s.out);
	return n;
}

long sys_tee(struct regs *r)
{
	struct splice s = { .count = (size_t)arg(r, 2), .nonblock = arg(r, 3) & SPLICE_F_NONBLOCK, .keep = true };
	ssize_t n = -EBADF;

	if ((uint32_t)arg(r, 3) & ~SPLICE_FLAGS)
		return -EINVAL;
	if (!s.count)
		return 0;
	s.in = get_mode((int)arg(r, 0), false);
	s.out = get_mode((int)arg(r, 1), true);
	if (s.in && s.out) {
		s.out_pos = &s.out->pos;
		n = !file_is_pipe(s.in) || !file_is_pipe(s.out) || pipe_same(s.in, s.out) ? -EINVAL : splice_once(&s);
	}
	put_both(s.in, s.out);
	return n;
}

/* Pages are copied, never given away. As much goes into the pipe as it has room for. */
long sys_vmsplice(struct regs *r)
{
	bool nonblock = arg(r, 3) & SPLICE_F_NONBLOCK;
	struct iovec *iov;
	struct file *f;
	long n;

	if ((uint32_t)arg(r, 3) & ~SPLICE_FLAGS)
		return -EINVAL;
	f = fd_get_open((int)arg(r, 0));
	if (!f || !file_is_pipe(f)) {
		if (f)
			file_put(f);
		return -EBADF;
	}
	iov = kmalloc(IOV_MAX * sizeof *iov);
	n = iov ? iovec_from_user(iov, (void *)arg(r, 1), (unsigned long)arg(r, 2), IOV_MAX) : -ENOMEM;
	if (n > 0)
		n = mode_fits(f, true) ? pipe_put(f, iov, (unsigned)n, nonblock) : pipe_take(f, iov, (unsigned)n, nonblock);
	kfree(iov);
	file_put(f);
	return n;
}
