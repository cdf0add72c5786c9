/*
 * The dentry tree: names by (directory, name) in one hash, the LRU of names that are only cached, reference counts.
 * For file systems in memory it is the truth, for host directories a cache of bounded age. Called by everything in
 * fs/. Trusts its callers to hold g_tree_lock where fs/inode.h says so.
 */
#include "core/kheap.h"
#include "fs/inode.h"
#include <linux/time.h>

#define FIRST_BUCKETS 256u /* most programs know few names; the table grows with them */
#define MOST_BUCKETS 16384u
#define CACHED_MAX 4096u
#define EVICT_BATCH 64u

struct mutex g_tree_lock;
struct inode *g_gone;
static struct dentry *g_first_buckets[FIRST_BUCKETS];
static struct dentry **g_hash = g_first_buckets;
static uint32_t g_buckets = FIRST_BUCKETS; /* a power of two */
static uint32_t g_hashed;
static struct list g_lru = LIST_INIT(g_lru); /* oldest first; refs == 0 */
static unsigned g_lru_count;
static uint64_t g_next_cookie = 2;

uint64_t cache_now_ms(void)
{
	return (uint64_t)clock_now(CLOCK_MONOTONIC_COARSE) / 1000000;
}

uint32_t name_hash(const char *name, size_t size)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < size; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h;
}

static struct dentry **bucket_of(const struct dentry *dir, uint32_t hash)
{
	uint64_t key = (uint64_t)(uintptr_t)dir / 32 * 0x9e3779b97f4a7c15ull;

	return &g_hash[(hash ^ (uint32_t)(key >> 32)) & (g_buckets - 1)];
}

struct dentry *d_find(struct dentry *dir, const char *name, size_t size)
{
	uint32_t hash = name_hash(name, size);

	for (struct dentry *d = *bucket_of(dir, hash); d; d = d->hash_next)
		if (d->hash == hash && d->parent == dir && d->name_size == size && memcmp(d->name, name, size) == 0)
			return d;
	return NULL;
}

void inode_init(struct inode *inode, const struct inode_ops *ops, struct mount *m, uint32_t mode, uint64_t ino)
{
	inode->ops = ops;
	inode->mount = m;
	inode->refs = 1;
	inode->mode = mode;
	inode->ino = ino;
}

struct inode *inode_get(struct inode *inode)
{
	__atomic_add_fetch(&inode->refs, 1, __ATOMIC_RELAXED);
	return inode;
}

static bool inode_drop(struct inode *inode)
{
	return inode && __atomic_sub_fetch(&inode->refs, 1, __ATOMIC_ACQ_REL) == 0;
}

void inode_put(struct inode *inode)
{
	if (inode_drop(inode))
		inode->ops->release(inode);
}

void inodes_release(struct inode *gone)
{
	while (gone) {
		struct inode *next = gone->next_gone;

		gone->ops->release(gone);
		gone = next;
	}
}

static int set_name(struct dentry *d, const char *name, size_t size)
{
	char *p = d->inline_name;

	if (size >= sizeof d->inline_name) {
		p = kmalloc(size + 1);
		if (!p)
			return -ENOMEM;
	}
	memcpy(p, name, size);
	p[size] = 0;
	if (d->name && d->name != d->inline_name)
		kfree(d->name);
	d->name = p;
	d->name_size = (uint32_t)size;
	d->hash = name_hash(name, size);
	return 0;
}

/* Without memory for it the table stays as it is, only slower. */
static void hash_grow(void)
{
	struct dentry **old = g_hash, **table = kzalloc(g_buckets * 4 * sizeof *table);
	uint32_t buckets = g_buckets;

	if (!table)
		return;
	g_hash = table;
	g_buckets *= 4;
	for (uint32_t i = 0; i < buckets; i++)
		for (struct dentry *d = old[i], *next; d; d = next) {
			struct dentry **bucket = bucket_of(d->parent, d->hash);

			next = d->hash_next;
			d->hash_next = *bucket;
			*bucket = d;
		}
	if (old != g_first_buckets)
		kfree(old);
}

static void hash_insert(struct dentry *d)
{
	if (++g_hashed > g_buckets && g_buckets < MOST_BUCKETS)
		hash_grow();
	struct dentry **bucket = bucket_of(d->parent, d->hash);

	d->hash_next = *bucket;
	*bucket = d;
}

