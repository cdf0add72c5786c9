/*
 * /proc, the tree: which names exist, links, and the inode operations. Numbers in inodes: `tid` is the thread of a
 * /proc/PID or task/TID directory (0 for the process), `number` the descriptor of fd/ and fdinfo/. Called through
 * inode_ops; contents come from proc_self.c and proc_system.c through proc_file.c.
 */
#include "fs/proc.h"
#include "core/kheap.h"
#include "fs/proc_file.h"
#include <linux/magic.h>

static const struct inode_ops procfs_ops;

int proc_next_fd(int from)
{
	for (int end = fd_end(); from < end; from++)
		if (fd_get_cloexec(from) >= 0)
			return from;
	return -1;
}

int proc_next_tid(int from)
{
	struct process *p = current()->process;
	int best = -1;

	mutex_lock(&p->lock);
	list_for_each(l, &p->threads) {
		const struct thread *t = list_entry(l, struct thread, link);

		if (t->tid > 0 && t->tid >= from && (best < 0 || t->tid < best))
			best = t->tid;
	}
	mutex_unlock(&p->lock);
	return best;
}

static int next_pid(int from)
{
	int pid = current()->process->pid;

	return from <= pid ? pid : -1;
}

static ssize_t link_self(char *buf, size_t size, int number)
{
	(void)number;
	return format(buf, size, "%d", current()->process->pid);
}

static ssize_t link_thread_self(char *buf, size_t size, int number)
{
	(void)number;
	return format(buf, size, "%d/task/%d", current()->process->pid, current()->tid);
}

static ssize_t link_mounts(char *buf, size_t size, int number)
{
	(void)number;
	return format(buf, size, "self/mounts");
}

static ssize_t link_net(char *buf, size_t size, int number)
{
	(void)number;
	return format(buf, size, "self/net");
}

static ssize_t link_exe(char *buf, size_t size, int number)
{
	(void)number;
	return format(buf, size, "%s", current()->process->exe_path);
}

static int follow_exe(int number, struct dentry **dentry, struct file **file)
{
	struct walk w;
	int err = path_walk(&w, NULL, current()->process->exe_path, WALK_FOLLOW);

	(void)number, (void)file;
	if (err)
		return err;
	*dentry = dentry_get(w.dentry);
	walk_done(&w);
	return 0;
}

static struct dentry *context_dentry(bool root)
{
	struct fs_context *fs = current()->process->fs;
	struct dentry *d;

	mutex_lock(&fs->lock);
	d = dentry_get(root ? fs->root : fs->cwd);
	mutex_unlock(&fs->lock);
	return d;
}

static int follow_cwd(int number, struct dentry **dentry, struct file **file)
{
	(void)number, (void)file;
	*dentry = context_dentry(false);
	return 0;
}

static int follow_root(int number, struct dentry **dentry, struct file **file)
{
	(void)number, (void)file;
	*dentry = context_dentry(true);
	return 0;
}

static ssize_t link_dentry(bool root, char *buf, size_t size)
{
	struct dentry *d = context_dentry(root);
	ssize_t n = dentry_path(d, buf, size);

	dentry_put(d);
	return n == -ENOENT ? (ssize_t)strlen(buf) : n;
}

static ssize_t link_cwd(char *buf, size_t size, int number)
{
	(void)number;
	return link_dentry(false, buf, size);
}

static ssize_t link_root(char *buf, size_t size, int number)
{
	(void)number;
	return link_dentry(true, buf, size);
}

static ssize_t link_fd(char *buf, size_t size, int number)
{
	struct file *f = fd_get(number);
	ssize_t n;

	if (!f)
		return -ENOENT;
	n = (ssize_t)file_path(f, buf, size);
	file_put(f);
	return n;
}

/* A file whose name is gone, or that never had one, is reached through the open file itself. */
static int follow_fd(int number, struct dentry **dentry, struct file **file)
{
	struct file *f = fd_get(number);
	bool by_name;

	if (!f)
		return -ENOENT;
	by_name = f->dentry && (!(f->dentry->flags & D_DEAD) || f->dentry->mount->type == BOOT_MOUNT_TMPFS);
	if (by_name) {
		*dentry = dentry_get(f->dentry);
		file_put(f);
	} else {
		*file = f;
	}
	return 0;
}

