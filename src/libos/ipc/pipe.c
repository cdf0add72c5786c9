/*
 * Pipes and FIFOs (ipc/pipe.h): reading and writing. Each end is a struct file on the shared struct pipe; both use one
 * wait queue, whose events tell readers from writers. Trusts nothing: buffers are program addresses and may be bad.
 * Called through file_ops; pipes are made by sys_ipc.c and, for FIFOs, by fs/ through fifo_open().
 */
#include "ipc/pipe.h"
#include "core/kheap.h"
#include "ipc/block.h"
#include "ipc/ring.h"

#include <asm/ioctls.h>

struct pipe {
	struct mutex lock; /* everything below but `wait` */
	struct ring ring;
	uint32_t readers, writers;	     /* open ends now */
	uint32_t reader_opens, writer_opens; /* ends ever opened: a FIFO's open waits for a change */
	uint32_t files;			     /* struct files on it */
	bool held;			     /* pipe_hold: nobody else reads until pipe_skip */
	uint64_t inode;
	struct waitq wait;
	void **slot;		  /* FIFO: word of the inode that points here while files > 0; *slot_lock */
	struct mutex *slot_lock;  /* taken before `lock` */
};

#define ROOM (1u << 20) /* among the events of its wait queue, for who waits to write: some room, maybe too little to be writable */

struct pipe_io {
	struct pipe *pipe;
	struct iter it;
	size_t done;
	bool peek, hold;
};

static struct pipe *pipe_alloc(void)
{
	struct pipe *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	waitq_init(&p->wait);
	p->ring.limit = PIPE_SIZE_DEFAULT;
	p->inode = anon_inode();
	return p;
}

static bool reads(const struct file *f)
{
	return (f->flags & O_ACCMODE) != O_WRONLY;
}

static bool writes(const struct file *f)
{
	return (f->flags & O_ACCMODE) != O_RDONLY;
}

static ssize_t try_read(void *ctx)
{
	struct pipe_io *io = ctx;
	struct pipe *p = io->pipe;
	ssize_t ret = -EAGAIN;
	bool fault, was_writable;

	mutex_lock(&p->lock);
	was_writable = ring_free(&p->ring) >= PIPE_BUF;
	if (ring_used(&p->ring) && p->held && (io->hold || !io->peek)) {
		ret = -EAGAIN;
	} else if (ring_used(&p->ring)) {
		size_t n = io->peek ? ring_peek(&p->ring, 0, &io->it, io->it.left, &fault) :
				      ring_read(&p->ring, &io->it, io->it.left, &fault);

		ret = n || !fault ? (ssize_t)n : -EFAULT;
		p->held |= io->hold && n;
	} else if (!p->writers) {
		ret = 0;
	}
	bool is_writable = ring_free(&p->ring) >= PIPE_BUF;
	mutex_unlock(&p->lock);
	if (ret > 0 && !io->peek) /* as on Linux, no edge where there was room before */
		waitq_wake(&p->wait, is_writable && !was_writable ? ROOM | EPOLLOUT | EPOLLWRNORM : ROOM);
	return ret;
}

static ssize_t pipe_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	(void)pos;
	return pipe_take(f, iov, count, false);
}

/* Everything written: the count. -EAGAIN as long as something is left; io->done says how much went already. */
static ssize_t try_write(void *ctx)
{
	struct pipe_io *io = ctx;
	struct pipe *p = io->pipe;
	size_t n = 0, room;
	bool fault = false, memory = true;
	ssize_t ret = -EAGAIN;

	mutex_lock(&p->lock);
	room = ring_free(&p->ring);
	if (!p->readers) {
		ret = -EPIPE;
	} else if (room && (room >= io->it.left || io->done + io->it.left > PIPE_BUF)) {
		n = ring_write(&p->ring, &io->it, io->it.left, &fault);
		memory = n || fault;
	}
	mutex_unlock(&p->lock);
	io->done += n;
	if (n)
		waitq_wake(&p->wait, EPOLLIN | EPOLLRDNORM);
	if (fault)
		ret = -EFAULT;
	else if (!memory)
		ret = -ENOMEM;
	else if (n && !io->it.left)
		ret = 0;
	if (ret == -EAGAIN)
		return ret;
	return io->done ? (ssize_t)io->done : ret;
}

