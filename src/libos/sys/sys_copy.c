/*
 * System calls that copy between descriptors: sendfile and copy_file_range go through a buffer of the libOS, which is
 * right for every pair of kinds. splice, tee and vmsplice answer EINVAL, upon which programs fall back to read and
 * write.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/inode.h"
#include "sys/syscalls.h"

#define BUFFER_SIZE (128u << 10)

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
		put = out->ops->write(out, &iov, 1, out_pos);
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

static struct file *get_mode(int fd, bool writes)
{
	struct file *f = fd_get(fd);

	if (f && ((f->flags & O_PATH) || (f->flags & O_ACCMODE) == (writes ? O_RDONLY : O_WRONLY))) {
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

long sys_sendfile(struct regs *r)
{
	struct file *out = get_mode((int)arg(r, 0), true), *in = get_mode((int)arg(r, 1), false);
	off_t *user = (off_t *)arg(r, 2), pos = 0;
	ssize_t n = -EBADF;

	if (!in || !out)
		goto done;
	n = -EINVAL;
	if (!in->ops->read || !out->ops->write || (out->flags & O_APPEND) || arg(r, 3) < 0)
		goto done;
	if (user) {
		n = in->ops->seek ? get_user(pos, user) : -ESPIPE;
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

static int regular_only(struct file *f)
{
	struct statx st;
	int err = file_stat(f, &st);

	if (err)
		return err;
	return S_ISDIR(st.stx_mode) ? -EISDIR : S_ISREG(st.stx_mode) ? 0 : -EINVAL;
}

long sys_copy_file_range(struct regs *r)
{
	struct file *in = get_mode((int)arg(r, 0), false), *out = get_mode((int)arg(r, 2), true);
	off_t *user_in = (off_t *)arg(r, 1), *user_out = (off_t *)arg(r, 3), in_pos = 0, out_pos = 0;
	ssize_t n = -EBADF;

	if (!in || !out || (out->flags & O_APPEND))
		goto done;
	n = arg(r, 5) ? -EINVAL : regular_only(in);
	if (!n)
		n = regular_only(out);
	if (!n && ((user_in && get_user(in_pos, user_in)) || (user_out && get_user(out_pos, user_out))))
		n = -EFAULT;
	if (!n && (in_pos < 0 || out_pos < 0))
		n = -EINVAL;
	if (n)
		goto done;
	n = copy_between(in, user_in ? &in_pos : &in->pos, out, user_out ? &out_pos : &out->pos,
			 MIN((size_t)arg(r, 4), 1ul << 30));
	if (n >= 0 && ((user_in && put_user(in_pos, user_in)) || (user_out && put_user(out_pos, user_out))))
		n = -EFAULT;
done:
	put_both(in, out);
	return n;
}

long sys_splice(struct regs *r)
{
	(void)r;
	return -EINVAL;
}

long sys_tee(struct regs *r)
{
	(void)r;
	return -EINVAL;
}

long sys_vmsplice(struct regs *r)
{
	(void)r;
	return -EINVAL;
}
