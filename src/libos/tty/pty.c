/*
 * The two ends of a pseudo-terminal as files (tty/tty.h). A pair lives until both are closed; the master's end hangs the slave up.
 * Called through file_ops, by tty/devpts.c, which has the names, and by process/exec_service.c, for which the libOS is the master.
 */
#include "core/kheap.h"
#include "ipc/block.h"
#include "ipc/iter.h"
#include "fs/inode.h"
#include "tty/tty.h"
#include "process/process.h"
#include "signal/internal.h"

#include <linux/eventpoll.h>
#include <linux/major.h>
#include <linux/time.h>

#define TENTH_NS (NSEC_PER_SEC / 10)

static struct mutex g_lock; /* taken behind none and before none */
static struct tty *g_ttys[TTY_MAX]; /* open masters; g_lock */

struct pty_io {
	struct tty *tty;
	struct iter it;
	size_t done;
	bool waited;
};

/* --- pairs --- */

void tty_lock(struct tty *t)
{
	mutex_lock(&t->lock);
}

void tty_unlock(struct tty *t)
{
	__typeof__(t->due) due = t->due;

	memset(&t->due, 0, sizeof(t->due));
	mutex_unlock(&t->lock);
	for (; due.signals; due.signals &= due.signals - 1)
		terminal_signal(&t->terminal, __builtin_ctzll(due.signals) + 1);
	if (due.slave)
		waitq_wake(&t->slave_wait, due.slave);
	if (due.master)
		waitq_wake(&t->master_wait, due.master);
}

static void tty_get(struct tty *t)
{
	__atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
}

void tty_put(struct tty *t)
{
	if (!__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL))
		kfree(t);
}

struct tty *tty_get_by_number(uint32_t number)
{
	struct tty *t;

	mutex_lock(&g_lock);
	t = number < TTY_MAX ? g_ttys[number] : NULL;
	if (t)
		tty_get(t);
	mutex_unlock(&g_lock);
	return t;
}

static bool number_tty(struct tty *t)
{
	uint32_t number = 0;

	mutex_lock(&g_lock);
	while (number < TTY_MAX && g_ttys[number])
		number++;
	if (number < TTY_MAX)
		g_ttys[number] = t;
	mutex_unlock(&g_lock);
	t->number = number;
	t->terminal.device = UNIX98_PTY_SLAVE_MAJOR << 8 | number;
	return number < TTY_MAX;
}

static void unnumber_tty(const struct tty *t)
{
	mutex_lock(&g_lock);
	g_ttys[t->number] = NULL;
	mutex_unlock(&g_lock);
}

static void get_terminal(struct terminal *t)
{
	tty_get((struct tty *)t);
}

static void put_terminal(struct terminal *t)
{
	tty_put((struct tty *)t);
}

static struct file *open_terminal(struct terminal *t, int flags, int *error)
{
	return pty_open_slave((struct tty *)t, flags, error);
}

static const struct terminal_ops g_terminal_ops = { get_terminal, put_terminal, open_terminal };

static struct tty *tty_new(int *error)
{
	struct tty *t = kzalloc(sizeof(*t));

	*error = -ENOMEM;
	if (!t)
		return NULL;
	t->refs = 1;
	t->locked = true;
	t->terminal.ops = &g_terminal_ops;
	waitq_init(&t->master_wait);
	waitq_init(&t->slave_wait);
	line_init(t);
	*error = -ENOSPC;
	if (!number_tty(t)) {
		tty_put(t);
		return NULL;
	}
	*error = devpts_add(t);
	if (*error) {
		unnumber_tty(t);
		tty_put(t);
		return NULL;
	}
	terminal_add(&t->terminal);
	return t;
}

/* The master is closed, or was never opened. */
static void hang_up(struct tty *t)
{
	terminal_remove(&t->terminal);
	terminal_hang_up(&t->terminal);
	devpts_remove(t);
	unnumber_tty(t);
	waitq_wake(&t->slave_wait, 0);
}

/* --- the master --- */