static ssize_t pipe_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct pipe_io io = { .pipe = f->data, .it = iter_init(iov, count) };
	ssize_t ret;

	(void)pos;
	if (!io.it.left)
		return 0;
	ret = try_write(&io);
	if (ret == -EAGAIN && !(f->flags & O_NONBLOCK))
		ret = block_until(&io.pipe->wait, BLOCK_WRITE | ROOM, -1, try_write, &io);
	if (ret < 0 && io.done)
		return (ssize_t)io.done;
	return ret == -EPIPE ? broken_pipe() : ret;
}

static ssize_t look(struct file *f, void *buf, size_t size, bool nonblock, bool hold)
{
	struct iovec iov = { buf, size };
	struct pipe_io io = { .pipe = f->data, .it = iter_init(&iov, 1), .peek = true, .hold = hold };
	ssize_t ret = try_read(&io);

	if (ret != -EAGAIN || nonblock || (f->flags & O_NONBLOCK))
		return ret;
	return block_until(&io.pipe->wait, BLOCK_READ, -1, try_read, &io);
}

ssize_t pipe_peek(struct file *f, void *buf, size_t size, bool nonblock)
{
	return look(f, buf, size, nonblock, false);
}

ssize_t pipe_hold(struct file *f, void *buf, size_t size, bool nonblock)
{
	return look(f, buf, size, nonblock, true);
}

void pipe_skip(struct file *f, size_t size)
{
	struct pipe *p = f->data;

	mutex_lock(&p->lock);
	p->ring.head += MIN(size, ring_used(&p->ring));
	p->held = false;
	mutex_unlock(&p->lock);
	waitq_wake(&p->wait, EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM | ROOM);
}

static ssize_t try_write_some(void *ctx)
{
	struct pipe_io *io = ctx;
	ssize_t ret = try_write(io);

	return ret == -EAGAIN && io->done ? (ssize_t)io->done : ret;
}

ssize_t pipe_put(struct file *f, const struct iovec *iov, unsigned count, bool nonblock)
{
	struct pipe_io io = { .pipe = f->data, .it = iter_init(iov, count) };
	ssize_t ret;

	if (!io.it.left)
		return 0;
	ret = try_write_some(&io);
	if (ret == -EAGAIN && !nonblock && !(f->flags & O_NONBLOCK))
		ret = block_until(&io.pipe->wait, BLOCK_WRITE | ROOM, -1, try_write_some, &io);
	return ret == -EPIPE ? broken_pipe() : ret;
}

ssize_t pipe_take(struct file *f, const struct iovec *iov, unsigned count, bool nonblock)
{
	struct pipe_io io = { .pipe = f->data, .it = iter_init(iov, count) };
	ssize_t ret;

	if (!io.it.left)
		return 0;
	ret = try_read(&io);
	if (ret != -EAGAIN || nonblock || (f->flags & O_NONBLOCK))
		return ret;
	return block_until(&io.pipe->wait, BLOCK_READ, -1, try_read, &io);
}

static ssize_t try_room(void *ctx)
{
	struct pipe *p = ctx;
	ssize_t ret;

	mutex_lock(&p->lock);
	ret = !p->readers ? -EPIPE : ring_free(&p->ring) ? (ssize_t)ring_free(&p->ring) : -EAGAIN;
	mutex_unlock(&p->lock);
	return ret;
}

ssize_t pipe_room(struct file *f, bool nonblock)
{
	struct pipe *p = f->data;
	ssize_t ret = try_room(p);

	if (ret == -EAGAIN && !nonblock && !(f->flags & O_NONBLOCK))
		ret = block_until(&p->wait, BLOCK_WRITE | ROOM, -1, try_room, p);
	return ret == -EPIPE ? broken_pipe() : ret;
}

bool pipe_same(const struct file *a, const struct file *b)
{
	return a->data == b->data;
}

