/*
 * Open files: allocation, references, and the few helpers that every kind of file shares. Memory of a struct file is
 * only ever reused for another struct file, so that fd_get may look at one that is just being closed (fdtable.c).
 * Called by everything that has descriptors.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/inotify.h"
#include "fs/hostfile.h"
#include "fs/mapped.h"
#include "fs/memfs.h"
#include "fs/poll.h"
#include "thread/isolated.h"

#define FILES_PER_BLOCK 64
#define RW_MAX 0x7ffff000ull /* as Linux: the most one call transfers */

static struct mutex g_free_lock;
static struct file *g_free; /* linked by data */

static struct file *take_free(void)
{
	struct file *f;

	mutex_lock(&g_free_lock);
	if (!g_free) {
		struct file *block = kzalloc(FILES_PER_BLOCK * sizeof *block);

		for (unsigned i = 0; block && i < FILES_PER_BLOCK; i++) {
			block[i].data = g_free;
			g_free = &block[i];
		}
	}
	f = g_free;
	if (f)
		g_free = f->data;
	mutex_unlock(&g_free_lock);
	return f;
}

struct file *file_alloc(const struct file_ops *ops, uint32_t flags, void *data)
{
	struct file *f = take_free();

	if (!f)
		return NULL;
	f->ops = ops;
	f->flags = flags;
	f->pos_lock = (struct mutex){ 0 };
	f->pos = 0;
	f->data = data;
	f->dentry = NULL;
	f->kind = 0;
	f->mapped = NULL;
	f->patience = MAPPED_PATIENCE;
	f->weighed = false;
	f->owner_type = F_OWNER_PID;
	f->owner_signal = 0;
	f->owner = 0;
	list_init(&f->epolls);
	f->epolls_lock = (struct mutex){ 0 };
	__atomic_store_n(&f->refs, 1, __ATOMIC_RELEASE);
	return f;
}

void file_get(struct file *f)
{
	__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
}

static void file_free(struct file *f)
{
	/* The lock counts too: an epoll that goes away at this moment may still hold it. */
	if (!list_empty(&f->epolls) || __atomic_load_n(&f->epolls_lock.word, __ATOMIC_ACQUIRE))
		epoll_forget_file(f);
	if (unlikely(g_watching) && f->dentry && !(f->flags & O_PATH))
		notify_dentry(f->dentry, (f->flags & O_ACCMODE) == O_RDONLY ? IN_CLOSE_NOWRITE : IN_CLOSE_WRITE);
	if (f->ops->release)
		f->ops->release(f);
	dentry_put(f->dentry);
	f->dentry = NULL;
	mutex_lock(&g_free_lock);
	f->data = g_free;
	g_free = f;
	mutex_unlock(&g_free_lock);
}

void file_put(struct file *f)
{
	if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) == 0)
		file_free(f);
}

#define USER_END (1ull << 47)

int iovec_from_user(struct iovec *out, const void *user, unsigned long count, unsigned max)
{
	uint64_t total = 0;
	int kept = 0;

	if (count > IOV_MAX || count > max)
		return -EINVAL;
	if (!in_program(user) || copy_from_user(out, user, count * sizeof *out))
		return -EFAULT;
	for (unsigned long i = 0; i < count; i++)
		if ((int64_t)out[i].iov_len < 0 || !in_program(out[i].iov_base))
			return (int64_t)out[i].iov_len < 0 ? -EINVAL : -EFAULT;
	for (unsigned long i = 0; i < count; i++) {
		/* Linux too looks at all of them before it moves a byte. */
		if (count > 1 && out[i].iov_len &&
		    (out[i].iov_len > USER_END || (uint64_t)out[i].iov_base > USER_END - out[i].iov_len))
			return -EFAULT;
		if (out[i].iov_len > RW_MAX - total)
			out[i].iov_len = RW_MAX - total;
		total += out[i].iov_len;
		/* an empty piece may point anywhere, and says nothing but to an eventfd, which refuses it as the first */
		if (out[i].iov_len)
			out[kept++] = out[i];
		else if (i == 0)
			out[kept++].iov_base = out; /* the monitor takes no others' addresses */
	}
	return total ? kept : 0;
}

ssize_t file_pread(struct file *f, void *buf, size_t size, off_t offset)
{
	size_t done = 0;

	if (!f->ops->read)
		return -EINVAL;
	while (done < size) {
		struct iovec iov = { (char *)buf + done, size - done };
		ssize_t n = f->ops->read(f, &iov, 1, &offset);

		if (n < 0)
			return done ? (ssize_t)done : n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

off_t file_seek_within(struct file *f, off_t offset, int whence, off_t end)
{
	off_t base = whence == SEEK_CUR ? f->pos : whence == SEEK_END ? end : 0;

	if (whence == SEEK_END && end < 0)
		return end;
	if ((whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END) || __builtin_add_overflow(base, offset, &offset) || offset < 0)
		return -EINVAL;
	f->pos = offset;
	return offset;
}

off_t file_position(struct file *f)
{
	return f->pos < 0 ? f->ops->seek(f, 0, SEEK_CUR) : f->pos;
}

int file_stat(struct file *f, struct statx *st)
{
	memset(st, 0, sizeof *st);
	if (f->ops->stat)
		return f->ops->stat(f, st);
	st->stx_mask = STATX_BASIC_STATS;
	st->stx_mode = S_IRUSR | S_IWUSR;
	st->stx_nlink = 1;
	st->stx_blksize = PAGE_SIZE;
	st->stx_ino = (uintptr_t)f / 16 & 0xffffffffu;
	st->stx_dev_minor = 15;
	return 0;
}

size_t file_path(struct file *f, char *buf, size_t size)
{
	struct statx st;
	ssize_t n;

	if (f->ops->path && !f->dentry)
		return f->ops->path(f, buf, size);
	if (f->dentry) {
		n = dentry_path(f->dentry, buf, size);
		if (n == -ENOENT) {
			size_t used = strlen(buf);

			n = (ssize_t)used + format(buf + used, size - used, " (deleted)");
		}
		return n < 0 ? 0 : MIN((size_t)n, size - 1);
	}
	if (file_stat(f, &st) || !st.stx_ino)
		st.stx_ino = 0;
	if (f->ops == &stream_ops)
		n = format(buf, size, "%s:[%llu]", S_ISFIFO(st.stx_mode) ? "pipe" : S_ISSOCK(st.stx_mode) ? "socket" : "stdio",
			   (unsigned long long)st.stx_ino);
	else if (!st.stx_ino)
		n = format(buf, size, "anon_inode:[%s]", f->ops->name);
	else
		n = format(buf, size, "%s:[%llu]", f->ops->name, (unsigned long long)st.stx_ino);
	return MIN((size_t)n, size - 1);
}
