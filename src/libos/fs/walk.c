/*
 * Path walk: from text to dentry, with symlinks, "..", mount points, trailing slashes and openat2's restrictions.
 * Called by open.c and the system calls. Names come from the program and are not trusted; what lies outside a granted
 * host directory cannot be reached whatever happens here, for the monitor resolves again below the directory's handle.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/inode.h"

#define LINKS_MAX 40
#define PATHBUFS_KEPT 8

static struct mutex g_pathbuf_lock;
static char *g_pathbuf[PATHBUFS_KEPT];
static unsigned g_pathbuf_count;

char *pathbuf_get(void)
{
	char *p = NULL;

	mutex_lock(&g_pathbuf_lock);
	if (g_pathbuf_count)
		p = g_pathbuf[--g_pathbuf_count];
	mutex_unlock(&g_pathbuf_lock);
	return p ? p : kmalloc(PATH_SIZE);
}

void pathbuf_put(char *p)
{
	if (!p)
		return;
	mutex_lock(&g_pathbuf_lock);
	if (g_pathbuf_count < PATHBUFS_KEPT) {
		g_pathbuf[g_pathbuf_count++] = p;
		p = NULL;
	}
	mutex_unlock(&g_pathbuf_lock);
	kfree(p);
}

int path_from_user(const char *user, char **out)
{
	char *p = pathbuf_get();
	ssize_t n;

	if (!p)
		return -ENOMEM;
	n = copy_string_from_user(p, user, PATH_SIZE);
	if (n < 0) {
		pathbuf_put(p);
		return (int)n;
	}
	*out = p;
	return 0;
}

static struct dentry *cross_mounts(struct dentry *d)
{
	while (d->mounted)
		d = d->mounted;
	return d;
}

/* Replace w->dentry, consuming the reference to d. */
static void step_to(struct walk *w, struct dentry *d)
{
	tree_lock();
	d_put(w->dentry);
	tree_unlock();
	w->dentry = d;
}

static int step_up(struct walk *w)
{
	struct dentry *d = w->dentry, *up;

	tree_lock();
	if (d == w->root) {
		tree_unlock();
		return w->flags & WALK_BENEATH ? -EXDEV : 0;
	}
	while (!d->parent && d->mount->point && d == d->mount->root)
		d = d->mount->point;
	up = d->parent ? d->parent : d;
	if ((w->flags & WALK_NO_XDEV) && up->mount != w->dentry->mount) {
		tree_unlock();
		return -EXDEV;
	}
	d_get(up);
	d_put(w->dentry);
	tree_unlock();
	w->dentry = up;
	w->st.stx_mask = 0;
	return 0;
}

/* To the start of an absolute path. */
static int step_root(struct walk *w)
{
	if (w->flags & WALK_BENEATH)
		return -EXDEV;
	if ((w->flags & WALK_NO_XDEV) && w->root->mount != w->dentry->mount)
		return -EXDEV;
	step_to(w, dentry_get(w->root));
	w->st.stx_mask = 0;
	return 0;
}

/* A magic link of /proc: w->dentry or w->file becomes what it leads to. */
static int follow_magic(struct walk *w, struct dentry *link)
{
	struct dentry *target = NULL;
	struct file *file = NULL;
	int err;

	err = link->inode->ops->follow(link, &target, &file);
	if (!err && (w->flags & (WALK_NO_MAGIC | WALK_BENEATH | WALK_IN_ROOT))) { /* there it is */
		dentry_put(target);
		if (file)
			file_put(file);
		err = w->flags & WALK_NO_MAGIC ? -ELOOP : -EXDEV;
	}
	if (err)
		return err;
	w->st.stx_mask = 0;
	if (target) {
		step_to(w, target);
	} else {
		step_to(w, NULL);
		w->file = file;
	}
	return 0;
}