static ssize_t put_output(struct tty *t, struct iter *it, bool consume)
{
	uint32_t place = t->output.head;
	ssize_t done = 0;

	while (place != t->output.tail && it->left) {
		uint32_t from = place & (TTY_OUTPUT_SIZE - 1);
		size_t n = MIN(MIN((size_t)(t->output.tail - place), (size_t)(TTY_OUTPUT_SIZE - from)), it->left);
		size_t got = iter_put(it, t->output.bytes + from, n);

		place += (uint32_t)got;
		done += (ssize_t)got;
		if (got < n)
			break;
	}
	if (consume)
		t->output.head = place;
	return done ? done : -EFAULT;
}

/* A packet is a byte that says what it is, and output if that is 0. */
static ssize_t read_packet(struct tty *t, struct iter *it)
{
	uint8_t head = t->news;
	ssize_t n;

	if (!head && !tty_used(&t->output))
		return t->was_open ? -EIO : -EAGAIN;
	if (iter_put(it, &head, 1) != 1)
		return -EFAULT;
	t->news = 0;
	if (head || !it->left)
		return 1;
	n = put_output(t, it, true);
	return n < 0 ? n : n + 1;
}

static ssize_t try_master_read(void *ctx)
{
	struct pty_io *io = ctx;
	struct tty *t = io->tty;
	ssize_t ret;

	tty_lock(t);
	if (t->packets)
		ret = read_packet(t, &io->it);
	else if (tty_used(&t->output))
		ret = put_output(t, &io->it, true);
	else
		ret = t->was_open ? -EIO : -EAGAIN;
	if (ret > 0)
		line_output_drained(t);
	tty_unlock(t);
	return ret;
}

static ssize_t master_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct pty_io io = { .tty = f->data, .it = iter_init(iov, count) };
	ssize_t ret;

	(void)pos;
	if (!io.it.left)
		return 0;
	ret = try_master_read(&io);
	return ret == -EAGAIN && !(f->flags & O_NONBLOCK) ? block_until(&io.tty->master_wait, BLOCK_READ | EPOLLPRI, -1, try_master_read, &io) : ret;
}

/* Typed. All of it: the count. */
static ssize_t try_master_write(void *ctx)
{
	struct pty_io *io = ctx;
	struct tty *t = io->tty;
	struct tty_ring *r = &t->input;
	bool fault = false;

	tty_lock(t);
	while (io->it.left && tty_used(r) < r->size && !fault && !t->master_held) {
		uint32_t to = r->tail & (r->size - 1);
		size_t n = MIN(MIN((size_t)(r->size - tty_used(r)), (size_t)(r->size - to)), io->it.left);
		size_t got = iter_take(&io->it, r->bytes + to, n);

		r->tail += (uint32_t)got;
		io->done += got;
		fault = got < n;
		line_receive(t);
	}
	tty_unlock(t);
	return fault && !io->done ? -EFAULT : fault || !io->it.left ? (ssize_t)io->done : -EAGAIN;
}

static ssize_t master_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct pty_io io = { .tty = f->data, .it = iter_init(iov, count) };
	ssize_t ret;

	(void)pos;
	if (!io.it.left)
		return 0;
	ret = try_master_write(&io);
	if (ret == -EAGAIN && !(f->flags & O_NONBLOCK))
		ret = block_until(&io.tty->master_wait, BLOCK_WRITE, -1, try_master_write, &io);
	return ret < 0 && io.done ? (ssize_t)io.done : ret;
}

static uint32_t master_poll(struct file *f)
{
	struct tty *t = f->data;
	uint32_t events = 0;

	mutex_lock(&t->lock);
	if (tty_used(&t->output) || t->news)
		events |= EPOLLIN | EPOLLRDNORM;
	if (t->news)
		events |= EPOLLPRI;
	if (t->was_open)
		events |= EPOLLHUP;
	if (tty_used(&t->input) < t->input.size && !t->master_held)
		events |= EPOLLOUT | EPOLLWRNORM;
	mutex_unlock(&t->lock);
	return events;
}

static struct waitq *master_waitq(struct file *f)
{
	return &((struct tty *)f->data)->master_wait;
}

static long master_ioctl(struct file *f, unsigned long request, void *user)
{
	return tty_ioctl(f, f->data, false, request, user);
}

