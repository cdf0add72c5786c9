/*
 * The mount table: built once from the boot information, parents before what lies on them. A mount point that its host
 * directory lacks is made up (an empty directory in memory that only this cVM sees). Trusts the command's list only as
 * far as this cVM is concerned: handles that were not granted fail in the monitor.
 */
#include "core/boot.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "fs/capfs.h"
#include "fs/hostfile.h"
#include "fs/memfs.h"
#include "sys/trace.h"
#include "tty/devpts.h"

struct mount *g_mounts[MOUNTS_MAX];
unsigned g_mount_count;

/* What made-up mount points belong to. */
static struct mount g_stub_mount = { .type = BOOT_MOUNT_TMPFS, .handle = -1, .read_only = true, .id = MOUNTS_MAX - 1 };

void statx_anonymous_device(struct statx *st, const struct mount *m)
{
	st->stx_dev_major = 0;
	st->stx_dev_minor = 32 + m->id;
}

/* The type that a host directory's listing gives a name: the only thing to be learnt of a mount point. */
static bool listed_as_directory(int handle, const char *parent, const char *name, size_t size)
{
	char *buf = pathbuf_get();
	bool found = false, dir = true;
	long h, n = 0;

	if (!buf)
		return true;
	h = hostcall(HC_file_open, handle, *parent ? parent : ".", *parent ? strlen(parent) : 1,
		     O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	while (h >= 0 && !found && (n = hostcall(HC_file_getdents, h, buf, PATH_SIZE)) > 0) {
		const struct linux_dirent64 *e;

		for (long at = 0; at < n && !found; at += e->d_reclen) {
			e = (const void *)(buf + at);
			found = strncmp(e->d_name, name, size) == 0 && !e->d_name[size];
			if (found)
				dir = e->d_type == mode_to_dt(S_IFDIR);
			if (!e->d_reclen)
				break;
		}
	}
	handle_close(h);
	pathbuf_put(buf);
	return dir;
}

struct inode *stub_inode(int handle, const char *parent, const char *name, size_t size)
{
	bool dir = listed_as_directory(handle, parent, name, size);
	struct mem_inode *inode = mem_inode_new(&g_stub_mount, dir ? S_IFDIR | 0555 : S_IFREG | 0444);

	return inode ? &inode->base : NULL;
}

static int add_stub(struct dentry *dir, const char *name, size_t size, uint32_t mode, struct dentry **out)
{
	struct mem_inode *inode;
	int err = 0;

	if (dir->inode->ops == &memfs_ops) {
		inode = mem_inode_new(dir->inode->mount, mode);
		return inode ? mem_enter(dir, name, size, inode, out) : -ENOMEM;
	}
	inode = mem_inode_new(&g_stub_mount, mode);
	if (!inode)
		return -ENOMEM;
	tree_lock();
	*out = d_add(dir, name, size, &inode->base);
	if (*out) {
		(*out)->flags |= D_MOUNTPOINT;
		d_pin(*out);
	} else {
		err = -ENOMEM;
	}
	tree_unlock();
	if (err)
		inode_put(&inode->base);
	return err;
}

/* The dentry to mount on; made up if missing. One reference. */
static int mount_point(const char *path, uint32_t mode, struct dentry **out)
{
	char *parent = pathbuf_get(), *slash;
	struct dentry *dir;
	struct walk w;
	int err;

	if (!parent)
		return -ENOMEM;
	err = path_walk(&w, NULL, path, WALK_FOLLOW);
	if (!err) {
		*out = dentry_get(w.dentry);
		walk_done(&w);
	}
	format(parent, PATH_SIZE, "%s", path);
	slash = strrchr(parent, '/');
	if (err == -ENOENT && slash && slash[1]) {
		*slash = 0;
		err = mount_point(slash == parent ? "/" : parent, S_IFDIR | 0755, &dir);
		if (!err) {
			err = add_stub(dir, slash + 1, strlen(slash + 1), mode, out);
			dentry_put(dir);
		}
	}
	pathbuf_put(parent);
	return err;
}

static int make_root(struct mount *m)
{
	switch (m->type) {
	case BOOT_MOUNT_HOST:
	case BOOT_MOUNT_HOST_FILE:
		return hostfs_mount(m, &m->root);
	case BOOT_MOUNT_OVERLAY:
		return memfs_mount(m, 0, &m->root);
	case BOOT_MOUNT_TMPFS:
		return memfs_mount(m, 01777, &m->root);
	case BOOT_MOUNT_PROC:
		return procfs_mount(m, &m->root);
	case BOOT_MOUNT_DEV:
		return devfs_mount(m, &m->root);
	case BOOT_MOUNT_PTS:
		return devpts_mount(m, &m->root);
	case BOOT_MOUNT_CAP:
		return capfs_mount(m, &m->root);
	default:
		return -EINVAL;
	}
}

static int attach(struct mount *m, struct fs_context *fs)
{
	struct dentry *point;
	int err;

	if (strcmp(m->path, "/") == 0 && !fs->root) {
		fs->root = dentry_get(m->root);
		fs->cwd = dentry_get(m->root);
		return 0;
	}
	if (!fs->root)
		return -EINVAL;
	err = mount_point(m->path, m->type == BOOT_MOUNT_HOST_FILE ? S_IFREG | 0644 : S_IFDIR | 0755, &point);
	if (err)
		return err;
	tree_lock();
	point->mounted = m->root;
	m->point = point;
	for (struct dentry *d = point->parent; d; d = d->parent)
		if (!(d->flags & D_KEEP)) {
			d->flags |= D_KEEP;
			d_get(d);
		}
	tree_unlock();
	return 0;
}

static int add_mount(struct fs_context *fs, uint32_t type, int handle, bool read_only, const char *path)
{
	struct mount *m = kzalloc(sizeof *m);
	int err;

	if (!m || g_mount_count >= MOUNTS_MAX - 2) {
		kfree(m);
		return -ENOMEM;
	}
	m->type = type;
	m->handle = type == BOOT_MOUNT_HOST || type == BOOT_MOUNT_OVERLAY || type == BOOT_MOUNT_HOST_FILE ? handle : -1;
	m->read_only = read_only;
	m->id = g_mount_count;
	m->path = path;
	err = make_root(m);
	if (!err)
		err = attach(m, fs);
	if (err) {
		log_text("mount %s: %s", path, errno_text(-err));
		return err;
	}
	g_mounts[g_mount_count++] = m;
	return 0;
}

int vfs_init(const struct libos_boot *boot)
{
	struct process *p = current()->process;
	struct fs_context *fs = kzalloc(sizeof *fs);
	int err = 0;

	if (!fs)
		return -ENOMEM;
	fs->umask = UMASK_FIRST;
	p->fs = fs;
	if (!p->files && !(p->files = fdtable_create()))
		return -ENOMEM;
	current()->fds = p->files->first;
	owner_init();
	if (boot->tmpfs_max)
		mem_set_limit(boot->tmpfs_max);
	capfs_grants(boot_string(boot->grant), boot->grants);
	for (unsigned i = 0; i < MIN(boot->mounts, BOOT_MOUNTS_MAX) && !err; i++) {
		const struct boot_mount *b = &boot->mount[i];

		err = add_mount(fs, b->type, (int)b->handle, b->read_only != 0, boot_string(b->path));
	}
	if (!err && !fs->root)
		err = add_mount(fs, BOOT_MOUNT_TMPFS, -1, false, "/");
	return err;
}

struct fs_context *fs_context_copy(struct fs_context *from)
{
	struct fs_context *fs = kzalloc(sizeof *fs);

	if (!fs)
		return NULL;
	mutex_lock(&from->lock);
	fs->cwd = dentry_get(from->cwd);
	fs->root = dentry_get(from->root);
	fs->umask = from->umask;
	mutex_unlock(&from->lock);
	return fs;
}

void fs_context_free(struct fs_context *fs)
{
	if (fs) {
		dentry_put(fs->cwd);
		dentry_put(fs->root);
	}
	kfree(fs);
}

int vfs_enter(const char *path)
{
	struct fs_context *fs = current()->process->fs;
	struct walk w;
	int err;

	tree_lock();
	d_put(fs->root);
	fs->root = g_mounts[0]->root; /* the first process may have changed its */
	d_get(fs->root);
	tree_unlock();
	err = path_walk(&w, NULL, path, WALK_FOLLOW | WALK_DIRECTORY);
	if (err)
		return err;
	dentry_put(fs->cwd);
	fs->cwd = dentry_get(w.dentry);
	walk_done(&w);
	return 0;
}

bool vfs_ends_in_memory(const char *path)
{
	char *part = pathbuf_get(), *slash;
	bool memory = false, found = false;
	struct walk w;

	if (part)
		format(part, PATH_SIZE, "%s", path);
	while (part && !found && (slash = strrchr(part, '/')) && slash != part) {
		*slash = 0;
		found = !path_walk(&w, NULL, part, WALK_FOLLOW);
		if (found) {
			memory = w.dentry && w.dentry->inode->mount->type == BOOT_MOUNT_TMPFS;
			walk_done(&w);
		}
	}
	pathbuf_put(part);
	return memory;
}
