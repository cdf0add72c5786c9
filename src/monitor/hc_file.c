/*
 * File hostcalls: paths below granted directories, and operations on open handles. A path never leaves its directory
 * (openat2 with RESOLVE_IN_ROOT or RESOLVE_BENEATH, no magic links, no mount crossing); a name that changes a directory
 * is one component. Only regular files and directories are ever opened: the type is checked on an O_PATH
 * descriptor and that same object is then opened, so a swapped device node or FIFO is never touched.
 */
#include <asm/ioctls.h>
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <linux/uio.h>

#include "host/syscall.h"
#include "monitor/hostcalls.h"

#define NAME_SIZE 256
#define FD_NAME_SIZE 12
#define OPEN_FLAGS_ALLOWED                                                                                            \
	(O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC | O_DIRECT | O_LARGEFILE |  \
	 O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_PATH | O_TMPFILE)
#define OPEN_FLAGS_WRITE (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND)

static bool open_writes(uint64_t flags)
{
	return flags & OPEN_FLAGS_WRITE || (flags & O_TMPFILE) == O_TMPFILE;
}

/* openat2 below `dir` under the rules above. */
static long open_below(int dir, const char *path, uint64_t flags, uint64_t mode, bool no_symlinks)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .mode = mode };

	if (!insecure(LAUNCH_INSECURE_NO_PATH_CHECK))
		how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
	if (no_symlinks)
		how.resolve |= RESOLVE_NO_SYMLINKS;
	return host(__NR_openat2, dir, *path ? path : ".", &how, sizeof how);
}

/* The name of a descriptor below /proc/self/fd: decimal digits, at the end of `name`. */
static const char *fd_name(char name[FD_NAME_SIZE], int fd)
{
	char *at = &name[FD_NAME_SIZE - 1];

	*at = 0;
	do {
		*--at = (char)('0' + fd % 10);
	} while (fd /= 10);
	return at;
}

/* Through /proc/self/fd that very object is opened. */
long reopen(int fd, uint64_t flags)
{
	char name[FD_NAME_SIZE];

	return host(__NR_openat, g_arena->proc_fd, fd_name(name, fd), flags | O_CLOEXEC, 0);
}

static int kind_of(int fd, unsigned *kind, uint64_t flags)
{
	struct stat st;
	long r = host(__NR_fstat, fd, &st);

	if (r)
		return (int)r;
	uint32_t type = st.st_mode & 0170000;
	*kind = type == 0040000 ? HANDLE_DIR : HANDLE_FILE;
	if (*kind != HANDLE_DIR && type != 0100000 && !(type == 0120000 && flags & O_PATH))
		return type == 0120000 ? -ELOOP : -ENXIO;
	if (flags & O_PATH)
		*kind = *kind == HANDLE_DIR ? HANDLE_DIR | HANDLE_PATH : HANDLE_PATH;
	return 0;
}

/* An existing object, or what the handle itself names: look at it first, then open exactly it. */
static long open_existing(const struct handle *h, const char *path, uint64_t flags, bool no_symlinks, unsigned *kind)
{
	/* Asked for a directory, the kernel opens nothing else. */
	if (flags & O_DIRECTORY) {
		*kind = flags & O_PATH ? HANDLE_DIR | HANDLE_PATH : HANDLE_DIR;
		return open_below(h->fd, path, flags & ~(uint64_t)O_EXCL, 0, no_symlinks);
	}
	long fd = h->kind == HANDLE_PATH ? host(__NR_fcntl, h->fd, F_DUPFD_CLOEXEC, 3) :
					   open_below(h->fd, path, O_PATH | (flags & O_NOFOLLOW), 0, no_symlinks);
	if (fd < 0)
		return fd;
	long r = kind_of((int)fd, kind, flags);
	if (!r && flags & O_PATH)
		return fd;
	if (!r)
		r = reopen((int)fd, (flags & ~(uint64_t)(O_NOFOLLOW | O_EXCL)) | O_NONBLOCK * (*kind == HANDLE_FILE));
	host(__NR_close, fd);
	return r;
}

/* The handle of (handle, path, size), and the path below it; without one, of these kinds itself. */
static struct handle *handle_and_path(struct thread *t, const uint64_t *a, char path[HC_PATH_MAX], unsigned itself)
{
	int error = user_path(t->cvm, path, HC_PATH_MAX, (struct gaddr){ a[1] }, a[2]);