static void hash_remove(struct dentry *d)
{
	struct dentry **p = bucket_of(d->parent, d->hash);

	while (*p && *p != d)
		p = &(*p)->hash_next;
	if (*p) {
		*p = d->hash_next;
		g_hashed--;
	}
	d->hash_next = NULL;
}

static struct dentry *d_alloc(struct mount *m, const char *name, size_t size)
{
	struct dentry *d = kzalloc(sizeof *d);

	if (!d)
		return NULL;
	if (set_name(d, name, size)) {
		kfree(d);
		return NULL;
	}
	d->refs = 1;
	d->mount = m;
	list_init(&d->siblings);
	list_init(&d->children);
	list_init(&d->lru);
	return d;
}

struct dentry *d_alloc_root(struct mount *m, struct inode *inode)
{
	struct dentry *d = inode ? d_alloc(m, "", 0) : NULL;

	if (d)
		d->inode = inode;
	else if (inode)
		inode_put(inode);
	return d;
}

struct dentry *d_alloc_unnamed(struct dentry *dir, struct inode *inode)
{
	char name[24];
	int size = format(name, sizeof name, "#%llu", (unsigned long long)inode->ino);
	struct dentry *d = d_alloc(dir->mount, name, (size_t)size);

	if (!d) {
		inode_put(inode);
		return NULL;
	}
	d->flags |= D_DEAD;
	d->inode = inode;
	d->parent = dentry_get(dir);
	return d;
}

static void d_free(struct dentry *d)
{
	if (d->name != d->inline_name)
		kfree(d->name);
	if (d->inode && d->inode->ops->forgotten)
		d->inode->ops->forgotten(d->inode);
	if (inode_drop(d->inode)) {
		d->inode->next_gone = g_gone;
		g_gone = d->inode;
	}
	kfree(d);
}

/* Free a dentry without references; that on its parent is the caller's from now on. */
static void d_destroy(struct dentry *d)
{
	if (!(d->flags & D_DEAD) && d->parent) {
		hash_remove(d);
		list_remove(&d->siblings);
	}
	d_free(d);
}

/* A reference less. Without any, a name stays on the LRU list; what nobody can find again is freed, and its parent has a reference less. */
static void drop_reference(struct dentry *d)
{
	while (d && !--d->refs) {
		struct dentry *parent = d->parent;

		/* /proc is asked each time: what was found there before is of no use */
		if (!(d->flags & D_DEAD) && parent && d->mount->type != BOOT_MOUNT_PROC) {
			list_append(&g_lru, &d->lru);
			g_lru_count++;
			return;
		}
		d_destroy(d);
		d = parent;
	}
}

/* A parent whose last name goes may come onto the list meanwhile: at its end, and without evicting others in turn. */
static void evict_some(void)
{
	for (unsigned i = 0; i < EVICT_BATCH && !list_empty(&g_lru); i++) {
		struct dentry *d = list_entry(g_lru.next, struct dentry, lru), *parent = d->parent;

		list_remove(&d->lru);
		g_lru_count--;
		d_destroy(d);
		drop_reference(parent);
	}
}

void d_get(struct dentry *d)
{
	if (d->refs++ == 0 && !list_empty(&d->lru)) {
		list_remove(&d->lru);
		g_lru_count--;
	}
}

void d_put(struct dentry *d)
{
	drop_reference(d);
	if (g_lru_count > CACHED_MAX)
		evict_some();
}

struct dentry *dentry_get(struct dentry *d)
{
	tree_lock();
	d_get(d);
	tree_unlock();
	return d;
}

void dentry_put(struct dentry *d)
{
	if (!d)
		return;
	tree_lock();
	d_put(d);
	tree_unlock();
}

struct dentry *d_add(struct dentry *dir, const char *name, size_t size, struct inode *inode)
{
	struct dentry *d = d_alloc(dir->mount, name, size);

	if (!d)
		return NULL;
	d->inode = inode;
	d->parent = dir;
	d_get(dir);
	d->cookie = g_next_cookie++;
	d->checked_ms = cache_now_ms();
	hash_insert(d);
	list_append(&dir->children, &d->siblings);
	return d;
}

