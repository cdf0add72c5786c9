/*
 * /dev: a small file system in memory with the devices that every program expects, and nothing of the host's. Opening
 * a device makes a struct file with operations of its own. Called through inode_ops and file_ops.
 */
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "fs/hostfile.h"
#include "fs/memfs.h"
#include "net/loop.h"
#include "tty/console.h"
#include "tty/devpts.h"
#include "tty/terminal.h"

static size_t iov_size(const struct iovec *iov, unsigned count)
{
	size_t size = 0;

	for (unsigned i = 0; i < count; i++)
		size += iov[i].iov_len;
	return size;
}

static ssize_t null_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	(void)f, (void)iov, (void)count, (void)pos;
	return 0;
}

static ssize_t null_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	(void)f, (void)pos;
	return (ssize_t)iov_size(iov, count);
}

static ssize_t zero_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	ssize_t done = 0;

	(void)f, (void)pos;
	for (unsigned i = 0; i < count; i++) {
		if (zero_buffer(iov[i].iov_base, iov[i].iov_len))
			return done ? done : -EFAULT;
		done += (ssize_t)iov[i].iov_len;
	}
	return done;
}

static ssize_t full_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	(void)f, (void)pos;
	return iov_size(iov, count) ? -ENOSPC : 0;
}

static ssize_t random_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	ssize_t done = 0;

	(void)f, (void)pos;
	for (unsigned i = 0; i < count; i++) {
		size_t got = 0;

		while (got < iov[i].iov_len) {
			long n = hostcall(HC_random, (char *)iov[i].iov_base + got, MIN(iov[i].iov_len - got, 4096ul));

			if (n <= 0)
				return done ? done : n ? n : -EIO;
			got += (size_t)n;
			done += n;
			if (work_pending())
				return done;
		}
	}
	return done;
}

static off_t no_seek(struct file *f, off_t offset, int whence)
{
	(void)f, (void)offset, (void)whence;
	return 0;
}

static uint32_t device_poll(struct file *f)
{
	(void)f;
	return 0x1 | 0x4 | 0x40 | 0x100; /* EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM */
}

static int device_stat(struct file *f, struct statx *st)
{
	return dentry_getattr(f->dentry, st);
}

/* Private mappings of /dev/zero are anonymous memory. */
static int zero_map(struct file *f, int prot, int flags, off_t *offset, size_t size)
{
	(void)f, (void)prot, (void)flags, (void)offset, (void)size;
	return -ENOTBLK;
}

#define DEVICE_COMMON .seek = no_seek, .poll = device_poll, .stat = device_stat
static const struct file_ops null_ops = { .name = "null", .read = null_read, .write = null_write, DEVICE_COMMON };
static const struct file_ops zero_ops = { .name = "zero", .read = zero_read, .write = null_write,
					  .map_handle = zero_map, DEVICE_COMMON };
static const struct file_ops full_ops = { .name = "full", .read = zero_read, .write = full_write, DEVICE_COMMON };
static const struct file_ops random_ops = { .name = "random", .read = random_read, .write = null_write,
					    DEVICE_COMMON };

static struct file *open_device(struct mem_inode *inode, int flags, int *error)
{
	struct file *f = file_alloc(inode->device_ops, (uint32_t)flags, NULL);

	*error = -ENOMEM;
	return f;
}

static struct file *open_tty(struct mem_inode *inode, int flags, int *error)
{
	(void)inode;
	return terminal_open_own(flags, error);
}

static struct file *open_events(struct mem_inode *inode, int flags, int *error)
{
	(void)inode;
	return loop_events_open(flags, error);
}

static const struct device {
	const char *name;
	uint32_t major, minor;
	const struct file_ops *ops;
	struct file *(*open)(struct mem_inode *inode, int flags, int *error);
} g_devices[] = {
	{ "null", 1, 3, &null_ops, open_device },     { "zero", 1, 5, &zero_ops, open_device },
	{ "full", 1, 7, &full_ops, open_device },     { "random", 1, 8, &random_ops, open_device },
	{ "urandom", 1, 9, &random_ops, open_device }, { "tty", 5, 0, NULL, open_tty },
	{ "ptmx", 5, 2, NULL, devpts_open_master },   { "console", 5, 1, NULL, console_open },
	{ "cvm", 10, 240, NULL, open_events },
};

static const char *const g_links[][2] = {
	{ "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
};

static int add_device(struct mount *m, struct dentry *root, const struct device *dev)
{
	struct mem_inode *inode = mem_inode_new(m, S_IFCHR | 0666);

	if (!inode)
		return -ENOMEM;
	inode->rdev_major = dev->major;
	inode->rdev_minor = dev->minor;
	inode->device_ops = dev->ops;
	inode->open_device = dev->open;
	return mem_enter(root, dev->name, strlen(dev->name), inode, NULL);
}

int devfs_mount(struct mount *m, struct dentry **out)
{
	static const char *const dirs[] = { "pts", "shm" };
	int err = memfs_mount(m, 0755, out);

	for (unsigned i = 0; i < ARRAY_SIZE(g_devices) && !err; i++)
		err = add_device(m, *out, &g_devices[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(g_links) && !err; i++)
		err = memfs_ops.make(*out, g_links[i][0], strlen(g_links[i][0]), S_IFLNK, g_links[i][1]);
	for (unsigned i = 0; i < ARRAY_SIZE(dirs) && !err; i++)
		err = memfs_ops.make(*out, dirs[i], strlen(dirs[i]), S_IFDIR | (i ? 01777 : 0755), NULL);
	return err;
}
