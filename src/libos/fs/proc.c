/*
 * /proc, the tree: which names exist, links, and the inode operations. Called through inode_ops; contents come from
 * proc_self.c and proc_system.c through proc_file.c.
 */
#include "fs/proc.h"
#include "core/kheap.h"
#include "fs/hostfile.h"
#include "fs/proc_file.h"
#include "ipc/sysv.h"
#include "process/report.h"
#include <linux/magic.h>

static const struct inode_ops procfs_ops;

static int next_fd(const struct subject *s, int from)
{
	return fdtable_next_of(s->process, from);
}

static int next_tid(const struct subject *s, int from)
{
	return process_next_thread(s->process, from);
}

static int next_pid(const struct subject *s, int from)
{
	(void)s;
	return process_next(from);
}

static ssize_t link_self(char *buf, size_t size, const struct subject *s)
{
	(void)s;
	return format(buf, size, "%d", current()->process->pid);
}

static ssize_t link_thread_self(char *buf, size_t size, const struct subject *s)
{
	(void)s;
	return format(buf, size, "%d/task/%d", current()->process->pid, current()->tid);
}

static ssize_t link_mounts(char *buf, size_t size, const struct subject *s)
{
	(void)s;
	return format(buf, size, "self/mounts");
}

static ssize_t link_net(char *buf, size_t size, const struct subject *s)
{
	(void)s;
	return format(buf, size, "self/net");
}

static ssize_t link_exe(char *buf, size_t size, const struct subject *s)
{
	return process_exe(s->process, buf, size);
}

static int follow_exe(const struct subject *s, struct dentry **dentry, struct file **file)
{
	char *path = pathbuf_get();
	struct walk w;
	ssize_t err;

	(void)file;
	if (!path)
		return -ENOMEM;
	err = process_exe(s->process, path, PATH_SIZE);
	if (err >= 0)
		err = path_walk(&w, NULL, path, WALK_FOLLOW);
	pathbuf_put(path);
	if (err)
		return (int)err;
	*dentry = dentry_get(w.dentry);
	walk_done(&w);
	return 0;
}

static int follow_cwd(const struct subject *s, struct dentry **dentry, struct file **file)
{
	(void)file;
	*dentry = process_directory(s->process, false);
	return *dentry ? 0 : -ENOENT;
}

static int follow_root(const struct subject *s, struct dentry **dentry, struct file **file)
{
	(void)file;
	*dentry = process_directory(s->process, true);
	return *dentry ? 0 : -ENOENT;
}

static ssize_t link_dentry(struct dentry *d, char *buf, size_t size)
{
	ssize_t n;

	if (!d)
		return -ENOENT;
	n = dentry_path(d, buf, size);
	dentry_put(d);
	return n == -ENOENT ? (ssize_t)strlen(buf) : n;
}

static ssize_t link_cwd(char *buf, size_t size, const struct subject *s)
{
	return link_dentry(process_directory(s->process, false), buf, size);
}

static ssize_t link_root(char *buf, size_t size, const struct subject *s)
{
	return link_dentry(process_directory(s->process, true), buf, size);
}

static ssize_t link_fd(char *buf, size_t size, const struct subject *s)
{
	bool cloexec;
	struct file *f = fdtable_get_of(s->process, s->fd, &cloexec);
	ssize_t n;

	if (!f)
		return -ENOENT;
	n = (ssize_t)file_path(f, buf, size);
	file_put(f);
	return n;
}

/* A file whose name is gone, or that never had one, is reached through the open file itself. */
static int follow_fd(const struct subject *s, struct dentry **dentry, struct file **file)
{
	bool by_name, cloexec;
	struct file *f = fdtable_get_of(s->process, s->fd, &cloexec);

	if (!f)
		return -ENOENT;
	by_name = f->dentry && (!(f->dentry->flags & D_DEAD) || f->dentry->mount->type == BOOT_MOUNT_TMPFS ||
			       f->dentry->mount->type == BOOT_MOUNT_PTS ||
			       (f->dentry->mount->type == BOOT_MOUNT_OVERLAY && f->ops != &hostfile_ops)); /* one from below has no other */
	if (by_name) {
		*dentry = dentry_get(f->dentry);
		file_put(f);
	} else {
		*file = f;
	}
	return 0;
}