void d_pin(struct dentry *d)
{
	if (d->flags & D_PINNED)
		return;
	d->flags |= D_PINNED;
	d_get(d);
}

void d_kill(struct dentry *d)
{
	if (!(d->flags & D_DEAD)) {
		hash_remove(d);
		list_remove(&d->siblings);
		d->flags |= D_DEAD;
	}
	if (d->flags & D_PINNED) {
		d->flags &= ~D_PINNED;
		d_put(d);
	}
}

int d_move(struct dentry *d, struct dentry *to, const char *name, size_t size)
{
	struct dentry *from = d->parent;
	int err;

	hash_remove(d);
	err = set_name(d, name, size);
	if (!err) {
		list_remove(&d->siblings);
		d->parent = to;
		d_get(to);
		d->cookie = g_next_cookie++;
		list_append(&to->children, &d->siblings);
	}
	hash_insert(d);
	if (!err)
		d_put(from);
	return err;
}

static void swap_names(struct dentry *a, struct dentry *b)
{
	struct dentry old = *a;

	memcpy(a->inline_name, b->inline_name, sizeof a->inline_name);
	memcpy(b->inline_name, old.inline_name, sizeof b->inline_name);
	a->name = b->name == b->inline_name ? a->inline_name : b->name;
	b->name = old.name == a->inline_name ? b->inline_name : old.name;
	a->name_size = b->name_size;
	b->name_size = old.name_size;
	a->hash = b->hash;
	b->hash = old.hash;
}

void d_exchange(struct dentry *a, struct dentry *b)
{
	struct dentry *both[] = { a, b }, *parent = a->parent;

	hash_remove(a);
	hash_remove(b);
	swap_names(a, b);
	a->parent = b->parent; /* with its reference */
	b->parent = parent;
	for (unsigned i = 0; i < 2; i++) {
		list_remove(&both[i]->siblings);
		both[i]->cookie = g_next_cookie++;
		list_append(&both[i]->parent->children, &both[i]->siblings);
		hash_insert(both[i]);
	}
}

/* May the cache answer for d, or must the file system be asked? Tree lock held. */
static bool d_fresh(const struct dentry *d, enum lookup_trust trust)
{
	const struct mount *m = d->mount;

	if (m->type == BOOT_MOUNT_PROC || m->type == BOOT_MOUNT_CAP)
		return false; /* threads, descriptors and what others share come and go */
	if ((d->flags & (D_PINNED | D_MOUNTPOINT | D_KEEP)) || d->mounted || m->handle < 0)
		return true;
	if (trust == LOOKUP_TRUST && d->inode && !is_link(d->inode))
		return true;
	if (trust == LOOKUP_FRESH && m->type == BOOT_MOUNT_HOST)
		return false;
	return cache_now_ms() - d->checked_ms < CACHE_MS;
}

/* A directory of /proc is another one when its number is used again. */
static bool same_object(const struct inode *a, const struct inode *b)
{
	return (a->mode & S_IFMT) == (b->mode & S_IFMT) &&
	       (a->ino == b->ino || (is_dir(a) && a->mount->type != BOOT_MOUNT_PROC));
}

/* Is what the tree says of `now` more than a cache of the host's answer? */
static bool is_truth(const struct dentry *now)
{
	return (now->flags & (D_PINNED | D_MOUNTPOINT | D_KEEP)) || now->mounted ||
	       (now->mount->type == BOOT_MOUNT_OVERLAY && !list_empty(&now->children));
}

/* Somebody's working directory, or open. */
static bool is_used_dir(const struct dentry *d)
{
	return d->refs && d->inode && is_dir(d->inode) && d->mount->type == BOOT_MOUNT_HOST;
}