static void fixed_cgroup(struct text *t, int tid, int number)
{
	(void)tid, (void)number;
	text_put(t, "0::/\n");
}

static void fixed_zero(struct text *t, int tid, int number)
{
	(void)tid, (void)number;
	text_put(t, "0\n");
}

static ssize_t accept_write(const char *bytes, size_t size, int tid)
{
	(void)bytes, (void)tid;
	return (ssize_t)size;
}

#define DIR_MODE (S_IFDIR | 0555)
#define FILE_NODE(n, f) { .name = n, .mode = S_IFREG | 0444, .fill = f }
#define LINK_NODE(n, l) { .name = n, .mode = S_IFLNK | 0777, .link = l }

static const struct proc_node fd_link = { "", S_IFLNK | 0700, .link = link_fd, .follow = follow_fd };
static const struct proc_node fdinfo_file = { "", S_IFREG | 0444, .fill = proc_fdinfo };

#define THREAD_NODES                                                                                             \
	{ "exe", S_IFLNK | 0777, .link = link_exe, .follow = follow_exe },                                       \
	{ "cwd", S_IFLNK | 0777, .link = link_cwd, .follow = follow_cwd },                                       \
	{ "root", S_IFLNK | 0777, .link = link_root, .follow = follow_root },                                    \
	{ "fd", S_IFDIR | 0500, .next = proc_next_fd, .numbered = &fd_link, .numbered_is_last = true },          \
	{ "fdinfo", DIR_MODE, .next = proc_next_fd, .numbered = &fdinfo_file, .numbered_is_last = true },        \
	FILE_NODE("maps", proc_maps), FILE_NODE("smaps", proc_smaps), FILE_NODE("stat", proc_stat_self),         \
	FILE_NODE("statm", proc_statm), FILE_NODE("status", proc_status), FILE_NODE("cmdline", proc_cmdline),    \
	FILE_NODE("environ", proc_environ), FILE_NODE("auxv", proc_auxv), FILE_NODE("limits", proc_limits),      \
	FILE_NODE("io", proc_io), FILE_NODE("mounts", proc_mounts), FILE_NODE("mountinfo", proc_mountinfo),      \
	FILE_NODE("cgroup", fixed_cgroup), FILE_NODE("oom_score", fixed_zero),                                   \
	{ "comm", S_IFREG | 0644, .fill = proc_comm, .write = proc_comm_write },                                 \
	{ "oom_score_adj", S_IFREG | 0644, .fill = fixed_zero, .write = accept_write },                          \
	{ "oom_adj", S_IFREG | 0644, .fill = fixed_zero, .write = accept_write },                                \
	{ "net", DIR_MODE, .children = proc_net_nodes }

static const struct proc_node task_nodes[] = { THREAD_NODES, { 0 } };
static const struct proc_node task_dir = { "", DIR_MODE, .children = task_nodes };
static const struct proc_node pid_nodes[] = {
	THREAD_NODES,
	{ "task", DIR_MODE, .next = proc_next_tid, .numbered = &task_dir },
	{ 0 },
};
const struct proc_node proc_pid_dir = { "", DIR_MODE, .children = pid_nodes };

static const struct proc_node root_nodes[] = {
	LINK_NODE("self", link_self),
	LINK_NODE("thread-self", link_thread_self),
	LINK_NODE("mounts", link_mounts),
	LINK_NODE("net", link_net),
	FILE_NODE("meminfo", proc_meminfo),
	FILE_NODE("cpuinfo", proc_cpuinfo),
	FILE_NODE("stat", proc_stat),
	FILE_NODE("uptime", proc_uptime),
	FILE_NODE("loadavg", proc_loadavg),
	FILE_NODE("version", proc_version),
	FILE_NODE("filesystems", proc_filesystems),
	FILE_NODE("vmstat", proc_vmstat),
	{ "sys", DIR_MODE, .children = proc_sys_nodes },
	{ 0 },
};
const struct proc_node proc_root = { "", DIR_MODE, .children = root_nodes, .next = next_pid, .numbered = &proc_pid_dir };

static struct inode *proc_inode_new(struct mount *m, const struct proc_node *node, int tid, int number)
{
	struct proc_inode *inode = kzalloc(sizeof *inode);
	uint64_t ino = ((uintptr_t)node >> 3 & 0xffffff) | (uint64_t)(unsigned)(tid + 1) << 44 | (uint64_t)(number + 1) << 24;

