/*
 * setxattr(2), getxattr(2), listxattr(2), removexattr(2) and their relatives: arguments and permissions; fs/xattr.c has the
 * attributes. The namespaces are "user." and, for user 0, "trusted."; any other, and any file that is not in memory:
 * EOPNOTSUPP.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/inotify.h"
#include "fs/memfs.h"
#include "sys/syscalls.h"
#include <linux/limits.h>
#include <linux/xattr.h>

/* By what argument 0 names the file. */
enum target_by { BY_PATH, BY_PATH_NOFOLLOW, BY_FD };

struct target {
	struct file *file;     /* BY_FD; owned */
	struct walk walk;      /* otherwise */
	struct dentry *dentry; /* NULL: a file without a path */
	struct mem_inode *inode; /* NULL: not in memory */
	uint32_t type;		 /* S_IFMT bits; 0: pipes, sockets and others without a path */
};

static void target_put(struct target *t)
{
	if (t->file)
		file_put(t->file);
	else
		walk_done(&t->walk);
}

static int target_get(struct target *t, struct regs *r, enum target_by by)
{
	struct file *f;
	int err;

	t->file = NULL;
	t->inode = NULL;
	if (by == BY_FD) {
		f = t->file = fd_get_open((int)arg(r, 0));
		if (!f)
			return -EBADF;
		t->dentry = f->dentry;
	} else {
		err = path_walk_user(&t->walk, AT_FDCWD, (const char *)arg(r, 0), by == BY_PATH ? WALK_FOLLOW : 0);
		if (err)
			return err;
		f = t->walk.file;
		t->dentry = f ? f->dentry : t->walk.dentry;
	}
	if (t->dentry && t->dentry->inode->ops == &memfs_ops)
		t->inode = mem_inode(t->dentry->inode);
	else if (!t->dentry && f->ops == &memfile_ops)
		t->inode = f->data;
	t->type = t->dentry ? t->dentry->inode->mode & S_IFMT : t->inode ? S_IFREG : 0;
	return 0;
}

static bool is_in(const char *name, const char *space)
{
	return !strncmp(name, space, strlen(space));
}

/* Before it is known which file it is of. */
static int name_from_user(char *name, const char *user)
{
	ssize_t n = copy_string_from_user(name, user, XATTR_NAME_MAX + 1);

	return n == -ENAMETOOLONG || n == 0 ? -ERANGE : n < 0 ? (int)n : 0;
}

/* In the order of Linux; writes are refused where reads only find nothing. */
static int check_name(const char *name, const struct target *t, bool write)
{
	if (write && t->dentry && t->dentry->mount->read_only)
		return -EROFS;
	if (is_in(name, XATTR_TRUSTED_PREFIX) && current()->process->euid != 0)
		return write ? -EPERM : -ENODATA;
	if (is_in(name, XATTR_USER_PREFIX) && t->type != S_IFREG && t->type != S_IFDIR)
		return write ? -EPERM : -ENODATA;
	if (!t->inode || !(is_in(name, XATTR_USER_PREFIX) || is_in(name, XATTR_TRUSTED_PREFIX)))
		return -EOPNOTSUPP;
	return *(strchr(name, '.') + 1) ? 0 : -EINVAL;
}

/* Before a change: the file becomes the memory's own. */
static int own(struct target *t)
{
	return t->dentry ? overlay_copy_up(t->dentry, false) : 0;
}

struct change {
	char name[XATTR_NAME_MAX + 1];
	void *value; /* NULL: it is removed; owned */
	size_t size;
	int flags;
};

static int apply(struct target *t, const struct change *c)
{
	int err = check_name(c->name, t, true);

	if (!err)
		err = own(t);
	if (err)
		return err;
	mutex_lock(&t->inode->lock);
	err = c->value ? mem_xattr_set(t->inode, c->name, c->value, c->size, c->flags) : mem_xattr_remove(t->inode, c->name);
	mutex_unlock(&t->inode->lock);
	if (!err && t->dentry)
		notify_dentry(t->dentry, IN_ATTRIB);
	return err;
}

