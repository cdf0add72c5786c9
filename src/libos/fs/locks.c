/*
 * File locks. Record locks (fcntl F_SETLK) belong to the process and vanish when it closes any descriptor of the file;
 * on host files they are also open-file-description locks of the host, so that other cVMs and host programs see them:
 * all of a process's locks on one file sit on one handle, the *carrier*, else two of its own descriptors would
 * exclude each other. Locks on files in memory concern this cVM only and are kept here. Called through file_ops.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "fs/hostfile.h"
#include "fs/memfs.h"
#include "process/turn.h"

struct carrier { /* one per host file on which a process holds record locks */
	struct list link;
	const struct process *process;
	uint64_t dev, ino;
	struct file *file; /* not owned: closing any descriptor of the file ends the carrier first */
};

struct held { /* a lock on a file in memory */
	struct list link;
	const void *object; /* the inode */
	const void *owner;  /* struct process (POSIX) or struct file (OFD, flock) */
	int32_t pid; /* POSIX: the process's, else -1 */
	bool flock;
	bool exclusive;
	off_t start, end; /* inclusive */
};

struct wanted { /* a lock in memory that a thread waits for */
	struct list link;
	const struct held *lock;
};

static struct mutex g_lock; /* all lists */
static struct list g_carriers = LIST_INIT(g_carriers);
static struct list g_held = LIST_INIT(g_held);
static struct list g_wanted = LIST_INIT(g_wanted);
static struct waitq g_freed = { .waiters = LIST_INIT(g_freed.waiters) }; /* a lock in memory went away */

static bool identify(struct file *f, uint64_t *dev, uint64_t *ino)
{
	struct statx st;

	if (hostcall(HC_file_stat, hostfile_handle(f), 0, 0, STATX_BASIC_STATS, &st))
		return false;
	*dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
	*ino = st.stx_ino;
	return true;
}

/* The calling process's. */
static struct carrier *find_carrier(uint64_t dev, uint64_t ino)
{
	list_for_each(p, &g_carriers) {
		struct carrier *c = list_entry(p, struct carrier, link);

		if (c->process == current()->process && c->dev == dev && c->ino == ino)
			return c;
	}
	return NULL;
}

static void unlock_all(struct file *f)
{
	struct flock whole = { .l_type = F_UNLCK };

	hostcall(HC_file_lock, hostfile_handle(f), F_OFD_SETLK, &whole);
}

static void drop_carrier(struct carrier *c)
{
	unlock_all(c->file);
	list_remove(&c->link);
	kfree(c);
}

/* The file to lock through, with a reference; the carrier is made or moved to a writable descriptor if need be. */
static struct file *choose_carrier(struct file *f, const struct flock *lk, int *error)
{
	uint64_t dev, ino;
	struct carrier *c;
	bool can_write = (f->flags & O_ACCMODE) != O_RDONLY;

	*error = -ENOLCK;
	if (!identify(f, &dev, &ino))
		return NULL;
	mutex_lock(&g_lock);
	c = find_carrier(dev, ino);
	if (c && lk->l_type == F_WRLCK && can_write && (c->file->flags & O_ACCMODE) == O_RDONLY) {
		/* A read-only carrier cannot hold write locks. Its read locks move as one lock of the whole file. */
		struct flock whole = { .l_type = F_RDLCK };

		hostcall(HC_file_lock, hostfile_handle(f), F_OFD_SETLK, &whole);
		unlock_all(c->file);
		c->file = f;
		f->kind |= HF_LOCKED;
	}
	if (!c && (c = kmalloc(sizeof *c)) != NULL) {
		*c = (struct carrier){ .process = current()->process, .dev = dev, .ino = ino, .file = f };
		list_append(&g_carriers, &c->link);
		f->kind |= HF_LOCKED;
	}
	f = c ? c->file : NULL;
	if (f)
		file_get(f);
	mutex_unlock(&g_lock);
	return f;
}

int lock_make_absolute(struct file *f, struct flock *lk)
{
	struct statx st;
	off_t base = 0, last;

	if (lk->l_whence == SEEK_CUR)
		base = file_position(f);
	else if (lk->l_whence == SEEK_END)
		base = f->ops->stat(f, &st) ? 0 : (off_t)st.stx_size;
	else if (lk->l_whence != SEEK_SET)
		return -EINVAL;
	lk->l_whence = SEEK_SET;
	if (__builtin_add_overflow(lk->l_start, base, &lk->l_start))
		return -EOVERFLOW;
	if (lk->l_start < 0 || (lk->l_len < 0 && lk->l_start + lk->l_len < 0))
		return -EINVAL;
	if (lk->l_len < 0) {
		lk->l_start += lk->l_len;
		lk->l_len = -lk->l_len;
	} else if (lk->l_len > 0) {
		if (__builtin_add_overflow(lk->l_start, lk->l_len - 1, &last))
			return -EOVERFLOW;
		if (last == INT64_MAX)
			lk->l_len = 0;
	}
	return lk->l_type == F_RDLCK || lk->l_type == F_WRLCK || lk->l_type == F_UNLCK ? 0 : -EINVAL;
}