static int pty_stat(struct file *f, struct statx *st)
{
	return f->dentry ? dentry_getattr(f->dentry, st) : anon_stat(f, st);
}

static void master_release(struct file *f)
{
	struct tty *t = f->data;

	tty_lock(t);
	t->masters = 0;
	tty_unlock(t);
	hang_up(t);
	tty_put(t);
}

static const struct file_ops g_master_ops = {
	.name = "ptmx",
	.read = master_read,
	.write = master_write,
	.ioctl = master_ioctl,
	.poll = master_poll,
	.waitq = master_waitq,
	.stat = pty_stat,
	.release = master_release,
};

struct file *pty_open_master(int flags, int *error)
{
	struct tty *t = tty_new(error);
	struct file *f;

	if (!t)
		return NULL;
	f = file_alloc(&g_master_ops, (uint32_t)flags, t);
	t->masters = f != NULL;
	if (!f) {
		*error = -ENFILE;
		hang_up(t);
		tty_put(t);
	}
	return f;
}

/* --- the slave --- */

/* Read enough, or nothing more to wait for: how much. -EINPROGRESS: something, and the time between bytes begins again. */
static ssize_t try_slave_read(void *ctx)
{
	struct pty_io *io = ctx;
	struct tty *t = io->tty;
	bool lines = t->modes.c_lflag & ICANON;
	ssize_t ret = -EAGAIN;

	tty_lock(t);
	if (!t->masters) {
		ret = io->waited && !io->done ? -EIO : (ssize_t)io->done;
	} else if (line_readable(t, false)) {
		ret = line_read(t, &io->it);
		io->done += ret > 0 ? (size_t)ret : 0;
		if (ret >= 0 && !lines && io->it.left && io->done < t->modes.c_cc[VMIN])
			ret = -EINPROGRESS;
		else if (ret >= 0)
			ret = (ssize_t)io->done;
	}
	tty_unlock(t);
	return ret;
}

/* How long for the next byte: ns, -1 for ever, 0 not at all. */
static int64_t patience(const struct pty_io *io)
{
	const cc_t *keys = io->tty->modes.c_cc;

	if (io->tty->modes.c_lflag & ICANON)
		return -1;
	if (keys[VMIN])
		return keys[VTIME] && io->done ? keys[VTIME] * TENTH_NS : -1;
	return keys[VTIME] * TENTH_NS;
}

static ssize_t slave_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct pty_io io = { .tty = f->data, .it = iter_init(iov, count) };
	ssize_t ret = terminal_check(&io.tty->terminal, SIGTTIN);
	int64_t wait;

	(void)pos;
	if (ret || !io.it.left)
		return ret;
	while ((ret = try_slave_read(&io)) == -EINPROGRESS || ret == -EAGAIN) {
		if (ret == -EINPROGRESS)
			continue;
		wait = patience(&io);
		if (!wait || (f->flags & O_NONBLOCK))
			return io.done || !wait ? (ssize_t)io.done : -EAGAIN;
		io.waited = true;
		ret = block_until(&io.tty->slave_wait, BLOCK_READ, wait, try_slave_read, &io);
		if (ret == -EAGAIN) /* that long */
			return (ssize_t)io.done;
		if (ret != -EINPROGRESS)
			break;
	}
	return ret < 0 && io.done ? (ssize_t)io.done : ret;
}

static ssize_t try_slave_write(void *ctx)
{
	struct pty_io *io = ctx;
	struct tty *t = io->tty;
	ssize_t n = 0;

	tty_lock(t);
	n = t->masters ? line_write(t, &io->it) : -EIO;
	tty_unlock(t);
	if (n < 0)
		return n;
	io->done += (size_t)n;
	return io->it.left ? -EAGAIN : (ssize_t)io->done;
}

static ssize_t slave_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct pty_io io = { .tty = f->data, .it = iter_init(iov, count) };
	ssize_t ret = io.tty->modes.c_lflag & TOSTOP ? terminal_check(&io.tty->terminal, SIGTTOU) : 0;

	(void)pos;
	if (ret || !io.it.left)
		return ret;
	ret = try_slave_write(&io);
	if (ret == -EAGAIN && !(f->flags & O_NONBLOCK))
		ret = block_until(&io.tty->slave_wait, BLOCK_WRITE, -1, try_slave_write, &io);
	return ret < 0 && io.done ? (ssize_t)io.done : ret;
}