/* What the descriptor is open for. */
static uint32_t fd_mode(const struct subject *s)
{
	static const uint32_t modes[] = { 0500, 0300, 0700, 0700 };
	bool cloexec;
	struct file *f = fdtable_get_of(s->process, s->fd, &cloexec);
	uint32_t mode = !f || (f->flags & O_PATH) ? 0 : modes[f->flags & O_ACCMODE];

	if (f)
		file_put(f);
	return S_IFLNK | mode;
}

static void fixed_cgroup(struct text *t, const struct subject *s)
{
	(void)s;
	text_put(t, "0::/\n");
}

static void fixed_zero(struct text *t, const struct subject *s)
{
	(void)s;
	text_put(t, "0\n");
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
	{ "fd", S_IFDIR | 0500, .next = next_fd, .numbered = &fd_link, .numbers = PROC_FDS },                     \
	{ "fdinfo", DIR_MODE, .next = next_fd, .numbered = &fdinfo_file, .numbers = PROC_FDS },                   \
	FILE_NODE("maps", proc_maps), FILE_NODE("smaps", proc_smaps), FILE_NODE("stat", proc_stat_self),         \
	FILE_NODE("statm", proc_statm), FILE_NODE("status", proc_status), FILE_NODE("cmdline", proc_cmdline),    \
	FILE_NODE("environ", proc_environ), FILE_NODE("auxv", proc_auxv), FILE_NODE("limits", proc_limits),      \
	FILE_NODE("io", proc_io), FILE_NODE("mounts", proc_mounts), FILE_NODE("mountinfo", proc_mountinfo),      \
	FILE_NODE("cgroup", fixed_cgroup), FILE_NODE("oom_score", fixed_zero),                                   \
	{ "comm", S_IFREG | 0644, .fill = proc_comm, .write = proc_comm_write },                                 \
	{ "oom_score_adj", S_IFREG | 0644, .fill = proc_oom_score_adj, .write = proc_oom_score_adj_write },       \
	{ "oom_adj", S_IFREG | 0644, .fill = proc_oom_adj, .write = proc_oom_adj_write },                         \
	{ "net", DIR_MODE, .children = proc_net_nodes }

static const struct proc_node task_nodes[] = { THREAD_NODES, { 0 } };
static const struct proc_node task_dir = { "", DIR_MODE, .children = task_nodes };
static const struct proc_node pid_nodes[] = {
	THREAD_NODES,
	{ "task", DIR_MODE, .next = next_tid, .numbered = &task_dir, .numbers = PROC_TIDS },
	{ 0 },
};
static const struct proc_node proc_pid_dir = { "", DIR_MODE, .children = pid_nodes };

static const struct proc_node sysvipc_nodes[] = {
	FILE_NODE("msg", proc_sysvipc_msg), FILE_NODE("sem", proc_sysvipc_sem), FILE_NODE("shm", proc_sysvipc_shm), { 0 },
};

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
	{ "sysvipc", DIR_MODE, .children = sysvipc_nodes },
	{ "sys", DIR_MODE, .children = proc_sys_nodes },
	{ 0 },
};
const struct proc_node proc_root = { "", DIR_MODE, .children = root_nodes, .next = next_pid, .numbered = &proc_pid_dir,
				     .numbers = PROC_PIDS };

int proc_subject(struct inode *inode, struct subject *s)
{
	const struct proc_key *k = &proc_inode(inode)->key;

	*s = (struct subject){ .tid = k->tid, .fd = k->fd };
	if (!k->pid)
		return 0;
	s->process = process_find(k->pid);
	if (s->process && s->process->start_ns == k->start_ns && (!k->tid || process_has_thread(s->process, k->tid)))
		return 0;
	process_put(s->process);
	s->process = NULL;
	return -ESRCH;
}

static struct inode *proc_inode_new(struct mount *m, const struct proc_node *node, struct proc_key key)
{
	struct proc_inode *inode = kzalloc(sizeof *inode);
	uint64_t parts[] = { (uintptr_t)node, (uint64_t)key.pid << 32 | (uint32_t)key.tid, key.start_ns, (uint64_t)key.fd }, ino = 0;