static uint32_t pipe_poll(struct file *f)
{
	struct pipe *p = f->data;
	uint32_t events = 0;

	mutex_lock(&p->lock);
	if (reads(f)) {
		if (ring_used(&p->ring) && !p->held)
			events |= EPOLLIN | EPOLLRDNORM;
		if (!p->writers && p->writer_opens)
			events |= EPOLLHUP;
	}
	if (writes(f)) {
		if (ring_free(&p->ring) >= PIPE_BUF)
			events |= EPOLLOUT | EPOLLWRNORM;
		if (!p->readers)
			events |= EPOLLERR;
	}
	mutex_unlock(&p->lock);
	return events;
}

static struct waitq *pipe_waitq(struct file *f)
{
	return &((struct pipe *)f->data)->wait;
}

static long pipe_ioctl(struct file *f, unsigned long request, void *user_arg)
{
	struct pipe *p = f->data;
	int n;

	if (request != FIONREAD)
		return -ENOTTY;
	mutex_lock(&p->lock);
	n = (int)ring_used(&p->ring);
	mutex_unlock(&p->lock);
	return put_user(n, (int *)user_arg);
}

static int pipe_stat(struct file *f, struct statx *st)
{
	return numbered_stat(st, S_IFIFO | 0600, ((struct pipe *)f->data)->inode);
}

static void pipe_release(struct file *f)
{
	struct pipe *p = f->data;
	struct mutex *slot_lock = p->slot_lock;
	bool last;

	if (slot_lock)
		mutex_lock(slot_lock);
	mutex_lock(&p->lock);
	p->readers -= reads(f);
	p->writers -= writes(f);
	last = --p->files == 0;
	if (!last) /* with the lock: behind it the others may close theirs, and free the pipe */
		waitq_wake(&p->wait, EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR);
	mutex_unlock(&p->lock);
	if (last && p->slot)
		*p->slot = NULL;
	if (slot_lock)
		mutex_unlock(slot_lock);
	if (last) {
		ring_free_data(&p->ring);
		kfree(p);
	}
}

static const struct file_ops g_pipe_ops = {
	.name = "pipe",
	.read = pipe_read,
	.write = pipe_write,
	.ioctl = pipe_ioctl,
	.poll = pipe_poll,
	.waitq = pipe_waitq,
	.stat = pipe_stat,
	.release = pipe_release,
};

/* A FIFO's file has a dentry, whose inode answers stat. */
static const struct file_ops g_fifo_ops = {
	.name = "fifo",
	.read = pipe_read,
	.write = pipe_write,
	.ioctl = pipe_ioctl,
	.poll = pipe_poll,
	.waitq = pipe_waitq,
	.release = pipe_release,
};

/* O_PATH: neither end, but the pipe can be opened again. */
static void pipe_path_release(struct file *f)
{
	struct pipe *p = f->data;
	bool last;

	mutex_lock(&p->lock);
	last = --p->files == 0;
	mutex_unlock(&p->lock);
	if (last) {
		ring_free_data(&p->ring);
		kfree(p);
	}
}

static const struct file_ops g_pipe_path_ops = { .name = "pipe", .stat = pipe_stat, .release = pipe_path_release };

struct file *pipe_open_path(struct file *end, int flags, int *error)
{
	struct pipe *p = end->data;
	struct file *f = file_alloc(&g_pipe_path_ops, (uint32_t)flags & (O_PATH | O_NOFOLLOW), p);

	*error = f ? 0 : -ENOMEM;
	if (f) {
		mutex_lock(&p->lock);
		p->files++;
		mutex_unlock(&p->lock);
	}
	return f;
}

bool file_is_pipe_path(const struct file *f)
{
	return f->ops == &g_pipe_path_ops;
}

bool file_is_pipe(const struct file *f)
{
	return f->ops == &g_pipe_ops || f->ops == &g_fifo_ops;
}

uint32_t pipe_end_events(const struct file *f)
{
	if (!file_is_pipe(f))
		return 0;
	return EPOLLERR | EPOLLHUP | (reads(f) ? EPOLLIN | EPOLLRDNORM : 0u) | (writes(f) ? EPOLLOUT | EPOLLWRNORM : 0u);
}

static struct file *open_end(struct pipe *p, const struct file_ops *ops, uint32_t flags)
{
	struct file *f = file_alloc(ops, flags, p);

