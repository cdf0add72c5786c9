/*
 * Host handles of small files that are opened for reading again and again (a web server's pages, say). An open costs the host
 * four calls, because the monitor looks before it opens; asking whether the name is still the same unchanged file costs one,
 * and then the handle of last time will do: the libOS keeps the offset itself, and a handle with more state than that is
 * not kept. Trusts nothing for longer than one such question.
 */
#include "fs/handle_cache.h"
#include "core/boot.h"
#include "core/hostcall.h"
#include "fs/hostfile.h"
#include <linux/magic.h>

#define CACHED 8u
#define CACHED_SIZE_MAX (1u << 20) /* of a file at most, for the host keeps a removed one until the handle goes */
#define PLAIN_FLAGS (O_CLOEXEC | O_LARGEFILE | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY) /* which change nothing when a file is only read */

struct cached_handle {
	const struct mount *mount; /* NULL: unused */
	uint64_t ino;
	int handle;	  /* -1: closed once */
	bool lent;	  /* a file has the handle */
	uint64_t used;	  /* order of use */
	struct statx was; /* the file when the handle was kept */
};

static struct mutex g_lock; /* everything below */
static struct cached_handle g_cached[CACHED];
static uint64_t g_uses;

static bool same_file(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor &&
	       a->stx_mode == b->stx_mode && a->stx_uid == b->stx_uid && a->stx_gid == b->stx_gid && a->stx_size == b->stx_size &&
	       a->stx_ctime.tv_sec == b->stx_ctime.tv_sec && a->stx_ctime.tv_nsec == b->stx_ctime.tv_nsec;
}

static struct cached_handle *find(const struct dentry *d)
{
	for (struct cached_handle *s = g_cached; s < g_cached + CACHED; s++)
		if (s->mount == d->mount && s->ino == d->inode->ino)
			return s;
	return NULL;
}

/* The handle leaves the table: to be closed by the caller, without the lock. */
static int take_out(struct cached_handle *s)
{
	int handle = s->handle;

	*s = (struct cached_handle){ .handle = -1 };
	return handle;
}

bool handle_cache_waits(const struct dentry *d, int flags)
{
	if (!boot_handles_to_spare() || (flags & ~PLAIN_FLAGS))
		return false;
	mutex_lock(&g_lock);
	const struct cached_handle *s = find(d);
	bool waits = s && s->handle >= 0 && !s->lent;
	mutex_unlock(&g_lock);
	return waits;
}

int handle_cache_take(const struct dentry *d, const struct statx *now)
{
	int handle = -1, old = -1;

	mutex_lock(&g_lock);
	struct cached_handle *s = find(d);
	if (s && s->handle >= 0 && !s->lent) {
		s->lent = same_file(&s->was, now);
		s->used = ++g_uses;
		handle = s->lent ? s->handle : -1;
		old = s->lent ? -1 : take_out(s);
	}
	mutex_unlock(&g_lock);
	handle_close(old);
	return handle;
}

static struct cached_handle *lent_as(int handle)
{
	for (struct cached_handle *s = g_cached; s < g_cached + CACHED; s++)
		if (s->lent && s->handle == handle)
			return s;
	return NULL;
}

void handle_cache_give(int handle)
{
	mutex_lock(&g_lock);
	lent_as(handle)->lent = false;
	mutex_unlock(&g_lock);
}

/* Makes the least used entry that of a file which was closed for the first time. Returns a handle to close or -1. */
static int note(const struct dentry *d)
{
	struct cached_handle *oldest = NULL;

	for (struct cached_handle *s = g_cached; s < g_cached + CACHED; s++)
		if (!s->lent && (!oldest || s->used < oldest->used))
			oldest = s;
	if (!oldest)
		return -1;
	int handle = oldest->mount ? take_out(oldest) : -1;
	*oldest = (struct cached_handle){ .mount = d->mount, .ino = d->inode->ino, .handle = -1, .used = ++g_uses };
	return handle;
}

/* Where a name's attributes tell of every change at once. */
static bool tells_at_once(int handle)
{
	switch (host_file_system(handle)) {
	case EXT4_SUPER_MAGIC: case XFS_SUPER_MAGIC: case BTRFS_SUPER_MAGIC: case F2FS_SUPER_MAGIC:
	case TMPFS_MAGIC: case OVERLAYFS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

/* A file was closed for the second time: its handle stays. */
static bool keep(const struct dentry *d, int handle)
{
	struct statx st;

	if (hostcall(HC_file_stat, handle, 0, 0, HANDLE_CACHE_MASK, &st) || !S_ISREG(st.stx_mode) || st.stx_size > CACHED_SIZE_MAX ||
	    st.stx_ino != d->inode->ino || !tells_at_once(handle))
		return false;
	mutex_lock(&g_lock);
	struct cached_handle *s = find(d);
	bool kept = s && s->handle < 0;
	if (kept) {
		s->handle = handle;
		s->was = st;
	}
	mutex_unlock(&g_lock);
	return kept;
}

bool handle_cache_keep(struct file *f)
{
	const struct dentry *d = f->dentry;
	bool again, plain = !(f->kind & HF_CHANGED) && !(f->flags & ~(uint32_t)PLAIN_FLAGS);
	int old = -1;

	if (f->kind & HF_CACHED) {
		mutex_lock(&g_lock);
		struct cached_handle *s = lent_as(hostfile_handle(f));
		s->lent = false;
		if (!plain)
			take_out(s);
		mutex_unlock(&g_lock);
		return plain;
	}
	if (!boot_handles_to_spare() || !plain || !d || (d->mount->type != BOOT_MOUNT_HOST && d->mount->type != BOOT_MOUNT_OVERLAY))
		return false;
	mutex_lock(&g_lock);
	struct cached_handle *s = find(d);
	again = s && s->handle < 0;
	if (s)
		s->used = ++g_uses;
	else
		old = note(d);
	mutex_unlock(&g_lock);
	handle_close(old);
	return again && keep(d, hostfile_handle(f));
}

bool handle_cache_drop(void)
{
	bool any = false;

	for (struct cached_handle *s = g_cached; s < g_cached + CACHED; s++) {
		mutex_lock(&g_lock);
		int handle = s->lent || !s->mount ? -1 : take_out(s);
		mutex_unlock(&g_lock);
		handle_close(handle);
		any = any || handle >= 0;
	}
	return any;
}
