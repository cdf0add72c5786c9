/*
 * Listing directories in memory. A position is 0 ".", 1 "..", then for an overlay places in a snapshot of the lower
 * directory's listing, then (from MEMORY_BASE) the order of creation of the names that only memory has: so a program
 * that removes what it lists misses nothing. Called through file_ops; the lower listing is the host's, its layout is
 * checked.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/hostfile.h"
#include "fs/memfs.h"

#define MEMORY_BASE (1ll << 40)
#define SNAPSHOT_BASE 2
#define LIST_STEP 32768u

struct snapshot {
	size_t size, room;
	uint8_t *bytes; /* struct linux_dirent64, one behind the other */
};

bool dirent_put(struct dirent_writer *w, const char *name, size_t name_size, uint64_t ino, unsigned type, off_t next)
{
	size_t need = ALIGN_UP(offsetof(struct linux_dirent64, d_name) + name_size + 1, 8ul);
	union {
		struct linux_dirent64 head;
		uint8_t bytes[ALIGN_UP(offsetof(struct linux_dirent64, d_name) + NAME_LENGTH_MAX + 1, 8)];
	} e;

	if (w->error || w->size - w->used < need || name_size > NAME_LENGTH_MAX)
		return false;
	memset(e.bytes + need - 8, 0, 8);
	e.head.d_ino = ino;
	e.head.d_off = next;
	e.head.d_reclen = (uint16_t)need;
	e.head.d_type = (uint8_t)type;
	memcpy(e.bytes + offsetof(struct linux_dirent64, d_name), name, name_size);
	e.bytes[offsetof(struct linux_dirent64, d_name) + name_size] = 0;
	w->error = copy_to_user(w->user + w->used, e.bytes, need);
	if (w->error)
		return false;
	w->used += need;
	return true;
}

ssize_t dirent_result(const struct dirent_writer *w, bool nothing_left)
{
	if (w->used)
		return (ssize_t)w->used;
	if (w->error)
		return w->error;
	return nothing_left ? 0 : -EINVAL; /* not even one entry fits */
}

/* The next entry of a snapshot at *at, or NULL. */
static const struct linux_dirent64 *snapshot_next(const struct snapshot *s, size_t *at, size_t *name_size)
{
	const struct linux_dirent64 *e = (const void *)(s->bytes + *at);
	size_t left = s->size - *at, head = offsetof(struct linux_dirent64, d_name);

	if (*at >= s->size || left < head + 2 || e->d_reclen < head + 2 || e->d_reclen > left)
		return NULL;
	*name_size = strnlen(e->d_name, e->d_reclen - head);
	*at += e->d_reclen;
	return e;
}

static bool is_dot(const char *name, size_t size)
{
	return name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.'));
}

static int take_snapshot(struct mem_inode *inode, struct snapshot *s)
{
	long h = overlay_open_lower(inode, O_RDONLY | O_DIRECTORY), n;

	if (h < 0)
		return (int)h;
	do {
		if (s->room - s->size < LIST_STEP) {
			size_t room = s->room ? s->room * 2 : LIST_STEP;
			uint8_t *bytes = krealloc(s->bytes, room);

			n = -ENOMEM;
			if (!bytes)
				break;
			s->bytes = bytes;
			s->room = room;
		}
		n = hostcall(HC_file_getdents, h, s->bytes + s->size, s->room - s->size);
		if (n > 0)
			s->size += (size_t)n;
	} while (n > 0);
	hostcall(HC_file_close, h);
	if (n == 0 && s->room - s->size > LIST_STEP) {
		uint8_t *fit = krealloc(s->bytes, MAX(s->size, 16ul));

		s->bytes = fit ? fit : s->bytes;
		s->room = s->size;
	}
	return (int)n;
}

static struct snapshot *snapshot_of(struct file *f, int *error)
{
	struct snapshot *s = f->data;

	*error = 0;
	if (s)
		return s;
	s = kzalloc(sizeof *s);
	*error = s ? take_snapshot(mem_inode(f->dentry->inode), s) : -ENOMEM;
	if (*error) {
		if (s)
			kfree(s->bytes);
		kfree(s);
		return NULL;
	}
	f->data = s;
	return s;
}

/* Entries that the lower directory has. True when all are out. */
static bool put_lower(struct file *f, const struct snapshot *s, struct dirent_writer *w)
{
	size_t at = (size_t)(f->pos - SNAPSHOT_BASE), size;
	const struct linux_dirent64 *e;
	bool fits = true;

	tree_lock();
	while (fits && (e = snapshot_next(s, &at, &size)) != NULL) {
		struct dentry *d = is_dot(e->d_name, size) ? NULL : d_find(f->dentry, e->d_name, size);
		uint64_t ino = e->d_ino;
		unsigned type = e->d_type;

		if (d && (d->flags & D_PINNED)) {
			if (d->inode) {
				ino = d->inode->ino;
				type = mode_to_dt(d->inode->mode);
			}
		}
		if (!is_dot(e->d_name, size) && !(d && (d->flags & D_PINNED) && !d->inode))
			fits = dirent_put(w, e->d_name, size, ino, type, (off_t)at + SNAPSHOT_BASE);
		if (fits)
			f->pos = (off_t)at + SNAPSHOT_BASE;
	}
	tree_unlock();
	if (fits)
		f->pos = MEMORY_BASE;
	return fits;
}