	if (!f)
		return NULL;
	mutex_lock(&p->lock);
	p->files++;
	p->readers += reads(f);
	p->reader_opens += reads(f);
	p->writers += writes(f);
	p->writer_opens += writes(f);
	mutex_unlock(&p->lock);
	return f;
}

int pipe_create(struct file *end[2], uint32_t flags)
{
	struct pipe *p = pipe_alloc();

	if (!p)
		return -ENOMEM;
	end[0] = open_end(p, &g_pipe_ops, O_RDONLY | (flags & O_NONBLOCK));
	if (!end[0]) {
		kfree(p);
		return -ENFILE;
	}
	end[1] = open_end(p, &g_pipe_ops, O_WRONLY | (flags & O_NONBLOCK));
	if (!end[1]) {
		file_put(end[0]);
		return -ENFILE;
	}
	return 0;
}

struct file *pipe_reopen(struct file *end, int flags, int *error)
{
	struct file *f = open_end(end->data, &g_pipe_ops, (uint32_t)flags & (O_ACCMODE | O_NONBLOCK | O_APPEND));

	*error = f ? 0 : -ENOMEM;
	return f;
}

long pipe_get_size(struct file *f)
{
	struct pipe *p = f->data;

	return file_is_pipe(f) ? (long)p->ring.limit : -EBADF;
}

long pipe_set_size(struct file *f, unsigned long size)
{
	struct pipe *p = f->data;
	uint32_t limit = PIPE_BUF;
	int err;

	if (!file_is_pipe(f))
		return -EBADF;
	if (size > (1ul << 31))
		return -EINVAL;
	if (size > PIPE_SIZE_MAX)
		return -EPERM;
	while (limit < size)
		limit *= 2;
	mutex_lock(&p->lock);
	err = ring_set_limit(&p->ring, limit);
	mutex_unlock(&p->lock);
	waitq_wake(&p->wait, EPOLLOUT | EPOLLWRNORM | ROOM);
	return err ? err : (long)limit;
}

struct fifo_wait {
	struct pipe *pipe;
	uint32_t *opens; /* of the other side */
	uint32_t seen;
};

static ssize_t other_side_came(void *ctx)
{
	struct fifo_wait *w = ctx;
	bool came;

	mutex_lock(&w->pipe->lock);
	came = *w->opens != w->seen;
	mutex_unlock(&w->pipe->lock);
	return came ? 0 : -EAGAIN;
}

/* fifo(7): open for reading waits for a writer and the other way round; O_RDWR waits for nobody. The slot's lock is held: the other
 * side may come, or go again, only behind this. */
static bool must_wait(struct fifo_wait *w, struct pipe *p, uint32_t flags)
{
	bool reader = (flags & O_ACCMODE) == O_RDONLY;

	w->pipe = p;
	w->opens = reader ? &p->writer_opens : &p->reader_opens;
	w->seen = *w->opens;
	return !(reader ? p->writers : p->readers) && (flags & O_ACCMODE) != O_RDWR && !(reader && (flags & O_NONBLOCK));
}

struct file *fifo_open(void **slot, struct mutex *lock, int flags, int *error);

struct file *fifo_open(void **slot, struct mutex *lock, int flags, int *error)
{
	struct fifo_wait w;
	struct pipe *p;
	struct file *f = NULL;
	bool wait = false;

	mutex_lock(lock);
	p = *slot;
	if ((flags & O_ACCMODE) == O_WRONLY && (flags & O_NONBLOCK) && (!p || !p->readers)) {
		*error = -ENXIO;
		goto out;
	}
	*error = -ENOMEM;
	if (!p) {
		p = pipe_alloc();
		if (!p)
			goto out;
		p->slot = slot;
		p->slot_lock = lock;
	}
	f = open_end(p, &g_fifo_ops, (uint32_t)flags & (O_ACCMODE | O_NONBLOCK | O_APPEND));
	if (f) {
		*slot = p;
		wait = must_wait(&w, p, (uint32_t)flags);
	} else if (!p->files) {
		kfree(p);
	}
out:
	mutex_unlock(lock);
	if (!f)
		return NULL;
	waitq_wake(&p->wait, 0);
	*error = wait ? (int)block_until(&p->wait, 0, -1, other_side_came, &w) : 0;
	if (*error) {
		file_put(f);
		return NULL;
	}
	return f;
}
