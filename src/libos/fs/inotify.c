/*
 * inotify (fs/inotify.h): instances with their queues of events, and watches, found by mount and inode number. One lock
 * for all of it, held for memory operations only; the tree lock is not taken behind it. Order and joining of events as
 * Linux has them (fs/notify/inotify).
 */
#include "fs/inotify.h"
#include "core/kheap.h"
#include "ipc/block.h"
#include "ipc/iter.h"

#include <asm/ioctls.h>

#define EVENTS_MAX 16384u
#define WATCHES_MAX 65536u
#define BUCKETS 256u
#define NAME_UNIT sizeof(struct inotify_event) /* names are padded to multiples of it */

struct event {
	struct list link;
	struct inotify_event head; /* and head.name, zeroes up to head.len */
};

struct inotify {
	struct list events, watches;
	uint32_t event_count;
	int32_t last_wd;
	struct waitq wait;
};

struct watch {
	struct list link, in_owner;
	struct inotify *owner;
	struct mount *mount;
	uint64_t ino;
	int32_t wd;
	uint32_t mask;
};

bool g_watching;
static struct mutex g_lock; /* everything here */
static struct list g_bucket[BUCKETS];
static uint32_t g_watches, g_last_cookie;

static struct list *bucket_of(const struct mount *m, uint64_t ino)
{
	return &g_bucket[(ino * 31 + m->id) % BUCKETS];
}

uint32_t notify_cookie(void)
{
	return __atomic_add_fetch(&g_last_cookie, 1, __ATOMIC_RELAXED);
}

/* As Linux has it: two moves that look alike are one, whatever their cookies. */
static bool same_as_last(const struct inotify *n, int wd, uint32_t mask, const char *name, size_t size)
{
	const struct event *e;

	if (list_empty(&n->events))
		return false;
	e = list_entry(n->events.prev, struct event, link);
	return e->head.wd == wd && e->head.mask == mask && !(mask & IN_IGNORED) && strnlen(e->head.name, e->head.len) == size &&
	       (!size || !memcmp(e->head.name, name, size));
}

static void queue(struct inotify *n, int wd, uint32_t mask, uint32_t cookie, const char *name, size_t size)
{
	size_t length = size ? ALIGN_UP(size + 1, NAME_UNIT) : 0;
	struct event *e;

	if (n->event_count == EVENTS_MAX)
		wd = -1, mask = IN_Q_OVERFLOW, cookie = 0, size = length = 0;
	if (n->event_count > EVENTS_MAX || same_as_last(n, wd, mask, name, size))
		return;
	e = kzalloc(sizeof(*e) + length);
	if (!e)
		return;
	e->head = (struct inotify_event){ .wd = wd, .mask = mask, .cookie = cookie, .len = (uint32_t)length };
	if (size)
		memcpy(e->head.name, name, size);
	list_append(&n->events, &e->link);
	n->event_count++;
	waitq_wake(&n->wait, EPOLLIN | EPOLLRDNORM);
}

static void end_watch(struct watch *w, bool tell)
{
	if (tell)
		queue(w->owner, w->wd, IN_IGNORED, 0, NULL, 0);
	list_remove(&w->link);
	list_remove(&w->in_owner);
	kfree(w);
	__atomic_store_n(&g_watching, --g_watches != 0, __ATOMIC_RELAXED);
}

/* To the watchers of one inode. g_lock held. */
static void tell(const struct mount *m, uint64_t ino, uint32_t mask, uint32_t cookie, const char *name, size_t size)
{
	struct list *bucket = bucket_of(m, ino), *next;

	if (!bucket->next)
		return;
	for (struct list *at = bucket->next; at != bucket; at = next) {
		struct watch *w = list_entry(at, struct watch, link);

		next = at->next;
		if (w->mount != m || w->ino != ino || !(mask & w->mask & IN_ALL_EVENTS))
			continue;
		queue(w->owner, w->wd, mask, cookie, name, size);
		if (w->mask & IN_ONESHOT)
			end_watch(w, true);
	}
}

static uint32_t with_kind(const struct inode *inode, uint32_t mask)
{
	return is_dir(inode) && !(mask & (IN_DELETE_SELF | IN_MOVE_SELF)) ? mask | IN_ISDIR : mask;
}