/* Enter the file system's answer (err, inode) for a name that was not cached (`now`: NULL) or too old. Tree lock held. */
static int d_refresh(struct dentry *dir, const char *name, size_t size, struct dentry *now, int err, struct inode *inode,
		     struct dentry **out)
{
	if (now && (is_truth(now) || (!now->inode && !inode && err == 1))) {
		;
	} else if (now && now->inode && inode && same_object(now->inode, inode)) {
		if (inode->ops->refresh)
			inode->ops->refresh(now->inode, inode);
	} else if (now && err < 0 && is_used_dir(now)) {
		return err; /* another thread is perhaps renaming it: who removes it here tells the tree */
	} else {
		if (now) {
			d_get(now);
			d_kill(now);
			d_put(now);
		}
		if (err < 0)
			return err;
		if (inode)
			inode_get(inode);
		now = d_add(dir, name, size, inode);
		if (!now) {
			inode_put(inode);
			return -ENOMEM;
		}
		if (inode && dir->mount->type == BOOT_MOUNT_OVERLAY)
			now->flags |= D_COVERS;
		*out = now;
		return 0;
	}
	now->checked_ms = cache_now_ms();
	d_get(now);
	*out = now;
	return 0;
}

/* 1: the file system's answer is older than what another thread has entered meanwhile. */
static int try_lookup(struct dentry *dir, const char *name, size_t size, enum lookup_trust trust, struct dentry **out,
		      struct statx *st)
{
	struct inode *inode = NULL;
	struct dentry *d;
	uint64_t known;
	int err;

	tree_lock();
	if ((dir->flags & D_DEAD) || size > NAME_LENGTH_MAX) {
		err = dir->flags & D_DEAD ? -ENOENT : -ENAMETOOLONG;
		tree_unlock();
		return err;
	}
	d = d_find(dir, name, size);
	if (d && d_fresh(d, trust)) {
		d_get(d);
		tree_unlock();
		*out = d;
		return 0;
	}
	known = d ? d->cookie : 0;
	tree_unlock();
	err = dir->inode->ops->lookup ? dir->inode->ops->lookup(dir, name, size, &inode, st) : -ENOENT;
	if (err < 0 && err != -ENOENT)
		return err;
	tree_lock();
	d = d_find(dir, name, size);
	if (d && d->cookie != known && dir->mount->type != BOOT_MOUNT_PROC) /* there they live for a moment only */
		err = 1;
	else
		err = d_refresh(dir, name, size, d, err, inode, out);
	tree_unlock();
	inode_put(inode);
	return err;
}

int d_lookup(struct dentry *dir, const char *name, size_t size, enum lookup_trust trust, struct dentry **out,
	     struct statx *st)
{
	int err;

	if (!is_dir(dir->inode))
		return -ENOTDIR;
	do
		err = try_lookup(dir, name, size, trust, out, st);
	while (err > 0);
	return err;
}

void d_doubt(struct dentry *d)
{
	tree_lock();
	d->checked_ms = 0;
	tree_unlock();
}

void d_forget(struct dentry *d)
{
	tree_lock();
	if (!(d->flags & D_DEAD) && d->parent && !is_truth(d))
		d_kill(d);
	tree_unlock();
}

bool path_prepend(char **at, char *buf, const char *text, size_t size)
{
	if ((size_t)(*at - buf) < size)
		return false;
	*at -= size;
	memcpy(*at, text, size);
	return true;
}

ssize_t dentry_path(struct dentry *d, char *buf, size_t size)
{
	struct fs_context *fs = current()->process->fs;

	return dentry_path_from(fs ? &fs->root : NULL, d, buf, size, NULL);
}

/* `root` points to it, for only the tree's lock says which it is. */
ssize_t dentry_path_from(struct dentry *const *root, struct dentry *d, char *buf, size_t size, bool *below)
{
	char *at = buf + size - 1;
	bool fits = true, dead = false, met = false;

	*at = 0;
	tree_lock();
	for (;;) {
		met = root && d == *root;
		while (!met && !d->parent && d->mount->point && d == d->mount->root)
			d = d->mount->point;
		dead |= (d->flags & D_DEAD) != 0;
		if (met)
			break;
		if (!d->parent && !(d->flags & D_DEAD))
			break;
		fits = fits && path_prepend(&at, buf, d->name, d->name_size) && path_prepend(&at, buf, "/", 1);
		if (!d->parent)
			break;
		d = d->parent;
	}
	if (below)
		*below = met;
	tree_unlock();
	if (fits && !*at)
		fits = path_prepend(&at, buf, "/", 1);
	if (!fits) {
		buf[0] = 0;
		return -ENAMETOOLONG;
	}
	size = (size_t)(buf + size - 1 - at);
	memmove(buf, at, size + 1);
	return dead ? -ENOENT : (ssize_t)size;
}
