/*
 * /dev/pts: a file system in memory in which nothing can be made but by opening /dev/ptmx, or its own ptmx. A slave's node goes when
 * its master is closed. Called by fs/mount.c, fs/dev.c and tty/pty.c.
 */
#include "core/kheap.h"
#include "core/log.h"
#include "fs/memfs.h"
#include "tty/devpts.h"
#include "tty/tty.h"

#include <linux/magic.h>
#include <linux/major.h>

#define TTY_GROUP 5 /* Debian's */

static struct inode_ops g_ops; /* memfs_ops but for what would make or change names */
static struct dentry *g_root;

static struct file *no_create(struct dentry *dir, const char *name, size_t size, int flags, uint32_t mode, int *error)
{
	(void)dir, (void)name, (void)size, (void)flags, (void)mode;
	*error = -EACCES;
	return NULL;
}

static int devpts_statfs(struct dentry *d, struct statfs *st)
{
	(void)d;
	st->f_type = DEVPTS_SUPER_MAGIC;
	st->f_bsize = st->f_frsize = (long)PAGE_SIZE;
	st->f_namelen = NAME_LENGTH_MAX;
	return 0;
}

struct file *devpts_open_master(struct mem_inode *inode, int flags, int *error)
{
	(void)inode;
	return pty_open_master(flags, error);
}

static struct file *open_slave(struct mem_inode *inode, int flags, int *error)
{
	struct tty *t = tty_get_by_number(inode->rdev_minor);
	struct file *f = NULL;
	bool same;

	*error = -EIO;
	if (!t)
		return NULL;
	mutex_lock(&t->lock);
	same = t->node && t->node->inode == &inode->base; /* or a descriptor has kept the node of an earlier one */
	mutex_unlock(&t->lock);
	if (same)
		f = pty_open_slave(t, flags, error);
	tty_put(t);
	return f;
}

static int add_node(const char *name, uint32_t mode, uint32_t major, uint32_t minor, uint32_t group,
		    struct file *(*open)(struct mem_inode *inode, int flags, int *error), struct dentry **out)
{
	struct mem_inode *inode = mem_inode_new(g_root->mount, S_IFCHR | mode);

	if (!inode)
		return -ENOMEM;
	inode->base.ops = &g_ops;
	inode->rdev_major = major;
	inode->rdev_minor = minor;
	inode->gid = group;
	inode->open_device = open;
	return mem_enter(g_root, name, strlen(name), inode, out);
}

int devpts_mount(struct mount *m, struct dentry **out)
{
	int err = memfs_mount(m, 0755, out);

	if (err)
		return err;
	g_ops = memfs_ops;
	g_ops.name = "devpts";
	g_ops.create = no_create;
	g_ops.statfs = devpts_statfs;
	g_ops.make = NULL;
	g_ops.unlink = NULL;
	g_ops.rename = NULL;
	g_ops.link = NULL;
	(*out)->inode->ops = &g_ops;
	g_root = *out;
	return add_node("ptmx", 0666, TTYAUX_MAJOR, 2, mem_inode(g_root->inode)->gid, devpts_open_master, NULL);
}

int devpts_add(struct tty *t)
{
	char name[12];

	if (!g_root)
		return -ENODEV;
	format(name, sizeof(name), "%u", t->number);
	return add_node(name, 0620, UNIX98_PTY_SLAVE_MAJOR, t->number, TTY_GROUP, open_slave, &t->node);
}

void devpts_own(struct tty *t, uint32_t uid)
{
	struct mem_inode *inode = mem_inode(t->node->inode);

	mutex_lock(&inode->lock);
	inode->uid = uid;
	mutex_unlock(&inode->lock);
}

void devpts_remove(struct tty *t)
{
	struct dentry *node = t->node;

	(void)memfs_ops.unlink(g_root, node->name, node->name_size, false);
	tty_lock(t);
	t->node = NULL;
	tty_unlock(t);
	dentry_put(node);
}
