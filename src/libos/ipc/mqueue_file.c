/*
 * POSIX message queues as files, and their attributes. Called through file_ops, by sys/sys_mqueue.c and sys/sys_attr.c.
 */
#include "core/uaccess.h"
#include "fs/inode.h"
#include "ipc/iter.h"
#include "ipc/mqueue_internal.h"
#include "thread/clock.h"
#include "thread/thread.h"

#include <asm/ioctls.h>

#define FILE_SIZE 80 /* as fstat tells */

struct mqueue *mqueue_of(const struct file *f)
{
	return f->ops == &g_mqueue_ops ? f->data : NULL;
}

long mqueue_attributes(int fd, const struct mq_attr *set, struct mq_attr *old)
{
	struct file *f;
	struct mqueue *q;

	if (set && (set->mq_flags & ~(long)O_NONBLOCK))
		return -EINVAL;
	f = fd_get(fd);
	q = f ? mqueue_of(f) : NULL;
	if (q) {
		mutex_lock(&g_mqueue_lock);
		*old = q->attr;
		old->mq_flags = (long)(f->flags & O_NONBLOCK);
		if (set) {
			f->flags = (f->flags & ~(uint32_t)O_NONBLOCK) | (uint32_t)set->mq_flags;
			mqueue_stamp(&q->atime, NULL, &q->ctime);
		}
		mutex_unlock(&g_mqueue_lock);
	}
	if (f)
		file_put(f);
	return q ? 0 : -EBADF;
}

static ssize_t mqueue_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct mqueue *q = f->data;
	const struct notice *n = &q->notice;
	struct iter it = iter_init(iov, count);
	char text[128];
	size_t size, at = (size_t)*pos, done = 0, part;

	mutex_lock(&g_mqueue_lock);
	size = (size_t)format(text, sizeof(text), "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", q->bytes,
			      n->owner ? n->how : 0, n->owner && n->how == SIGEV_SIGNAL ? n->signal : 0, n->owner ? n->owner->pid : 0);
	mutex_unlock(&g_mqueue_lock);
	size = MIN(size, FILE_SIZE - 1ul);
	part = at < size ? MIN(size - at, it.left) : 0;
	if (part)
		done = iter_put(&it, text + at, part);
	if (part && !done)
		return -EFAULT;
	*pos += (off_t)done;
	if (done) {
		mutex_lock(&g_mqueue_lock);
		mqueue_stamp(&q->atime, NULL, &q->ctime);
		mutex_unlock(&g_mqueue_lock);
	}
	return (ssize_t)done;
}

static off_t mqueue_seek(struct file *f, off_t offset, int whence)
{
	return file_seek_within(f, offset, whence, FILE_SIZE);
}

static uint32_t mqueue_poll(struct file *f)
{
	const struct mqueue *q = f->data;
	uint32_t events = 0;

	mutex_lock(&g_mqueue_lock);
	if (q->attr.mq_curmsgs)
		events |= EPOLLIN | EPOLLRDNORM;
	if (q->attr.mq_curmsgs < q->attr.mq_maxmsg)
		events |= EPOLLOUT | EPOLLWRNORM;
	mutex_unlock(&g_mqueue_lock);
	return events;
}

static struct waitq *mqueue_waitq(struct file *f)
{
	return &((struct mqueue *)f->data)->wait;
}

static struct statx_timestamp timestamp(int64_t ns)
{
	return (struct statx_timestamp){ .tv_sec = ns / NSEC_PER_SEC, .tv_nsec = (uint32_t)(ns % NSEC_PER_SEC) };
}

static int mqueue_stat(struct file *f, struct statx *st)
{
	const struct mqueue *q = f->data;

	mutex_lock(&g_mqueue_lock);
	st->stx_mask = STATX_BASIC_STATS;
	st->stx_mode = (uint16_t)(S_IFREG | q->mode);
	st->stx_nlink = q->named;
	st->stx_uid = q->uid;
	st->stx_gid = q->gid;
	st->stx_ino = q->inode;
	st->stx_size = FILE_SIZE;
	st->stx_blksize = PAGE_SIZE;
	st->stx_atime = timestamp(q->atime);
	st->stx_mtime = timestamp(q->mtime);
	st->stx_ctime = timestamp(q->ctime);
	mutex_unlock(&g_mqueue_lock);
	return 0;
}

int mqueue_setattr(struct file *f, const struct attr *a)
{
	struct process *p = current()->process;
	struct mqueue *q = f->data;
	bool root = p->euid == 0;
	int ret = -EPERM;

	mutex_lock(&g_mqueue_lock);
	if (root || (p->euid == q->uid && (!(a->valid & ATTR_UID) || a->uid == q->uid) &&
		     (!(a->valid & ATTR_GID) || a->gid == q->gid || process_in_group(p, a->gid)))) {
		ret = 0;
		if (a->valid & ATTR_MODE)
			q->mode = a->mode & 07777;
		if (a->valid & ATTR_UID)
			q->uid = a->uid;
		if (a->valid & ATTR_GID)
			q->gid = a->gid;
		if (a->valid & ATTR_ATIME)
			q->atime = timespec_to_ns(&a->times[0]);
		if (a->valid & ATTR_MTIME)
			q->mtime = timespec_to_ns(&a->times[1]);
		q->ctime = clock_now(CLOCK_REALTIME);
	}
	mutex_unlock(&g_mqueue_lock);
	return ret;
}

static long mqueue_ioctl(struct file *f, unsigned long request, void *user)
{
	int left = (int)MAX((off_t)FILE_SIZE - f->pos, (off_t)0);

	return request == FIONREAD ? copy_to_user(user, &left, sizeof(left)) : -ENOTTY;
}

static size_t mqueue_path(struct file *f, char *buf, size_t size)
{
	const struct mqueue *q = f->data;
	size_t n;

	mutex_lock(&g_mqueue_lock);
	n = (size_t)format(buf, size, "/%s%s", q->name, q->named ? "" : " (deleted)");
	mutex_unlock(&g_mqueue_lock);
	return MIN(n, size - 1);
}

const struct file_ops g_mqueue_ops = {
	.name = "mqueue",
	.read = mqueue_read,
	.seek = mqueue_seek,
	.ioctl = mqueue_ioctl,
	.poll = mqueue_poll,
	.waitq = mqueue_waitq,
	.stat = mqueue_stat,
	.path = mqueue_path,
	.on_close = mqueue_on_close,
	.release = mqueue_release,
	.positioned = true,
};