/* Put the target of `link` in front of what is left of the path; *rest then points to it. */
static int follow_link(struct walk *w, struct dentry *link, const char **rest)
{
	size_t left = strlen(*rest);
	char *text;
	ssize_t n;

	if (++w->links > LINKS_MAX || (w->flags & WALK_NO_SYMLINKS))
		return -ELOOP;
	if (link->inode->ops->follow) {
		int err = follow_magic(w, link);

		if (err != -EAGAIN) /* a link of /proc that is text after all */
			return err;
	}
	text = pathbuf_get();
	if (!text)
		return -ENOMEM;
	n = link->inode->ops->readlink(link, text, PATH_SIZE - 1);
	if (n <= 0 || (size_t)n + left + 2 > PATH_SIZE) {
		pathbuf_put(text);
		return n < 0 ? (int)n : n == 0 ? -ENOENT : -ENAMETOOLONG;
	}
	if (left) {
		text[n++] = '/';
		memcpy(text + n, *rest, left);
	}
	text[(size_t)n + left] = 0;
	pathbuf_put(w->buffer);
	w->buffer = text;
	*rest = text;
	return text[0] == '/' ? step_root(w) : 0;
}

static bool only_slashes(const char *p)
{
	while (*p == '/')
		p++;
	return !*p;
}

/* The child `name` of w->dentry, mounts crossed, one reference, positive. */
static int child_of(struct walk *w, const char *name, size_t size, bool last, struct dentry **out)
{
	enum lookup_trust trust = !last ? LOOKUP_MIDDLE : w->flags & WALK_TRUST ? LOOKUP_TRUST : LOOKUP_FRESH;
	struct dentry *d, *top;
	int err;

	w->st.stx_mask = 0;
	err = d_lookup(w->dentry, name, size, trust, &d, &w->st);
	if (err)
		return err;
	if (!d->inode) {
		dentry_put(d);
		return -ENOENT;
	}
	if (unlikely(d->mounted != NULL)) {
		tree_lock();
		top = cross_mounts(d);
		d_get(top);
		d_put(d);
		tree_unlock();
		d = top;
		w->st.stx_mask = 0;
		if (w->flags & WALK_NO_XDEV) {
			dentry_put(d);
			return -EXDEV;
		}
	}
	*out = d;
	return 0;
}

/* One component [name, name + size), `rest` behind it. */
static int walk_component(struct walk *w, const char *name, size_t size, const char **rest)
{
	bool last = only_slashes(*rest), slash = last && **rest;
	struct dentry *d;
	int err;

	if (!is_dir(w->dentry->inode))
		return -ENOTDIR;
	if (size == 1 && name[0] == '.')
		return 0;
	if (size == 2 && name[0] == '.' && name[1] == '.')
		return step_up(w);
	err = child_of(w, name, size, last, &d);
	if (err)
		return err;
	if (is_link(d->inode) && (!last || slash || (w->flags & WALK_FOLLOW))) {
		err = follow_link(w, d, rest);
		dentry_put(d);
		if (!err && w->file && (!last || slash))
			err = -ENOTDIR;
		return err;
	}
	step_to(w, d);
	return last && slash && !is_dir(d->inode) ? -ENOTDIR : 0;
}

/* WALK_PARENT: is this the last component? Then remember it. */
static int keep_last(struct walk *w, const char *name, size_t size, const char *rest)
{
	if (!is_dir(w->dentry->inode))
		return -ENOTDIR;
	if (size > NAME_LENGTH_MAX)
		return w->dentry->flags & D_DEAD ? -ENOENT : -ENAMETOOLONG;
	w->last = LAST_NAME;
	if (size == 1 && name[0] == '.')
		w->last = LAST_DOT;
	if (size == 2 && name[0] == '.' && name[1] == '.')
		w->last = LAST_DOTDOT;
	memcpy(w->name, name, size);
	w->name[size] = 0;
	w->name_size = (uint32_t)size;
	w->trailing_slash = *rest != 0;
	return 0;
}

