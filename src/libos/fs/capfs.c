/*
 * /cap: capabilities that were granted by name, for programs that only know files. /cap/file/NAME is a CP_File: read, write,
 * seek, stat, and mmap of the very memory; /cap/stream/NAME connects when it is opened. The tree is made of the grants in the
 * boot information, which only say what to look for: the monitor decides. A NAME with slashes is a path of directories.
 * Called through inode_ops and file_ops.
 */
#include "fs/capfs.h"
#include "abi/capability.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "fs/inode.h"
#include "net/loop.h"

#include <asm/mman.h>

#define CAP_MAGIC 0x43415046 /* statfs: "CAPF" */
#define FILE_PREFIX 5u	     /* "file/" */
#define STREAM_PREFIX 7u

enum match { MATCH_NONE, MATCH_DIRECTORY, MATCH_LEAF };

struct cap_inode {
	struct inode base;
	char path[CAP_NAME_MAX + 8]; /* below /cap; "" is the root */
};

/* One mmap of a CP_File: a capability of its own, because each can be mapped once. */
struct cap_mapping {
	struct list link;
	uint64_t start, end;
	uint32_t cap;
};

static const char *g_list;
static unsigned g_count;
static struct mutex g_mappings_lock;
static struct list g_mappings = LIST_INIT(g_mappings);
static const struct inode_ops capfs_ops;

void capfs_grants(const char *list, unsigned count)
{
	g_list = list;
	g_count = count;
}

static struct cap_inode *cap_inode(struct inode *inode)
{
	return container_of(inode, struct cap_inode, base);
}

static enum match match_one(const char *grant, const char *path)
{
	size_t size = strlen(grant), length = strlen(path);
	bool star = size && grant[size - 1] == '*';

	size -= star;
	if (length >= size && !memcmp(path, grant, size) && (star ? length > size : length == size))
		return MATCH_LEAF;
	return !length || (length < size && grant[length] == '/' && !memcmp(path, grant, length)) ? MATCH_DIRECTORY : MATCH_NONE;
}

static enum match match(const char *path)
{
	enum match best = MATCH_NONE;
	const char *grant = g_list;

	for (unsigned i = 0; i < g_count; i++, grant += strlen(grant) + 1)
		best = MAX(best, match_one(grant, path));
	return best;
}

static bool is_stream(const char *path)
{
	return path[0] == 's';
}

/* A capability to the memory with these permissions, and if granted the right to map it. */
static long open_memory(const char *path, unsigned perms)
{
	const char *name = path + FILE_PREFIX;
	long cap = hostcall(HC_cap_open, CAP_MEMORY, name, strlen(name), perms | CAP_MAP);

	return cap == -EACCES ? hostcall(HC_cap_open, CAP_MEMORY, name, strlen(name), perms) : cap;
}

/* Bytes of a CP_File, or negative errno; *write_only: it cannot be read. */
static long memory_size(const char *path, bool *write_only)
{
	long cap = open_memory(path, CAP_LOAD);
	struct cap_info info = { 0 };

	*write_only = cap == -EACCES;
	if (*write_only)
		cap = open_memory(path, CAP_STORE);
	if (cap < 0)
		return cap;
	(void)hostcall(HC_cap_info, cap, &info);
	(void)hostcall(HC_cap_close, cap);
	return (long)info.length;
}

static struct inode *inode_new(struct mount *m, const char *path, uint32_t mode)
{
	struct cap_inode *inode = kzalloc(sizeof(*inode));

	if (!inode)
		return NULL;
	inode_init(&inode->base, &capfs_ops, m, mode, name_hash(path, strlen(path)) | 1ull << 32);
	memcpy(inode->path, path, strlen(path) + 1);
	return &inode->base;
}

static int cap_lookup(struct dentry *dir, const char *name, size_t size, struct inode **out, struct statx *st)
{
	const char *parent = cap_inode(dir->inode)->path;
	char path[sizeof(((struct cap_inode *)0)->path)];
	bool write_only = false;
	enum match found;
	long ret = 0;

	(void)st;
	if (strlen(parent) + 1 + size >= sizeof(path))
		return -ENOENT;
	(void)format(path, sizeof(path), "%s%s%.*s", parent, *parent ? "/" : "", (int)size, name);
	found = match(path);
	if (found == MATCH_NONE)
		return *parent ? -EACCES : -ENOENT;
	if (found == MATCH_LEAF && !is_stream(path))
		ret = memory_size(path, &write_only);
	if (ret < 0)
		return (int)ret;
	*out = inode_new(dir->mount, path, found == MATCH_DIRECTORY ? S_IFDIR | 0555 : is_stream(path) ? S_IFCHR | 0666 :
									   S_IFREG | (write_only ? 0222 : 0666));
	return *out ? 0 : -ENOMEM;
}