static uint32_t slave_poll(struct file *f)
{
	struct tty *t = f->data;
	uint32_t events = 0;

	mutex_lock(&t->lock);
	if (!t->masters)
		events = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDNORM | EPOLLWRNORM;
	if (line_readable(t, true))
		events |= EPOLLIN | EPOLLRDNORM;
	if (line_writable(t))
		events |= EPOLLOUT | EPOLLWRNORM;
	mutex_unlock(&t->lock);
	return events;
}

static struct waitq *slave_waitq(struct file *f)
{
	return &((struct tty *)f->data)->slave_wait;
}

static long slave_ioctl(struct file *f, unsigned long request, void *user)
{
	struct tty *t = f->data;

	if (!__atomic_load_n(&t->masters, __ATOMIC_RELAXED))
		return request == TIOCSPGRP ? -ENOTTY : -EIO;
	return tty_ioctl(f, t, true, request, user);
}

static void slave_release(struct file *f)
{
	struct tty *t = f->data;

	tty_lock(t);
	if (!--t->slaves) {
		t->was_open = true;
		t->due.master |= EPOLLIN | EPOLLHUP;
	}
	tty_unlock(t);
	tty_put(t);
}

static const struct file_ops g_slave_ops = {
	.name = "pts",
	.read = slave_read,
	.write = slave_write,
	.ioctl = slave_ioctl,
	.poll = slave_poll,
	.waitq = slave_waitq,
	.stat = pty_stat,
	.release = slave_release,
};

/* Who is refused was never there: the master is not told that the slave was closed. */
struct file *pty_open_slave(struct tty *t, int flags, int *error)
{
	struct file *f = NULL;

	tty_lock(t);
	*error = !t->masters || t->locked ? -EIO : t->exclusive && current()->process->euid ? -EBUSY : 0;
	if (!*error) {
		f = file_alloc(&g_slave_ops, (uint32_t)flags, t);
		*error = f ? 0 : -ENFILE;
	}
	if (f) {
		tty_get(t);
		t->slaves++;
		t->was_open = false;
	}
	tty_unlock(t);
	if (f)
		terminal_opened(&t->terminal, flags);
	return f;
}

struct file *pty_open_peer(struct tty *t, int flags, int *error)
{
	struct file *f = pty_open_slave(t, flags, error);

	if (f)
		f->dentry = dentry_get(t->node);
	return f;
}

/* --- for the libOS itself --- */

ssize_t pty_peek(struct file *master, void *buf, size_t size)
{
	struct iovec iov = { buf, size };
	struct iter it = iter_init(&iov, 1);
	struct tty *t = master->data;
	ssize_t ret;

	mutex_lock(&t->lock);
	ret = tty_used(&t->output) ? put_output(t, &it, false) : t->was_open ? -EIO : -EAGAIN;
	t->shown = ret > 0 ? (uint32_t)ret : 0;
	mutex_unlock(&t->lock);
	return ret;
}

void pty_skip(struct file *master, size_t size)
{
	struct tty *t = master->data;

	tty_lock(t);
	t->output.head += (uint32_t)MIN(size, (size_t)tty_used(&t->output));
	t->shown = 0;
	line_output_drained(t);
	tty_unlock(t);
}

int pty_create(struct file **master, struct file **slave, uint32_t uid)
{
	struct tty *t;
	int err;

	*master = pty_open_master(O_RDWR | O_NONBLOCK, &err);
	if (!*master)
		return err;
	t = (*master)->data;
	t->locked = false;
	devpts_own(t, uid);
	*slave = pty_open_peer(t, O_RDWR | O_NOCTTY, &err);
	if (!*slave)
		file_put(*master);
	return *slave ? 0 : err;
}

struct terminal *pty_terminal(struct file *slave)
{
	return &((struct tty *)slave->data)->terminal;
}