	if (!inode)
		return NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
		ino = (ino ^ parts[i]) * 0x9e3779b97f4a7c15ull;
	inode_init(&inode->base, &procfs_ops, m, node->mode, ino >> 1);
	inode->node = node;
	inode->key = key;
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

/* Which process has the number; a thread's leads to its process, too, though it is not listed. */
static int find_process(int number, struct proc_key *key)
{
	struct process *p = process_find(number);

	if (!p) {
		p = process_of_thread(number);
		key->tid = number;
	}
	if (!p)
		return -ENOENT;
	key->pid = p->pid;
	key->start_ns = p->start_ns;
	process_put(p);
	return 0;
}

static int find_number(const struct proc_node *node, const struct subject *s, int n, struct proc_key *key)
{
	if (n < 0 || (node->numbers == PROC_PIDS && !n))
		return -ENOENT;
	if (node->numbers == PROC_PIDS)
		return find_process(n, key);
	*(node->numbers == PROC_TIDS ? &key->tid : &key->fd) = n;
	return node->next(s, n) == n ? 0 : -ENOENT;
}

static int proc_lookup(struct dentry *dir, const char *name, size_t size, struct inode **out, struct statx *st)
{
	struct proc_inode *parent = proc_inode(dir->inode);
	const struct proc_node *node = parent->node, *found = NULL;
	struct proc_key key = parent->key;
	struct subject s;
	int err = 0;

	(void)st;
	if (proc_subject(dir->inode, &s))
		return node == &proc_pid_dir ? -ESRCH : -ENOENT; /* Linux's, too */
	for (const struct proc_node *c = node->children; c && c->name && !found; c++)
		if (strlen(c->name) == size && memcmp(c->name, name, size) == 0)
			found = c;
	if (!found) {
		found = node->numbered;
		err = found ? find_number(node, &s, parse_number(name, size), &key) : -ENOENT;
	}
	process_put(s.process);
	if (err)
		return err;
	*out = proc_inode_new(dir->mount, found, key);
	return *out ? 0 : -ENOMEM;
}

static int proc_getattr(struct dentry *d, struct statx *st)
{
	const struct proc_inode *inode = proc_inode(d->inode);
	const struct process *owner = current()->process;
	struct timespec now;
	struct subject s;

	if (!proc_subject(d->inode, &s) && s.process)
		owner = s.process;
	current_time(&now);
	memset(st, 0, sizeof *st);
	st->stx_mask = STATX_BASIC_STATS;
	st->stx_blksize = 1024;
	st->stx_nlink = is_dir(d->inode) ? 2 : 1;
	st->stx_mode = (uint16_t)(inode->node == &fd_link && s.process ? fd_mode(&s) : d->inode->mode);
	st->stx_ino = d->inode->ino;
	st->stx_size = inode->node == &fd_link ? 64 : 0;
	st->stx_uid = owner->euid;
	st->stx_gid = owner->egid;
	process_put(s.process);
	st->stx_atime.tv_sec = st->stx_mtime.tv_sec = st->stx_ctime.tv_sec = now.tv_sec;
	st->stx_atime.tv_nsec = st->stx_mtime.tv_nsec = st->stx_ctime.tv_nsec = (uint32_t)now.tv_nsec;
	statx_anonymous_device(st, d->mount);
	return 0;
}

static ssize_t proc_readlink(struct dentry *d, char *buf, size_t size)
{
	struct subject s;
	ssize_t n;

	if (proc_subject(d->inode, &s))
		return -ENOENT;
	n = proc_inode(d->inode)->node->link(buf, size, &s);
	process_put(s.process);
	return n;
}

static int proc_follow(struct dentry *d, struct dentry **dentry, struct file **file)
{
	const struct proc_node *node = proc_inode(d->inode)->node;
	struct subject s;
	int err;

	if (!node->follow)
		return -EAGAIN;
	if (proc_subject(d->inode, &s))
		return -ENOENT;
	err = node->follow(&s, dentry, file);
	process_put(s.process);
	return err;
}

static int proc_setattr(struct dentry *d, const struct attr *a)
{
	(void)d;
	return a->valid & ~(uint32_t)(ATTR_SIZE | ATTR_OWNER) ? -EPERM : 0;
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

int procfs_process(const struct file *f, struct process **out)
{
	struct subject s;
	int err;

	if (!f->dentry || f->dentry->inode->ops != &procfs_ops || proc_inode(f->dentry->inode)->node != &proc_pid_dir)
		return -EBADF;
	err = proc_subject(f->dentry->inode, &s);
	if (!err && s.tid) {
		process_put(s.process);
		err = -ESRCH;
	}
	*out = s.process;
	return err;
}

int procfs_mount(struct mount *m, struct dentry **out)
{
	*out = d_alloc_root(m, proc_inode_new(m, &proc_root, (struct proc_key){ .fd = -1 }));
	return *out ? 0 : -ENOMEM;
}