static int cap_getattr(struct dentry *d, struct statx *st)
{
	const char *path = cap_inode(d->inode)->path;
	bool write_only;

	memset(st, 0, sizeof(*st));
	st->stx_mask = STATX_BASIC_STATS;
	st->stx_blksize = 4096;
	st->stx_nlink = is_dir(d->inode) ? 2 : 1;
	st->stx_mode = (uint16_t)d->inode->mode;
	st->stx_ino = d->inode->ino;
	st->stx_uid = current()->process->euid;
	st->stx_gid = current()->process->egid;
	if (is_regular(d->inode))
		st->stx_size = (uint64_t)MAX(memory_size(path, &write_only), 0l);
	st->stx_blocks = ALIGN_UP(st->stx_size, PAGE_SIZE) / 512;
	statx_anonymous_device(st, d->mount);
	return 0;
}

static uint32_t cap_of(struct file *f)
{
	return (uint32_t)(uintptr_t)f->data;
}

static ssize_t transfer(struct file *f, const struct iovec *iov, unsigned count, off_t *pos, int call)
{
	ssize_t done = 0;

	for (unsigned i = 0; i < count; i++) {
		long n = hostcall(call, cap_of(f), iov[i].iov_base, iov[i].iov_len, *pos);

		if (n < 0)
			return done ? done : n;
		*pos += n;
		done += n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return done;
}

static ssize_t cap_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	return transfer(f, iov, count, pos, HC_cap_read);
}

static ssize_t cap_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	return transfer(f, iov, count, pos, HC_cap_write);
}

static off_t cap_length(struct file *f)
{
	struct cap_info info = { 0 };
	long ret = hostcall(HC_cap_info, cap_of(f), &info);

	return ret < 0 ? ret : (off_t)info.length;
}

static off_t cap_seek(struct file *f, off_t offset, int whence)
{
	return file_seek_within(f, offset, whence, whence == SEEK_END ? cap_length(f) : 0);
}

static int cap_stat(struct file *f, struct statx *st)
{
	return dentry_getattr(f->dentry, st);
}

static int cap_truncate(struct file *f, off_t size)
{
	return size == cap_length(f) ? 0 : -EPERM; /* it has the size that it was made with */
}

/* Private mappings are copies. */
static int cap_map_handle(struct file *f, int prot, int flags, off_t *offset, size_t size)
{
	(void)f, (void)prot, (void)flags, (void)offset, (void)size;
	return -ENOTBLK;
}

static int cap_map_at(struct file *f, uint64_t start, uint64_t size, int prot, off_t offset)
{
	struct cap_mapping *m = kzalloc(sizeof(*m));
	struct cap_info info;
	long cap, ret;

	if (!m)
		return -ENOMEM;
	ret = hostcall(HC_cap_info, cap_of(f), &info);
	if (!ret && (uint64_t)offset + size > CAP_HEED(info.length))
		ret = -EINVAL;
	cap = ret < 0 ? ret : hostcall(HC_cap_derive, cap_of(f), 0, info.length, info.perms);
	ret = cap < 0 ? cap : hostcall(HC_cap_map, cap, start, size, prot & (PROT_READ | PROT_WRITE), offset);
	if (ret < 0) {
		if (cap >= 0)
			(void)hostcall(HC_cap_close, cap);
		kfree(m);
		return (int)ret;
	}
	*m = (struct cap_mapping){ .start = start, .end = start + size, .cap = (uint32_t)cap };
	mutex_lock(&g_mappings_lock);
	list_append(&g_mappings, &m->link);
	mutex_unlock(&g_mappings_lock);
	return 0;
}

/* A mapping that goes at once gives its capability back. One that goes in pieces keeps it: closing it would undo what
 * came to lie in the pieces. */
void capfs_released(uint64_t start, uint64_t end)
{
	if (likely(list_empty(&g_mappings)))
		return;
	mutex_lock(&g_mappings_lock);
	list_for_each_safe(at, next, &g_mappings) {
		struct cap_mapping *m = list_entry(at, struct cap_mapping, link);

		if (m->start >= end || start >= m->end)
			continue;
		if (start <= m->start && m->end <= end)
			(void)hostcall(HC_cap_close, m->cap);
		list_remove(&m->link);
		kfree(m);
	}
	mutex_unlock(&g_mappings_lock);
}

static void cap_file_release(struct file *f)
{
	(void)hostcall(HC_cap_close, cap_of(f));
}