static bool mode_allows(const struct file *f, int type)
{
	unsigned mode = f->flags & O_ACCMODE;

	return !(type == F_RDLCK && mode == O_WRONLY) && !(type == F_WRLCK && mode == O_RDONLY);
}

int hostlock_fcntl(struct file *f, int cmd, void *flock)
{
	bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
	bool get = cmd == F_GETLK || cmd == F_OFD_GETLK, wait = cmd == F_SETLKW || cmd == F_OFD_SETLKW;
	struct flock *lk = flock;
	struct file *through = f;
	long err = lock_make_absolute(f, lk);
	int error;

	if (err)
		return (int)err;
	f->kind |= HF_CHANGED;
	if (!get && !mode_allows(f, lk->l_type))
		return -EBADF;
	if (ofd) {
		file_get(f);
	} else {
		through = choose_carrier(f, lk, &error);
		if (!through)
			return error;
	}
	lk->l_pid = 0;
	turn_release(current());
	do
		err = hostcall_blocking(HC_file_lock, hostfile_handle(through),
					get ? F_OFD_GETLK : wait ? F_OFD_SETLKW : F_OFD_SETLK, lk);
	while (retry_hostcall(&err));
	turn_resume(current());
	file_put(through);
	return (int)err;
}

/* ---- files in memory ---- */

static bool overlaps(const struct held *h, off_t start, off_t end)
{
	return h->start <= end && start <= h->end;
}

/* g_lock held */
static struct held *find_conflict(const struct held *want)
{
	list_for_each(p, &g_held) {
		struct held *h = list_entry(p, struct held, link);

		if (h->object == want->object && h->owner != want->owner && h->flock == want->flock &&
		    (h->exclusive || want->exclusive) && overlaps(h, want->start, want->end))
			return h;
	}
	return NULL;
}

/* What F_GETLK tells of: the first one of whoever is in the way. g_lock held. */
static struct held *first_conflict(const struct held *want)
{
	struct held *first = find_conflict(want);

	list_for_each(p, &g_held) {
		struct held *h = list_entry(p, struct held, link);

		if (first && h->object == want->object && h->owner == first->owner && h->flock == want->flock &&
		    (h->exclusive || want->exclusive) && overlaps(h, want->start, want->end) && h->start < first->start)
			first = h;
	}
	return first;
}

/* Take the owner's locks off a range; what sticks out remains. `spare` is used if one has to be split. g_lock held. */
static void cut(const struct held *range, struct held **spare)
{
	list_for_each_safe(p, next, &g_held) {
		struct held *h = list_entry(p, struct held, link);

		if (h->object != range->object || h->owner != range->owner || h->flock != range->flock ||
		    !overlaps(h, range->start, range->end))
			continue;
		if (h->start < range->start && h->end > range->end && *spare) {
			struct held *right = *spare;

			*spare = NULL;
			*right = *h;
			right->start = range->end + 1;
			list_append(&g_held, &right->link);
			h->end = range->start - 1;
		} else if (h->start < range->start) {
			h->end = range->start - 1;
		} else if (h->end > range->end) {
			h->start = range->end + 1;
		} else {
			list_remove(&h->link);
			kfree(h);
		}
	}
}

/* Neighbours of the same kind become one with a new lock, as F_GETLK tells them. g_lock held. */
static void merge(struct held *fresh)
{
	list_for_each_safe(p, next, &g_held) {
		struct held *h = list_entry(p, struct held, link);

		if (h->object != fresh->object || h->owner != fresh->owner || h->flock != fresh->flock ||
		    h->exclusive != fresh->exclusive || h->end == INT64_MAX || fresh->end == INT64_MAX)
			continue; /* what reaches to the end of all files is left alone */
		if (h->start != fresh->end + 1 && fresh->start != h->end + 1)
			continue;
		fresh->start = MIN(fresh->start, h->start);
		fresh->end = MAX(fresh->end, h->end);
		list_remove(&h->link);
		kfree(h);
	}
}

static const struct held *wanted_by(const void *owner)
{
	list_for_each(p, &g_wanted) {
		const struct held *h = list_entry(p, struct wanted, link)->lock;

		if (h->owner == owner)
			return h;
	}
	return NULL;
}

/* Would who waits for `want` wait for itself in the end? Only of record locks of processes, as Linux. g_lock held. */
static bool is_deadlock(const struct held *want)
{
	const struct held *next = want, *blocker;

	for (int depth = 0; depth < 10 && next && want->pid >= 0; depth++) {
		blocker = find_conflict(next);
		if (!blocker)
			return false;
		if (blocker->owner == want->owner)
			return true;
		next = wanted_by(blocker->owner);
	}
	return false;
}