void notify_inode(struct inode *inode, uint32_t mask)
{
	if (!g_watching || !inode)
		return;
	mutex_lock(&g_lock);
	tell(inode->mount, inode->ino, with_kind(inode, mask), 0, NULL, 0);
	mutex_unlock(&g_lock);
}

void notify_name(struct dentry *dir, const char *name, size_t size, uint32_t mask, uint32_t cookie)
{
	if (!g_watching)
		return;
	mutex_lock(&g_lock);
	tell(dir->inode->mount, dir->inode->ino, mask, cookie, name, size);
	mutex_unlock(&g_lock);
}

void notify_dentry(struct dentry *d, uint32_t mask)
{
	struct inode *parent = NULL;
	char name[NAME_LENGTH_MAX + 1];
	size_t size = 0;

	if (!g_watching || !d || !d->inode)
		return;
	mask = with_kind(d->inode, mask);
	tree_lock();
	if (d->parent && !(d->flags & D_DEAD) && d->parent->inode) {
		parent = inode_get(d->parent->inode);
		size = MIN(d->name_size, (uint32_t)NAME_LENGTH_MAX);
		memcpy(name, d->name, size);
	}
	tree_unlock();
	mutex_lock(&g_lock);
	if (parent)
		tell(parent->mount, parent->ino, mask, 0, name, size);
	tell(d->inode->mount, d->inode->ino, mask, 0, NULL, 0);
	mutex_unlock(&g_lock);
	if (parent)
		inode_put(parent);
}

void notify_attributes(struct dentry *d, uint32_t valid)
{
	uint32_t times = valid & (ATTR_ATIME | ATTR_MTIME), mask = 0;

	if (!g_watching)
		return;
	if (valid & (ATTR_MODE | ATTR_UID | ATTR_GID) || times == (ATTR_ATIME | ATTR_MTIME))
		mask |= IN_ATTRIB;
	else if (times)
		mask |= times == ATTR_ATIME ? IN_ACCESS : IN_MODIFY;
	if (valid & ATTR_SIZE)
		mask |= IN_MODIFY;
	if (mask)
		notify_dentry(d, mask);
}

void notify_gone(struct inode *inode)
{
	struct list *bucket, *next;

	if (!g_watching || !inode)
		return;
	mutex_lock(&g_lock);
	bucket = bucket_of(inode->mount, inode->ino);
	for (struct list *at = bucket->next; bucket->next && at != bucket; at = next) {
		struct watch *w = list_entry(at, struct watch, link);

		next = at->next;
		if (w->mount != inode->mount || w->ino != inode->ino)
			continue;
		if (w->mask & IN_DELETE_SELF)
			queue(w->owner, w->wd, IN_DELETE_SELF, 0, NULL, 0);
		end_watch(w, true);
	}
	mutex_unlock(&g_lock);
}

struct inotify_io {
	struct inotify *n;
	struct iter it;
	ssize_t done;
};

/* As many whole events as fit. */
static ssize_t try_read(void *ctx)
{
	struct inotify_io *io = ctx;
	struct inotify *n = io->n;
	ssize_t ret = -EAGAIN;

	mutex_lock(&g_lock);
	while (!list_empty(&n->events)) {
		struct event *e = list_entry(n->events.next, struct event, link);
		size_t size = sizeof(e->head) + e->head.len;

		if (io->it.left < size) {
			ret = io->done ? 0 : -EINVAL;
			break;
		}
		if (iter_put(&io->it, &e->head, size) < size) {
			ret = -EFAULT;
			break;
		}
		io->done += (ssize_t)size;
		ret = 0;
		list_remove(&e->link);
		n->event_count--;
		kfree(e);
	}
	mutex_unlock(&g_lock);
	return io->done ? io->done : ret;
}

static ssize_t inotify_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct inotify_io io = { .n = f->data, .it = iter_init(iov, count) };
	ssize_t ret = try_read(&io);

	(void)pos;
	if (ret == -EAGAIN && !(f->flags & O_NONBLOCK))
		ret = block_until(&io.n->wait, BLOCK_READ, -1, try_read, &io);
	return ret;
}