static const struct file_ops capfile_ops = {
	.name = "cap",
	.positioned = true,
	.read = cap_read,
	.write = cap_write,
	.seek = cap_seek,
	.stat = cap_stat,
	.truncate = cap_truncate,
	.map_handle = cap_map_handle,
	.map_at = cap_map_at,
	.release = cap_file_release,
};

/* Has an entry with this first component come before the grant? */
static bool listed(const char *grant, const char *path, const char *name, size_t size)
{
	size_t skip = *path ? strlen(path) + 1 : 0;

	for (const char *g = g_list; g < grant; g += strlen(g) + 1)
		if (match_one(g, path) == MATCH_DIRECTORY && strlen(g) >= skip + size && !memcmp(g + skip, name, size) &&
		    (!g[skip + size] || g[skip + size] == '/'))
			return true;
	return false;
}

/* Positions: 0 ".", 1 "..", then 2 + the grant's number. What a pattern stands for is not listed. */
static ssize_t capdir_getdents(struct file *f, void *user, size_t size)
{
	struct dirent_writer w = { .user = user, .size = size };
	const char *path = cap_inode(f->dentry->inode)->path, *grant = g_list;
	size_t skip = *path ? strlen(path) + 1 : 0;
	bool fits = true;

	for (; f->pos < 2 && fits; f->pos += fits)
		fits = dirent_put(&w, "..", (size_t)f->pos + 1, f->dentry->inode->ino, mode_to_dt(S_IFDIR), f->pos + 1);
	for (unsigned i = 0; i < g_count && fits; i++, grant += strlen(grant) + 1) {
		const char *name = grant + skip;
		size_t length = 0;

		if ((off_t)i + 2 < f->pos)
			continue;
		if (match_one(grant, path) == MATCH_DIRECTORY) {
			while (name[length] && name[length] != '/')
				length++;
			if (length && name[length - 1] != '*' && !listed(grant, path, name, length))
				fits = dirent_put(&w, name, length, 2 + i, name[length] ? mode_to_dt(S_IFDIR) : 0, (off_t)i + 3);
		}
		if (fits)
			f->pos = (off_t)i + 3;
	}
	return dirent_result(&w, fits);
}

static ssize_t capdir_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	(void)f, (void)iov, (void)count, (void)pos;
	return -EISDIR;
}

static const struct file_ops capdir_ops = {
	.name = "cap",
	.read = capdir_read,
	.seek = cap_seek,
	.stat = cap_stat,
	.getdents = capdir_getdents,
};

static struct file *cap_open(struct dentry *d, int flags, int *error)
{
	static const unsigned perms[4] = { CAP_LOAD, CAP_STORE, CAP_LOAD | CAP_STORE, CAP_LOAD | CAP_STORE };
	const char *path = cap_inode(d->inode)->path;
	struct file *f;
	long cap = 0;

	if (!is_dir(d->inode) && is_stream(path)) {
		f = loop_open(path + STREAM_PREFIX, (uint32_t)flags, error);
	} else {
		if (!is_dir(d->inode))
			cap = open_memory(path, perms[flags & O_ACCMODE]);
		*error = cap < 0 ? (int)cap : -ENOMEM;
		f = cap < 0 ? NULL : file_alloc(is_dir(d->inode) ? &capdir_ops : &capfile_ops, (uint32_t)flags, (void *)cap);
		if (!f && cap > 0)
			(void)hostcall(HC_cap_close, cap);
	}
	if (f)
		f->dentry = dentry_get(d);
	return f;
}

static int cap_setattr(struct dentry *d, const struct attr *a)
{
	(void)d;
	return a->valid & ~(uint32_t)(ATTR_SIZE | ATTR_ATIME | ATTR_MTIME | ATTR_OWNER) ? -EPERM : 0;
}

static int cap_statfs(struct dentry *d, struct statfs *st)
{
	(void)d;
	st->f_type = CAP_MAGIC;
	st->f_bsize = st->f_frsize = (long)PAGE_SIZE;
	st->f_namelen = CAP_NAME_MAX - 1;
	return 0;
}

static void cap_release(struct inode *inode)
{
	kfree(cap_inode(inode));
}

static const struct inode_ops capfs_ops = {
	.name = "cap",
	.lookup = cap_lookup,
	.getattr = cap_getattr,
	.open = cap_open,
	.setattr = cap_setattr,
	.statfs = cap_statfs,
	.release = cap_release,
};

int capfs_mount(struct mount *m, struct dentry **out)
{
	*out = d_alloc_root(m, inode_new(m, "", S_IFDIR | 0555));
	return *out ? 0 : -ENOMEM;
}