	if (!inode)
		return NULL;
	inode_init(&inode->base, &procfs_ops, m, node->mode, ino);
	inode->node = node;
	inode->tid = tid;
	inode->number = number;
	return &inode->base;
}

/* A canonical decimal number, or -1. */
static int parse_number(const char *name, size_t size)
{
	int n = 0;

	if (!size || size > 9 || (name[0] == '0' && size > 1))
		return -1;
	for (size_t i = 0; i < size; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -1;
		n = n * 10 + (name[i] - '0');
	}
	return n;
}

static int proc_lookup(struct dentry *dir, const char *name, size_t size, struct inode **out, struct statx *st)
{
	struct proc_inode *parent = proc_inode(dir->inode);
	const struct proc_node *node = parent->node;
	int n;

	(void)st;
	for (const struct proc_node *c = node->children; c && c->name; c++)
		if (strlen(c->name) == size && memcmp(c->name, name, size) == 0) {
			*out = proc_inode_new(dir->mount, c, parent->tid, -1);
			return *out ? 0 : -ENOMEM;
		}
	n = node->next ? parse_number(name, size) : -1;
	if (n < 0 || node->next(n) != n)
		return -ENOENT;
	if (node->numbered_is_last)
		*out = proc_inode_new(dir->mount, node->numbered, parent->tid, n);
	else
		*out = proc_inode_new(dir->mount, node->numbered, n, -1);
	return *out ? 0 : -ENOMEM;
}

static int proc_getattr(struct dentry *d, struct statx *st)
{
	struct timespec now;

	current_time(&now);
	memset(st, 0, sizeof *st);
	st->stx_mask = STATX_BASIC_STATS;
	st->stx_blksize = 1024;
	st->stx_nlink = is_dir(d->inode) ? 2 : 1;
	st->stx_mode = (uint16_t)d->inode->mode;
	st->stx_ino = d->inode->ino;
	st->stx_size = S_ISLNK(st->stx_mode) && proc_inode(d->inode)->number >= 0 ? 64 : 0;
	st->stx_uid = current()->process->euid;
	st->stx_gid = current()->process->egid;
	st->stx_atime.tv_sec = st->stx_mtime.tv_sec = st->stx_ctime.tv_sec = now.tv_sec;
	st->stx_atime.tv_nsec = st->stx_mtime.tv_nsec = st->stx_ctime.tv_nsec = (uint32_t)now.tv_nsec;
	statx_anonymous_device(st, d->mount);
	return 0;
}

static ssize_t proc_readlink(struct dentry *d, char *buf, size_t size)
{
	struct proc_inode *inode = proc_inode(d->inode);

	return inode->node->link(buf, size, inode->number);
}

static int proc_follow(struct dentry *d, struct dentry **dentry, struct file **file)
{
	struct proc_inode *inode = proc_inode(d->inode);

	return inode->node->follow ? inode->node->follow(inode->number, dentry, file) : -EAGAIN;
}

static int proc_setattr(struct dentry *d, const struct attr *a)
{
	(void)d;
	return a->valid & ~(uint32_t)ATTR_SIZE ? -EPERM : 0;
}

static int proc_statfs(struct dentry *d, struct statfs *st)
{
	(void)d;
	st->f_type = PROC_SUPER_MAGIC;
	st->f_bsize = st->f_frsize = (long)PAGE_SIZE;
	st->f_namelen = NAME_LENGTH_MAX;
	return 0;
}

static void proc_release(struct inode *inode)
{
	kfree(proc_inode(inode));
}

#define PROC_OPS                                                                                        \
	.name = "proc", .lookup = proc_lookup, .getattr = proc_getattr, .readlink = proc_readlink,      \
	.open = proc_open, .setattr = proc_setattr, .statfs = proc_statfs, .release = proc_release

static const struct inode_ops procfs_ops = { PROC_OPS, .follow = proc_follow };

int procfs_mount(struct mount *m, struct dentry **out)
{
	*out = d_alloc_root(m, proc_inode_new(m, &proc_root, 0, -1));
	return *out ? 0 : -ENOMEM;
}
