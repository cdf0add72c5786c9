/* System calls that make descriptors from paths, and close them. */
#include "core/uaccess.h"
#include "fs/memfs.h"
#include "sys/syscalls.h"
#include <linux/close_range.h>
#include <linux/memfd.h>
#include <linux/openat2.h>

/* What openat2 knows, and what of that goes with O_PATH; open and openat ignore all else. */
#define OPEN_FLAGS                                                                                                                              \
	((uint64_t)(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | FASYNC | O_DIRECT | O_LARGEFILE |      \
		    O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | __O_TMPFILE))
#define OPEN_PATH_FLAGS ((uint64_t)(O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC))

static long do_open(int dirfd, const char *user_path, int flags, int mode, unsigned walk_flags)
{
	struct file *f;
	char *path;
	int err;

	if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY) && !(flags & O_PATH))
		return -EINVAL;
	err = path_from_user(user_path, &path);
	if (err)
		return err;
	f = open_how(dirfd, path, flags, mode, walk_flags, &err);
	pathbuf_put(path);
	if (!f)
		return err;
	if (!(f->flags & O_PATH))
		f->flags |= O_LARGEFILE;
	return fd_install(f, 0, flags & O_CLOEXEC);
}

long sys_open(struct regs *r)
{
	return do_open(AT_FDCWD, (const char *)arg(r, 0), (int)arg(r, 1), (int)arg(r, 2), 0);
}

long sys_openat(struct regs *r)
{
	return do_open((int)arg(r, 0), (const char *)arg(r, 1), (int)arg(r, 2), (int)arg(r, 3), 0);
}

long sys_creat(struct regs *r)
{
	return do_open(AT_FDCWD, (const char *)arg(r, 0), O_CREAT | O_WRONLY | O_TRUNC, (int)arg(r, 1), 0);
}

long sys_openat2(struct regs *r)
{
	const uint64_t known = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH |
			       RESOLVE_IN_ROOT | RESOLVE_CACHED;
	unsigned walk = 0;
	struct open_how how;
	int err;

	if ((size_t)arg(r, 3) < sizeof how)
		return -EINVAL;
	err = copy_struct_from_user(&how, sizeof how, (const void *)arg(r, 2), (size_t)arg(r, 3));
	if (err)
		return err;
	if ((how.resolve & ~known) || (how.mode & ~07777ull) || (how.flags & ~OPEN_FLAGS) || (how.flags & O_PATH && how.flags & ~OPEN_PATH_FLAGS) ||
	    (how.mode && !(how.flags & (O_CREAT | __O_TMPFILE))) ||
	    (how.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) == (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		return -EINVAL;
	if (how.resolve & RESOLVE_CACHED)
		return -EAGAIN;
	walk |= how.resolve & RESOLVE_NO_XDEV ? WALK_NO_XDEV : 0;
	walk |= how.resolve & RESOLVE_NO_MAGICLINKS ? WALK_NO_MAGIC : 0;
	walk |= how.resolve & RESOLVE_NO_SYMLINKS ? WALK_NO_SYMLINKS : 0;
	walk |= how.resolve & RESOLVE_BENEATH ? WALK_BENEATH : 0;
	walk |= how.resolve & RESOLVE_IN_ROOT ? WALK_IN_ROOT : 0;
	return do_open((int)arg(r, 0), (const char *)arg(r, 1), (int)how.flags, (int)how.mode, walk);
}

long sys_close(struct regs *r)
{
	return fd_close((int)arg(r, 0));
}

long sys_close_range(struct regs *r)
{
	unsigned first = (unsigned)arg(r, 0), last = (unsigned)arg(r, 1), flags = (unsigned)arg(r, 2);

	if (first > last || (flags & ~(unsigned)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)))
		return -EINVAL;
	for (unsigned fd = first; fd <= last && fd < (unsigned)fd_end(); fd++) {
		if (flags & CLOSE_RANGE_CLOEXEC)
			(void)!fd_set_cloexec((int)fd, true);
		else
			(void)!fd_close((int)fd);
	}
	return 0;
}

long sys_memfd_create(struct regs *r)
{
	unsigned flags = (unsigned)arg(r, 1);
	char name[256 - 6];
	struct file *f;
	ssize_t n;
	int err;

	if (flags & ~(unsigned)(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC) || (flags & MFD_EXEC && flags & MFD_NOEXEC_SEAL))
		return -EINVAL;
	n = copy_string_from_user(name, (const char *)arg(r, 0), sizeof name);
	if (n < 0)
		return n == -ENAMETOOLONG ? -EINVAL : n;
	f = memfd_new(name, flags & MFD_NOEXEC_SEAL ? 0666 : 0777, flags & MFD_NOEXEC_SEAL ? F_SEAL_EXEC : flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL, &err);
	if (!f)
		return err;
	f->flags |= O_LARGEFILE;
	return fd_install(f, 0, flags & MFD_CLOEXEC);
}