	return error ? error_pointer(error) : handle_get(t, a[0], a[2] ? HANDLE_DIR : itself);
}

long hc_file_open(struct thread *t, const uint64_t *a)
{
	char path[HC_PATH_MAX];
	uint64_t flags = a[3] & ~HC_OPEN_NO_SYMLINKS;
	bool no_symlinks = a[3] & HC_OPEN_NO_SYMLINKS;
	uint64_t mode = a[4] & 01777; /* no set-user-id files for the host */
	unsigned kind = HANDLE_FILE;
	struct handle *dir PINNED = handle_and_path(t, a, path, HANDLE_DIR | HANDLE_PATH);

	if (error_in(dir) || flags & ~(uint64_t)OPEN_FLAGS_ALLOWED || a[4] & ~07777ull)
		return error_in(dir) ?: -EINVAL;
	unsigned rights = dir->rights;
	long fd = -EROFS;
	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW;
	if (!open_writes(flags) || rights & LAUNCH_RIGHT_WRITE || flags & O_PATH) {
		if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) /* only what is new */
			fd = open_below(dir->fd, path, flags & O_CREAT ? flags | O_EXCL : flags, mode, no_symlinks);
		else
			fd = open_existing(dir, path, flags, no_symlinks, &kind);
	}
	if (fd < 0)
		return fd;
	if (kind == HANDLE_FILE && (flags & O_ACCMODE) == O_RDONLY && !open_writes(flags))
		rights = (rights & LAUNCH_RIGHT_READ) | (rights & LAUNCH_RIGHT_WRITE ? RIGHT_CHANGE : 0);
	return handle_add(t->cvm, (int)fd, kind, rights);
}

long hc_file_close(struct thread *t, const uint64_t *a)
{
	return handle_close(t->cvm, a[0]);
}

static bool one_component(const char *name)
{
	if (!*name || (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]))))
		return false;
	while (*name && *name != '/')
		name++;
	return !*name;
}

static long stat_this(long fd, uint64_t mask, struct statx *st)
{
	return host5(__NR_statx, fd, (long)"", AT_EMPTY_PATH, (long)mask, (long)st);
}

/* statx of the object at `path` below `dir`, links not followed at the end. */
static long stat_below(int dir, const char *path, uint64_t mask, struct statx *st)
{
	if (one_component(path) && !insecure(LAUNCH_INSECURE_NO_PATH_CHECK)) {
		long r = host5(__NR_statx, dir, (long)path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, (long)mask, (long)st);
		return !r && st->stx_attributes & STATX_ATTR_MOUNT_ROOT ? -EXDEV : r;
	}
	long fd = open_below(dir, path, O_PATH | O_NOFOLLOW, 0, false);
	if (fd < 0)
		return fd;
	long r = stat_this(fd, mask, st);
	host(__NR_close, fd);
	return r;
}

long hc_file_stat(struct thread *t, const uint64_t *a)
{
	char path[HC_PATH_MAX];
	struct statx st;
	struct handle *h PINNED = handle_and_path(t, a, path, HANDLE_FILE | HANDLE_DIR | HANDLE_PATH | HANDLE_STDIO | HANDLE_SOCKET | HANDLE_MEMOBJ);

	if (error_in(h))
		return error_in(h);
	long r = a[2] ? stat_below(h->fd, path, a[3], &st) : stat_this(h->fd, a[3], &st);
	return r ? r : user_out(t->cvm, (struct gaddr){ a[4] }, &st, sizeof st);
}

long hc_file_readlink(struct thread *t, const uint64_t *a)
{
	char path[HC_PATH_MAX];
	struct handle *h PINNED = handle_and_path(t, a, path, HANDLE_PATH);

	if (error_in(h) || !in_slot(t->cvm, (struct gaddr){ a[3] }, a[4]))
		return error_in(h) ?: -EFAULT;
	if (!a[2] || one_component(path))
		return host(__NR_readlinkat, h->fd, path, a[3], a[4]);
	long fd = open_below(h->fd, path, O_PATH | O_NOFOLLOW, 0, false);
	if (fd < 0)
		return fd;
	long r = host(__NR_readlinkat, fd, "", a[3], a[4]);
	host(__NR_close, fd);
	return r;
}