static int walk_text(struct walk *w, const char *p)
{
	int err;

	w->last = LAST_ROOT;
	for (;;) {
		const char *name;

		while (*p == '/')
			p++;
		if (!*p || w->file)
			break;
		name = p;
		while (*p && *p != '/')
			p++;
		if ((w->flags & WALK_PARENT) && only_slashes(p))
			return keep_last(w, name, (size_t)(p - name), p);
		err = walk_component(w, name, (size_t)(p - name), &p);
		if (err)
			return err;
	}
	if ((w->flags & WALK_DIRECTORY) && (w->file || !is_dir(w->dentry->inode)))
		return -ENOTDIR;
	return 0;
}

void walk_done(struct walk *w)
{
	if (w->dentry || w->root) {
		tree_lock();
		if (w->dentry)
			d_put(w->dentry);
		if (w->root)
			d_put(w->root);
		tree_unlock();
	}
	w->dentry = w->root = NULL;
	pathbuf_put(w->buffer);
	w->buffer = NULL;
	if (w->file)
		file_put(w->file);
	w->file = NULL;
}

int path_walk(struct walk *w, struct dentry *base, const char *path, unsigned flags)
{
	struct fs_context *fs = current()->process->fs;
	int err;

	w->file = NULL;
	w->buffer = NULL;
	w->links = 0;
	w->flags = flags;
	w->st.stx_mask = 0;
	w->name_size = 0;
	w->trailing_slash = false;
	if (!*path && !(flags & WALK_EMPTY)) {
		w->dentry = w->root = NULL;
		return -ENOENT;
	}
	mutex_lock(&fs->lock);
	tree_lock();
	w->root = base && (flags & (WALK_BENEATH | WALK_IN_ROOT)) ? base : fs->root;
	if (!base && (flags & (WALK_BENEATH | WALK_IN_ROOT)))
		w->root = fs->cwd;
	w->dentry = *path == '/' ? w->root : base ? base : fs->cwd;
	d_get(w->root);
	d_get(w->dentry);
	tree_unlock();
	mutex_unlock(&fs->lock);
	if (*path == '/' && (flags & WALK_BENEATH))
		err = -EXDEV;
	else
		err = walk_text(w, path);
	if (err)
		walk_done(w);
	return err;
}

int path_walk_at(struct walk *w, int dirfd, const char *path, unsigned flags)
{
	struct file *f;
	int err;

	if (dirfd == AT_FDCWD || (*path == '/' && !(flags & WALK_IN_ROOT)))
		return path_walk(w, NULL, path, flags);
	f = *path || (flags & WALK_EMPTY) ? fd_get(dirfd) : NULL;
	if (!f) {
		w->dentry = w->root = NULL;
		return *path || (flags & WALK_EMPTY) ? -EBADF : -ENOENT;
	}
	if (f->dentry && *path && !is_dir(f->dentry->inode)) {
		w->dentry = w->root = NULL;
		err = -ENOTDIR;
	} else if (f->dentry) {
		err = path_walk(w, f->dentry, path, flags);
		if (!err && !*path) {
			w->file = f;
			return 0;
		}
	} else if (!*path && (flags & WALK_EMPTY)) {
		*w = (struct walk){ .file = f };
		return 0;
	} else {
		err = -ENOTDIR;
	}
	file_put(f);
	return err;
}

int path_walk_user(struct walk *w, int dirfd, const char *user, unsigned flags)
{
	char *path = NULL;
	int err = path_from_user(user, &path);

	if (err)
		return err;
	err = path_walk_at(w, dirfd, path, flags);
	pathbuf_put(path);
	return err;
}

int walk_up_last(struct walk *w)
{
	return w->last == LAST_DOTDOT ? step_up(w) : 0;
}

int walk_follow_last(struct walk *w, struct dentry *link)
{
	const char *rest = "";
	int err;

	err = follow_link(w, link, &rest);
	return err || w->file ? err : walk_text(w, rest);
}
