/* System calls of inotify: thin entries over fs/inotify.h. */
#include "core/log.h"
#include "fs/inotify.h"
#include "sys/syscalls.h"

#define KNOWN_BITS                                                                                                                          \
	(uint32_t)(IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK |                 \
		   IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT)

long sys_inotify_init1(struct regs *r)
{
	uint32_t flags = (uint32_t)arg(r, 0);
	struct file *f;
	int error;

	if (flags & ~(uint32_t)(O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	f = inotify_create(flags, &error);
	if (!f)
		return error;
	return fd_install(f, 0, flags & O_CLOEXEC);
}

long sys_inotify_init(struct regs *r)
{
	r->rdi = 0;
	return sys_inotify_init1(r);
}

/* What others write to a host volume would go unnoticed. ENOSPC makes programs that know how look by themselves (tail). */
static int check_place(const struct dentry *d)
{
	static bool said;

	if (!is_host_mount(d->mount))
		return 0;
	if (!__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
		log_text("inotify: files on host volumes cannot be watched (ENOSPC): changes by others would not be seen");
	return -ENOSPC;
}

long sys_inotify_add_watch(struct regs *r)
{
	uint32_t mask = (uint32_t)arg(r, 2);
	struct file *f;
	struct walk w;
	long ret;

	if (!mask || (mask & ~KNOWN_BITS))
		return -EINVAL;
	f = fd_get_open((int)arg(r, 0));
	if (!f)
		return -EBADF;
	ret = !is_inotify(f) || (mask & (IN_MASK_ADD | IN_MASK_CREATE)) == (IN_MASK_ADD | IN_MASK_CREATE) ? -EINVAL : 0;
	if (!ret)
		ret = path_walk_user(&w, AT_FDCWD, (const char *)arg(r, 1),
				     (mask & IN_DONT_FOLLOW ? 0 : WALK_FOLLOW) | (mask & IN_ONLYDIR ? WALK_DIRECTORY : 0));
	if (!ret) {
		struct dentry *d = w.dentry ? w.dentry : w.file ? w.file->dentry : NULL;

		ret = d ? check_place(d) : -EINVAL;
		if (!ret)
			ret = inotify_add(f, d, mask);
		walk_done(&w);
	}
	file_put(f);
	return ret;
}

long sys_inotify_rm_watch(struct regs *r)
{
	struct file *f = fd_get_open((int)arg(r, 0));
	long ret;

	if (!f)
		return -EBADF;
	ret = inotify_remove(f, (int)arg(r, 1));
	file_put(f);
	return ret;
}
