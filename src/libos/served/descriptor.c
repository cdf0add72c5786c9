/*
 * Files of the program that stand for descriptors of the cVM that serves its system calls (served/served.h). Calls on
 * them go there by served.c; here is what the libOS itself does with any file: the last close, readiness for poll and epoll,
 * and reading for private mappings. Called through file_ops.
 */
#include "abi/boot.h"
#include "abi/served.h"
#include "core/uaccess.h"
#include "fs/file.h"
#include "ipc/block.h"
#include "mm/mm.h"
#include "served/served.h"
#include "thread/thread.h"

#define WINDOW (64ull << 10) /* of the program's memory, for reads into the libOS's own */

static struct waitq g_changed; /* of the server's page; a zeroed list is made whole by the first file */
static struct mutex g_lock;    /* that, and the window */
static uint64_t g_window;

uint32_t served_id(const struct file *f)
{
	return (uint32_t)(uintptr_t)f->data;
}

uint32_t served_life(const struct file *f)
{
	return (uint32_t)((uintptr_t)f->data >> 32);
}

/* The server writes only to the program's memory: through a window there, if the buffer is the libOS's. */
static long read_piece(struct file *f, uint64_t to, uint64_t size, const off_t *pos)
{
	uint32_t number = pos ? __NR_pread64 : __NR_read;
	uint64_t at = pos ? (uint64_t)*pos : 0;
	long n = 0;

	if (to - g_start->slot_base >= SLOT_LIBOS_END)
		return served_ask(f, number, to, size, at);
	mutex_lock(&g_lock);
	if (!g_window) {
		n = mm_map(0, WINDOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
		g_window = n > 0 ? (uint64_t)n : 0;
	}
	if (n >= 0)
		n = served_ask(f, number, g_window, MIN(size, WINDOW), at);
	if (n > 0 && ((uint64_t)n > MIN(size, WINDOW) || copy_from_user((void *)to, (void *)g_window, (uint64_t)n)))
		n = -EIO;
	mutex_unlock(&g_lock);
	return n;
}

static ssize_t served_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	ssize_t done = 0;

	for (unsigned i = 0; i < count; i++) {
		long n = read_piece(f, (uint64_t)iov[i].iov_base, iov[i].iov_len, pos);

		if (n < 0 || (uint64_t)n > iov[i].iov_len)
			return done ? done : n < 0 ? n : -EIO;
		if (pos)
			*pos += n;
		done += n;
		if ((uint64_t)n < iov[i].iov_len)
			break;
	}
	return done;
}

static uint32_t served_poll(struct file *f)
{
	long events;

	served_watch();
	events = served_ask(f, SERVED_POLL, 0, 0, 0);
	if (events == -ENOSYS)
		return EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
	return events < 0 ? EPOLLERR | EPOLLHUP : (uint32_t)events;
}

static struct waitq *served_waitq(struct file *f)
{
	(void)f;
	return &g_changed;
}

/* Private mappings are copies. */
static int served_map_handle(struct file *f, int prot, int flags, off_t *offset, size_t size)
{
	(void)f, (void)prot, (void)flags, (void)offset, (void)size;
	return -ENOTBLK;
}

static void served_release(struct file *f)
{
	(void)served_ask(f, __NR_close, 0, 0, 0);
}

static const struct file_ops g_served_file_ops = {
	.name = "served",
	.read = served_read,
	.poll = served_poll,
	.waitq = served_waitq,
	.map_handle = served_map_handle,
	.stat = anon_stat,
	.release = served_release,
};

struct file *served_file(uint32_t id, uint32_t life)
{
	mutex_lock(&g_lock);
	if (!g_changed.waiters.next)
		waitq_init(&g_changed);
	mutex_unlock(&g_lock);
	return file_alloc(&g_served_file_ops, O_RDWR, (void *)(id | (uintptr_t)life << 32));
}

bool served_is_file(const struct file *f)
{
	return f->ops == &g_served_file_ops;
}

void served_wake(void)
{
	if (__atomic_load_n(&g_changed.waiters.next, __ATOMIC_ACQUIRE))
		waitq_wake(&g_changed, 0);
}

void served_note(uint32_t index)
{
	if (g_served && served_is_page(index))
		served_wake();
}