/* A memory object never grows by being written: only what memobj_resize made of it is counted. */
HOSTCALL_ON_HANDLE(file_pwrite, HANDLE_FILE | HANDLE_STDIO | HANDLE_MEMOBJ)
{
	uint64_t end;

	if (!(h->rights & LAUNCH_RIGHT_WRITE))
		return -EBADF;
	if (!in_slot(t->cvm, (struct gaddr){ a[1] }, a[2]))
		return -EFAULT;
	if (h->kind != HANDLE_MEMOBJ || insecure(LAUNCH_INSECURE_NO_LIMITS))
		return host_blocking(__NR_pwrite64, h->fd, a[1], a[2], a[3]);
	LOCKED(&t->cvm->mem_lock);
	if (!add_checked(a[2], a[3], &end) || end > h->size_pages * CVM_PAGE_SIZE)
		return -EBADF;
	return host(__NR_pwrite64, h->fd, a[1], a[2], a[3]);
}

/* Copies and checks an array of buffers: their number or negative errno. */
long iov_in(const struct cvm *c, struct iovec *iov, uint64_t user, uint64_t count)
{
	if (count > HC_IOV_MAX)
		return -EINVAL;
	if (user_in(c, iov, (struct gaddr){ user }, count * sizeof *iov))
		return -EFAULT;
	for (uint64_t i = 0; i < count; i++)
		if (!in_slot(c, (struct gaddr){ (uint64_t)iov[i].iov_base }, iov[i].iov_len))
			return -EFAULT;
	return (long)count;
}

static long transfer_v(struct thread *t, struct handle *h, const uint64_t *a, unsigned right, long plain, long positioned)
{
	struct iovec iov[HC_IOV_MAX];
	long count = h->rights & right ? iov_in(t->cvm, iov, a[1], a[2]) : -EBADF;

	if (count < 0)
		return count;
	if ((int64_t)a[3] == -1)
		return host_blocking(plain, h->fd, iov, count);
	return host5(positioned, h->fd, (long)iov, count, (long)a[3], 0);
}

HOSTCALL_ON_HANDLE(file_readv, HANDLE_STREAM & ~HANDLE_MEMOBJ)
{
	return transfer_v(t, h, a, LAUNCH_RIGHT_READ, __NR_readv, __NR_preadv);
}

HOSTCALL_ON_HANDLE(file_writev, HANDLE_STREAM & ~HANDLE_MEMOBJ)
{
	return transfer_v(t, h, a, LAUNCH_RIGHT_WRITE, __NR_writev, __NR_pwritev);
}

/* A memory object's size is accounted before it grows. */
static long memobj_resize(struct thread *t, struct handle *h, uint64_t size)
{
	LOCKED(&t->cvm->mem_lock);
	uint64_t pages = ALIGN_UP(size, CVM_PAGE_SIZE) / CVM_PAGE_SIZE, had = h->size_pages;
	int r = size > SLOT_SIZE ? -EINVAL : pages > had ? memory_count(t->cvm, (pages - had) * CVM_PAGE_SIZE) : 0;
	if (r)
		return r;
	long result = host(__NR_ftruncate, h->fd, size);
	if (!result)
		h->size_pages = (uint32_t)pages;
	if (result ? pages > had : pages < had)
		memory_uncount(t->cvm, (pages > had ? pages - had : had - pages) * CVM_PAGE_SIZE);
	return result;
}

HOSTCALL_ON_HANDLE(file_truncate, HANDLE_FILE | HANDLE_MEMOBJ)
{
	if (h->kind == HANDLE_MEMOBJ)
		return memobj_resize(t, h, a[1]);
	return h->rights & LAUNCH_RIGHT_WRITE ? host(__NR_ftruncate, h->fd, a[1]) : -EROFS;
}

long hc_memobj_create(struct thread *t, const uint64_t *a)
{
	long fd = host(__NR_memfd_create, "memobj", MFD_CLOEXEC);
	long number = fd < 0 ? fd : handle_add(t->cvm, (int)fd, HANDLE_MEMOBJ, LAUNCH_RIGHT_READ | LAUNCH_RIGHT_WRITE);
	long r = number < 0 ? number : hc_file_truncate(t, (const uint64_t[]){ (uint64_t)number, a[0] });

	if (r && number >= 0)
		handle_close(t->cvm, (uint64_t)number);
	return r ? r : number;
}

