/*
 * Open files and directories of /proc. Text is made when a file is opened and made anew when it is read from its start
 * again, so what one reader sees fits together. Called through file_ops.
 */
#include "fs/proc_file.h"
#include "core/kheap.h"
#include "core/uaccess.h"

void text_add(struct text *t, const void *bytes, size_t size)
{
	if (t->room - t->size < size) {
		size_t room = MAX(t->room * 2, ALIGN_UP(t->size + size + 1, 1024ul));
		char *p = krealloc(t->bytes, room);

		if (!p) {
			t->error = -ENOMEM;
			return;
		}
		t->bytes = p;
		t->room = room;
	}
	memcpy(t->bytes + t->size, bytes, size);
	t->size += size;
}

void text_put(struct text *t, const char *fmt, ...)
{
	char line[1024];
	__builtin_va_list args;
	int n;

	__builtin_va_start(args, fmt);
	n = vformat(line, sizeof line, fmt, args);
	__builtin_va_end(args);
	text_add(t, line, MIN((size_t)n, sizeof line - 1));
}

static int fill(struct file *f)
{
	struct proc_inode *inode = proc_inode(f->dentry->inode);
	struct text *t = f->data;
	struct subject s;

	t->size = 0;
	t->error = proc_subject(&inode->base, &s);
	if (!t->error)
		inode->node->fill(t, &s);
	process_put(s.process);
	if (t->error)
		t->size = 0;
	return t->error;
}

static ssize_t procfile_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct text *t = f->data;
	ssize_t done = 0;
	int err = *pos == 0 ? fill(f) : 0;

	for (unsigned i = 0; i < count && !err && (size_t)*pos < t->size; i++) {
		size_t part = MIN(iov[i].iov_len, t->size - (size_t)*pos);

		err = copy_to_buffer(iov[i].iov_base, t->bytes + *pos, part);
		if (!err) {
			*pos += (off_t)part;
			done += (ssize_t)part;
		}
	}
	return done ? done : err;
}

static ssize_t procfile_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct proc_inode *inode = proc_inode(f->dentry->inode);
	char bytes[256];
	struct subject s;
	ssize_t n;
	size_t size;

	(void)pos;
	if (!inode->node->write)
		return -EACCES;
	if (!count)
		return 0;
	size = MIN(iov->iov_len, sizeof bytes);
	if (copy_from_buffer(bytes, iov->iov_base, size))
		return -EFAULT;
	n = proc_subject(&inode->base, &s);
	if (!n)
		n = inode->node->write(bytes, size, &s);
	process_put(s.process);
	return n;
}

static off_t procfile_seek(struct file *f, off_t offset, int whence)
{
	return file_seek_within(f, offset, whence, -EINVAL);
}

static int procfile_stat(struct file *f, struct statx *st)
{
	return dentry_getattr(f->dentry, st);
}

static void procfile_release(struct file *f)
{
	struct text *t = f->data;

	if (t)
		kfree(t->bytes);
	kfree(t);
}

static const struct file_ops procfile_ops = {
	.name = "proc",
	.positioned = true,
	.read = procfile_read,
	.write = procfile_write,
	.seek = procfile_seek,
	.stat = procfile_stat,
	.release = procfile_release,
};

/* Positions: 0 ".", 1 "..", then the fixed children, then NUMBER_BASE + number. */
#define NUMBER_BASE 4096

static bool put_fixed(struct file *f, struct dirent_writer *w)
{
	struct inode *dir = f->dentry->inode;
	const struct proc_node *c = proc_inode(dir)->node->children;
	off_t at = 2;

	if (f->pos == 0 && dirent_put(w, ".", 1, dir->ino, mode_to_dt(S_IFDIR), 1))
		f->pos = 1;
	if (f->pos == 1 && dirent_put(w, "..", 2, dir->ino, mode_to_dt(S_IFDIR), 2))
		f->pos = 2;
	for (; f->pos >= 2 && c && c->name; c++, at++) {
		if (at < f->pos)
			continue;
		if (!dirent_put(w, c->name, strlen(c->name), dir->ino + (uint64_t)at, mode_to_dt(c->mode), at + 1))
			return false;
		f->pos = at + 1;
	}
	if (f->pos < 2)
		return false;
	f->pos = NUMBER_BASE;
	return true;
}

static ssize_t procdir_getdents(struct file *f, void *user, size_t size)
{
	struct dirent_writer w = { .user = user, .size = size };
	const struct proc_node *node = proc_inode(f->dentry->inode)->node;
	struct subject s;
	bool fits;

	if (proc_subject(f->dentry->inode, &s))
		return -ENOENT;
	fits = f->pos >= NUMBER_BASE || put_fixed(f, &w);
	while (fits && node->next) {
		int n = node->next(&s, (int)(f->pos - NUMBER_BASE));
		char name[12];

		if (n < 0)
			break;
		format(name, sizeof name, "%d", n);
		fits = dirent_put(&w, name, strlen(name), f->dentry->inode->ino + NUMBER_BASE + (uint64_t)n,
				  mode_to_dt(node->numbered->mode), NUMBER_BASE + n + 1);
		if (fits)
			f->pos = NUMBER_BASE + n + 1;
	}
	process_put(s.process);
	return dirent_result(&w, fits);
}

static ssize_t procdir_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	(void)f, (void)iov, (void)count, (void)pos;
	return -EISDIR;
}

static const struct file_ops procdir_ops = {
	.name = "proc",
	.read = procdir_read,
	.seek = procfile_seek,
	.stat = procfile_stat,
	.getdents = procdir_getdents,
};

struct file *proc_open(struct dentry *d, int flags, int *error)
{
	struct proc_inode *inode = proc_inode(d->inode);
	bool dir = is_dir(d->inode);
	struct text *t = dir ? NULL : kzalloc(sizeof *t);
	struct file *f;

	*error = -EACCES;
	if (!dir && (flags & O_ACCMODE) != O_RDONLY && !inode->node->write) {
		kfree(t);
		return NULL;
	}
	*error = -ENOMEM;
	f = dir || t ? file_alloc(dir ? &procdir_ops : &procfile_ops, (uint32_t)flags, t) : NULL;
	if (f)
		f->dentry = dentry_get(d);
	else
		kfree(t);
	return f;
}