static bool put_memory(struct file *f, struct dirent_writer *w)
{
	bool fits = true;

	tree_lock();
	list_for_each(p, &f->dentry->children) {
		struct dentry *d = list_entry(p, struct dentry, siblings);
		off_t next = (off_t)d->cookie + MEMORY_BASE;

		if (!d->inode || (d->flags & (D_COVERS | D_PINNED)) != D_PINNED || next <= f->pos)
			continue;
		fits = dirent_put(w, d->name, d->name_size, d->inode->ino, mode_to_dt(d->inode->mode), next);
		if (!fits)
			break;
		f->pos = next;
	}
	tree_unlock();
	return fits;
}

static uint64_t parent_ino(struct dentry *d)
{
	uint64_t ino;

	tree_lock();
	if (!d->parent && d->mount->point)
		d = d->mount->point;
	ino = d->parent ? d->parent->inode->ino : d->inode->ino;
	tree_unlock();
	return ino;
}

static ssize_t memdir_getdents(struct file *f, void *user, size_t size)
{
	struct dirent_writer w = { .user = user, .size = size };
	bool fits = true;
	int err;

	if (f->dentry->flags & D_DEAD)
		return -ENOENT;
	if (f->pos == 0 && (fits = dirent_put(&w, ".", 1, f->dentry->inode->ino, mode_to_dt(S_IFDIR), 1)))
		f->pos = 1;
	if (f->pos == 1 && (fits = dirent_put(&w, "..", 2, parent_ino(f->dentry), mode_to_dt(S_IFDIR), 2)))
		f->pos = SNAPSHOT_BASE;
	if (fits && f->pos >= SNAPSHOT_BASE && f->pos < MEMORY_BASE) {
		struct snapshot *s = NULL;

		if (mem_inode(f->dentry->inode)->lower && !(s = snapshot_of(f, &err)))
			return w.used ? (ssize_t)w.used : err;
		if (s)
			fits = put_lower(f, s, &w);
		else
			f->pos = MEMORY_BASE;
	}
	if (fits && f->pos >= MEMORY_BASE)
		fits = put_memory(f, &w);
	return dirent_result(&w, fits);
}

static void drop_snapshot(struct file *f)
{
	struct snapshot *s = f->data;

	f->data = NULL;
	if (s)
		kfree(s->bytes);
	kfree(s);
}

static off_t memdir_seek(struct file *f, off_t offset, int whence)
{
	offset = file_seek_within(f, offset, whence, -EINVAL);
	if (offset == 0)
		drop_snapshot(f);
	return offset;
}

static ssize_t memdir_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	(void)f, (void)iov, (void)count, (void)pos;
	return -EISDIR;
}

static int memdir_stat(struct file *f, struct statx *st)
{
	mem_fill_stat(mem_inode(f->dentry->inode), st);
	return 0;
}

static int memdir_sync(struct file *f, bool data_only)
{
	(void)f, (void)data_only;
	return 0;
}

static void memdir_release(struct file *f)
{
	if (f->kind & HF_LOCKED)
		memlock_forget(f);
	drop_snapshot(f);
}

const struct file_ops memdir_ops = {
	.name = "tmpfs",
	.read = memdir_read,
	.seek = memdir_seek,
	.stat = memdir_stat,
	.sync = memdir_sync,
	.getdents = memdir_getdents,
	.lock = memlock_fcntl,
	.flock = memlock_flock,
	.on_close = hostlock_on_close,
	.release = memdir_release,
};

struct file *memdir_open(struct dentry *d, int flags, int *error)
{
	struct file *f = file_alloc(&memdir_ops, (uint32_t)flags, NULL);

	*error = -ENOMEM;
	if (f)
		f->dentry = dentry_get(d);
	return f;
}

int mem_dir_is_empty(struct dentry *dir)
{
	struct mem_inode *inode = mem_inode(dir->inode);
	struct snapshot s = { 0 };
	const struct linux_dirent64 *e;
	size_t at = 0, size;
	int err = inode->lower ? take_snapshot(inode, &s) : 0;

	tree_lock();
	while (!err && (e = snapshot_next(&s, &at, &size)) != NULL) {
		struct dentry *d = is_dot(e->d_name, size) ? NULL : d_find(dir, e->d_name, size);

		if (!is_dot(e->d_name, size) && !(d && (d->flags & D_PINNED) && !d->inode))
			err = -ENOTEMPTY;
	}
	if (!err)
		list_for_each(p, &dir->children)
			if (list_entry(p, struct dentry, siblings)->inode)
				err = -ENOTEMPTY;
	tree_unlock();
	kfree(s.bytes);
	return err;
}