static uint32_t inotify_poll(struct file *f)
{
	struct inotify *n = f->data;
	uint32_t ret;

	mutex_lock(&g_lock);
	ret = list_empty(&n->events) ? 0 : EPOLLIN | EPOLLRDNORM;
	mutex_unlock(&g_lock);
	return ret;
}

static struct waitq *inotify_waitq(struct file *f)
{
	return &((struct inotify *)f->data)->wait;
}

static long inotify_ioctl(struct file *f, unsigned long request, void *user_arg)
{
	struct inotify *n = f->data;
	int size = 0;

	if (request != FIONREAD)
		return -ENOTTY;
	mutex_lock(&g_lock);
	list_for_each(at, &n->events)
		size += (int)(sizeof(struct inotify_event) + list_entry(at, struct event, link)->head.len);
	mutex_unlock(&g_lock);
	return put_user(size, (int *)user_arg);
}

static void inotify_release(struct file *f)
{
	struct inotify *n = f->data;

	mutex_lock(&g_lock);
	while (!list_empty(&n->watches))
		end_watch(list_entry(n->watches.next, struct watch, in_owner), false);
	while (!list_empty(&n->events)) {
		struct event *e = list_entry(n->events.next, struct event, link);

		list_remove(&e->link);
		kfree(e);
	}
	mutex_unlock(&g_lock);
	kfree(n);
}

static const struct file_ops g_inotify_ops = {
	.name = "inotify",
	.stat = anon_stat,
	.read = inotify_read,
	.poll = inotify_poll,
	.waitq = inotify_waitq,
	.ioctl = inotify_ioctl,
	.release = inotify_release,
};

struct file *inotify_create(uint32_t flags, int *error)
{
	struct inotify *n = kzalloc(sizeof(*n));
	struct file *f;

	*error = -ENOMEM;
	if (!n)
		return NULL;
	list_init(&n->events);
	list_init(&n->watches);
	waitq_init(&n->wait);
	f = file_alloc(&g_inotify_ops, flags & O_NONBLOCK, n);
	if (!f)
		kfree(n);
	return f;
}

bool is_inotify(const struct file *f)
{
	return f->ops == &g_inotify_ops;
}

static struct watch *find(struct inotify *n, const struct inode *inode, int wd)
{
	list_for_each(at, &n->watches) {
		struct watch *w = list_entry(at, struct watch, in_owner);

		if (inode ? w->mount == inode->mount && w->ino == inode->ino : w->wd == wd)
			return w;
	}
	return NULL;
}

int inotify_add(struct file *f, struct dentry *d, uint32_t mask)
{
	struct inotify *n = f->data;
	uint32_t kept = mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK);
	struct list *bucket = bucket_of(d->inode->mount, d->inode->ino);
	struct watch *w;
	int ret = -ENOSPC;

	mutex_lock(&g_lock);
	w = find(n, d->inode, 0);
	if (w && (mask & IN_MASK_CREATE)) {
		ret = -EEXIST;
	} else if (w) {
		w->mask = mask & IN_MASK_ADD ? w->mask | kept : kept;
		ret = w->wd;
	} else if (g_watches < WATCHES_MAX) {
		w = kzalloc(sizeof(*w));
		ret = -ENOMEM;
		if (w) {
			*w = (struct watch){ .owner = n, .mount = d->inode->mount, .ino = d->inode->ino, .wd = ++n->last_wd, .mask = kept };
			if (!bucket->next)
				list_init(bucket);
			list_append(bucket, &w->link);
			list_append(&n->watches, &w->in_owner);
			g_watches++;
			__atomic_store_n(&g_watching, true, __ATOMIC_RELAXED);
			ret = w->wd;
		}
	}
	mutex_unlock(&g_lock);
	return ret;
}

int inotify_remove(struct file *f, int wd)
{
	struct watch *w;
	int ret = -EINVAL;

	if (!is_inotify(f))
		return -EINVAL;
	mutex_lock(&g_lock);
	w = find(f->data, NULL, wd);
	if (w) {
		end_watch(w, true);
		ret = 0;
	}
	mutex_unlock(&g_lock);
	return ret;
}