long hc_file_ioctl(struct thread *t, const uint64_t *a)
{
	uint64_t size = 4, request = a[1];
	unsigned kinds = HANDLE_STDIO;

	switch (request) {
	case FIONREAD: kinds = HANDLE_SOCKET | HANDLE_STDIO; break;
	case FIONBIO: kinds = HANDLE_SOCKET; break; /* standard streams: others have them too */
	case TCGETS: case TCSETS: case TCSETSW: case TCSETSF: size = 36; break;
	case TIOCGWINSZ: size = 8; break;
	case TIOCGPGRP: break;
	default: return -ENOTTY;
	}
	if (!in_slot(t->cvm, (struct gaddr){ a[2] }, size))
		return -EFAULT;
	struct handle *h PINNED = handle_get(t, a[0], kinds);
	return error_in(h) ?: host_blocking(__NR_ioctl, h->fd, request, a[2]);
}

HOSTCALL_ON_HANDLE(file_dup, ~0u & ~HANDLE_MEMOBJ)
{
	long fd = host(__NR_fcntl, h->fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? fd : handle_add(t->cvm, (int)fd, h->kind, h->rights);
}

/* A directory to be changed and the name in it: three arguments from a[0] on. */
static struct handle *dir_and_name(struct thread *t, const uint64_t *a, char name[NAME_SIZE])
{
	int error = user_path(t->cvm, name, NAME_SIZE, (struct gaddr){ a[1] }, a[2]);

	if (!error && !one_component(name) && !insecure(LAUNCH_INSECURE_NO_PATH_CHECK))
		error = -EINVAL;
	struct handle *h = error ? error_pointer(error) : handle_get(t, a[0], HANDLE_DIR);
	if (error_in(h) || h->rights & LAUNCH_RIGHT_WRITE)
		return h;
	handle_put(h);
	return error_pointer(-EROFS);
}

long hc_dir_mkdir(struct thread *t, const uint64_t *a)
{
	char name[NAME_SIZE];
	struct handle *dir PINNED = dir_and_name(t, a, name);

	return error_in(dir) ?: host(__NR_mkdirat, dir->fd, name, a[3] & 01777);
}

long hc_dir_unlink(struct thread *t, const uint64_t *a)
{
	char name[NAME_SIZE];
	struct handle *dir PINNED = dir_and_name(t, a, name);

	if (a[3] & ~(uint64_t)AT_REMOVEDIR)
		return -EINVAL;
	return error_in(dir) ?: host(__NR_unlinkat, dir->fd, name, a[3]);
}

long hc_dir_rename(struct thread *t, const uint64_t *a)
{
	const uint64_t target[] = { a[3], a[4], a[5] & 0xffffffff };
	char old_name[NAME_SIZE], new_name[NAME_SIZE];
	uint64_t flags = a[5] >> 32;
	struct handle *from PINNED = dir_and_name(t, a, old_name);
	struct handle *to PINNED = error_in(from) ? from : dir_and_name(t, target, new_name);

	if (error_in(to) || flags & ~3ull) /* RENAME_NOREPLACE, RENAME_EXCHANGE */
		return error_in(to) ?: -EINVAL;
	return host5(__NR_renameat2, from->fd, (long)old_name, to->fd, (long)new_name, (long)flags);
}

/* The source needs write rights too: a link must not turn a read-only grant into a writable one. */
HOSTCALL_ON_HANDLE(dir_link, HANDLE_FILE | HANDLE_PATH)
{
	char name[NAME_SIZE], self[FD_NAME_SIZE];
	struct handle *dir PINNED = h->rights & LAUNCH_RIGHT_WRITE ? dir_and_name(t, a + 1, name) : error_pointer(-EROFS);

	if (error_in(dir))
		return error_in(dir);
	return host5(__NR_linkat, g_arena->proc_fd, (long)fd_name(self, h->fd), dir->fd, (long)name, AT_SYMLINK_FOLLOW);
}

long hc_dir_symlink(struct thread *t, const uint64_t *a)
{
	char target[HC_PATH_MAX], name[NAME_SIZE];
	int error = user_path(t->cvm, target, sizeof target, (struct gaddr){ a[0] }, a[1]);
	struct handle *dir PINNED = error ? error_pointer(error) : dir_and_name(t, a + 2, name);

	return error_in(dir) ?: host(__NR_symlinkat, target, dir->fd, name);
}