static long do_change(struct regs *r, enum target_by by, const struct change *c)
{
	struct target t;
	int err = target_get(&t, r, by);

	if (err)
		return err;
	err = apply(&t, c);
	target_put(&t);
	return err;
}

static ssize_t read_locked(struct target *t, const char *name, void *buf, size_t size)
{
	ssize_t n;

	mutex_lock(&t->inode->lock);
	if (name)
		n = mem_xattr_get(t->inode, name, buf, size);
	else
		n = mem_xattr_list(t->inode, buf, size, current()->process->euid ? XATTR_TRUSTED_PREFIX : NULL);
	mutex_unlock(&t->inode->lock);
	return n;
}

/* A value, or with `name` NULL the list of names. */
static long read_to_user(struct target *t, const char *name, void *user, size_t size)
{
	void *buf = NULL;
	ssize_t n;

	size = MIN(size, (size_t)(name ? XATTR_SIZE_MAX : XATTR_LIST_MAX));
	if (size && !(buf = kmalloc(size)))
		return -ENOMEM;
	n = read_locked(t, name, buf, size);
	if (n == -ERANGE && size == (size_t)(name ? XATTR_SIZE_MAX : XATTR_LIST_MAX))
		n = -E2BIG;
	if (n > 0 && size && copy_to_user(user, buf, (size_t)n))
		n = -EFAULT;
	kfree(buf);
	return n;
}

static long do_get(struct regs *r, enum target_by by)
{
	char name[XATTR_NAME_MAX + 1];
	struct target t;
	long ret = name_from_user(name, (const char *)arg(r, 1));

	if (!ret)
		ret = target_get(&t, r, by);
	if (ret)
		return ret;
	ret = check_name(name, &t, false);
	if (!ret)
		ret = read_to_user(&t, name, (void *)arg(r, 2), (size_t)arg(r, 3));
	target_put(&t);
	return ret;
}

static long do_list(struct regs *r, enum target_by by)
{
	struct target t;
	long ret = target_get(&t, r, by);

	if (ret)
		return ret;
	ret = t.inode ? read_to_user(&t, NULL, (void *)arg(r, 1), (size_t)arg(r, 2)) : -EOPNOTSUPP;
	target_put(&t);
	return ret;
}

static long do_set(struct regs *r, enum target_by by)
{
	struct change c = { .size = (size_t)arg(r, 3), .flags = (int)arg(r, 4) };
	long ret;

	if (arg(r, 4) & ~(long)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	ret = name_from_user(c.name, (const char *)arg(r, 1));
	if (ret)
		return ret;
	if (c.size > XATTR_SIZE_MAX)
		return -E2BIG;
	c.value = kmalloc(c.size + 1);
	if (!c.value)
		return -ENOMEM;
	ret = copy_from_user(c.value, (const void *)arg(r, 2), c.size);
	if (!ret)
		ret = do_change(r, by, &c);
	kfree(c.value);
	return ret;
}

static long do_remove(struct regs *r, enum target_by by)
{
	struct change c = { .value = NULL };
	long ret = name_from_user(c.name, (const char *)arg(r, 1));

	return ret ? ret : do_change(r, by, &c);
}

#define XATTR_CALLS(what)                                \
	long sys_##what##xattr(struct regs *r)           \
	{                                                \
		return do_##what(r, BY_PATH);            \
	}                                                \
	long sys_l##what##xattr(struct regs *r)          \
	{                                                \
		return do_##what(r, BY_PATH_NOFOLLOW);   \
	}                                                \
	long sys_f##what##xattr(struct regs *r)          \
	{                                                \
		return do_##what(r, BY_FD);              \
	}

XATTR_CALLS(set)
XATTR_CALLS(get)
XATTR_CALLS(list)
XATTR_CALLS(remove)