/* Until a lock went away. g_lock held, and given up on the way. */
static int wait_for(const struct held *want)
{
	struct wanted w = { .lock = want };
	int err;

	if (is_deadlock(want))
		return -EDEADLK;
	list_append(&g_wanted, &w.link);
	mutex_unlock(&g_lock);
	err = thread_sleep(-1);
	mutex_lock(&g_lock);
	list_remove(&w.link);
	return err;
}

static int set_held(const struct held *want, bool unlock, bool wait)
{
	struct held *spare = kmalloc(sizeof *spare), *fresh = unlock ? NULL : kmalloc(sizeof *fresh);
	struct waiter w;
	int err = 0;

	if (!spare || (!unlock && !fresh)) {
		kfree(spare);
		kfree(fresh);
		return -ENOLCK;
	}
	waiter_init_thread(&w, 0);
	waitq_add(&g_freed, &w);
	mutex_lock(&g_lock);
	while (!unlock && !err && find_conflict(want))
		err = wait ? wait_for(want) : -EAGAIN;
	if (!err) {
		cut(want, &spare);
		if (fresh) {
			*fresh = *want;
			merge(fresh);
			list_append(&g_held, &fresh->link);
			fresh = NULL;
		}
	}
	mutex_unlock(&g_lock);
	waitq_remove(&w);
	if (!err)
		waitq_wake(&g_freed, 0);
	kfree(spare);
	kfree(fresh);
	return err;
}

/* Directories keep something else in `data`, and their inodes have names. */
static const void *object_of(const struct file *f)
{
	return f->ops == &memdir_ops ? f->dentry->inode : f->data;
}

int memlock_fcntl(struct file *f, int cmd, void *flock)
{
	bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
	struct flock *lk = flock;
	struct held want = { .object = object_of(f), .owner = ofd ? (void *)f : (void *)current()->process,
			     .pid = ofd ? -1 : current()->process->pid };
	struct held *other;
	int err = lock_make_absolute(f, lk);

	if (err)
		return err;
	want.exclusive = lk->l_type == F_WRLCK;
	want.start = lk->l_start;
	want.end = lk->l_len ? lk->l_start + lk->l_len - 1 : INT64_MAX;
	if (cmd == F_GETLK || cmd == F_OFD_GETLK) {
		mutex_lock(&g_lock);
		other = first_conflict(&want);
		lk->l_type = !other ? F_UNLCK : other->exclusive ? F_WRLCK : F_RDLCK;
		if (other) {
			lk->l_start = other->start;
			lk->l_len = other->end == INT64_MAX ? 0 : other->end - other->start + 1;
			lk->l_pid = other->pid;
		}
		mutex_unlock(&g_lock);
		return 0;
	}
	if (!mode_allows(f, lk->l_type))
		return -EBADF;
	f->kind |= HF_LOCKED;
	return set_held(&want, lk->l_type == F_UNLCK, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
}

int memlock_flock(struct file *f, int operation)
{
	struct held want = { .object = object_of(f), .owner = f, .pid = -1, .flock = true, .end = INT64_MAX };
	int op = operation & ~LOCK_NB;

	if (op != LOCK_SH && op != LOCK_EX && op != LOCK_UN)
		return -EINVAL;
	want.exclusive = op == LOCK_EX;
	f->kind |= HF_LOCKED;
	return set_held(&want, op == LOCK_UN, !(operation & LOCK_NB));
}

static void forget_held(const void *object, const void *owner)
{
	bool freed = false;

	mutex_lock(&g_lock);
	list_for_each_safe(p, next, &g_held) {
		struct held *h = list_entry(p, struct held, link);

		if (h->object == object && h->owner == owner) {
			list_remove(&h->link);
			kfree(h);
			freed = true;
		}
	}
	mutex_unlock(&g_lock);
	if (freed)
		waitq_wake(&g_freed, 0);
}

void memlock_forget(struct file *f)
{
	forget_held(object_of(f), f);
}

/* ---- the end of a descriptor ---- */

void hostlock_on_close(struct file *f)
{
	uint64_t dev, ino;
	struct carrier *c;

	if (f->ops != &hostfile_ops && f->ops != &hostdir_ops) {
		if (!list_empty(&g_held))
			forget_held(object_of(f), current()->process);
		return;
	}
	if (list_empty(&g_carriers) || !identify(f, &dev, &ino))
		return;
	mutex_lock(&g_lock);
	c = find_carrier(dev, ino);
	if (c)
		drop_carrier(c);
	mutex_unlock(&g_lock);
}

void hostlock_forget(struct file *f)
{
	mutex_lock(&g_lock);
	list_for_each_safe(p, next, &g_carriers) {
		struct carrier *c = list_entry(p, struct carrier, link);

		if (c->file == f)
			drop_carrier(c);
	}
	mutex_unlock(&g_lock);
}
