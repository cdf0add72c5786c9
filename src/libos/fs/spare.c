/*
 * Host handles of small files that are opened for reading again and again (a web server's pages, say). An open costs the host
 * four calls, because the monitor looks before it opens; asking whether the name is still the same unchanged file costs one,
 * and then the handle of last time will do: the libOS keeps the offset itself, and a handle with more state than that is
 * not kept. Trusts nothing for longer than one such question.
 */
#include "fs/spare.h"
#include "core/boot.h"
#include "core/hostcall.h"
#include "fs/hostfile.h"
#include <linux/magic.h>

#define SPARES 8u
#define SPARE_SIZE (1u << 20) /* of a file at most, for the host keeps a removed one until the handle goes */
#define PLAIN_FLAGS (O_CLOEXEC | O_LARGEFILE | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY) /* which change nothing when a file is only read */

struct spare {
	const struct mount *mount; /* NULL: unused */
	uint64_t ino;
	int handle;	  /* -1: closed once */
	bool lent;	  /* a file has the handle */
	uint64_t used;	  /* order of use */
	struct statx was; /* the file when the handle was kept */
};

static struct mutex g_lock; /* everything below */
static struct spare g_spare[SPARES];
static uint64_t g_uses;

static bool same_file(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor &&
	       a->stx_mode == b->stx_mode && a->stx_uid == b->stx_uid && a->stx_gid == b->stx_gid && a->stx_size == b->stx_size &&
	       a->stx_ctime.tv_sec == b->stx_ctime.tv_sec && a->stx_ctime.tv_nsec == b->stx_ctime.tv_nsec;
}

static struct spare *find(const struct dentry *d)
{
	for (struct spare *s = g_spare; s < g_spare + SPARES; s++)
		if (s->mount == d->mount && s->ino == d->inode->ino)
			return s;
	return NULL;
}

/* The handle leaves the table: to be closed by the caller, without the lock. */
static int take_out(struct spare *s)
{
	int handle = s->handle;

	*s = (struct spare){ .handle = -1 };
	return handle;
}

bool spare_waits(const struct dentry *d, int flags)
{
	if (!boot_handles_to_spare() || (flags & ~PLAIN_FLAGS))
		return false;
	mutex_lock(&g_lock);
	const struct spare *s = find(d);
	bool waits = s && s->handle >= 0 && !s->lent;
	mutex_unlock(&g_lock);
	return waits;
}

int spare_take(const struct dentry *d, const struct statx *now)
{
	int handle = -1, old = -1;

	mutex_lock(&g_lock);
	struct spare *s = find(d);
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

static struct spare *lent_as(int handle)
{
	for (struct spare *s = g_spare; s < g_spare + SPARES; s++)
		if (s->lent && s->handle == handle)
			return s;
	return NULL;
}

void spare_give(int handle)
{
	mutex_lock(&g_lock);
	lent_as(handle)->lent = false;
	mutex_unlock(&g_lock);
}

/* Makes the least used entry that of a file which was closed for the first time. Returns a handle to close or -1. */
static int note(const struct dentry *d)
{
	struct spare *oldest = NULL;

	for (struct spare *s = g_spare; s < g_spare + SPARES; s++)
		if (!s->lent && (!oldest || s->used < oldest->used))
			oldest = s;
	if (!oldest)
		return -1;
	int handle = oldest->mount ? take_out(oldest) : -1;
	*oldest = (struct spare){ .mount = d->mount, .ino = d->inode->ino, .handle = -1, .used = ++g_uses };
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

	if (hostcall(HC_file_stat, handle, 0, 0, SPARE_MASK, &st) || !S_ISREG(st.stx_mode) || st.stx_size > SPARE_SIZE ||
	    st.stx_ino != d->inode->ino || !tells_at_once(handle))
		return false;
	mutex_lock(&g_lock);
	struct spare *s = find(d);
	bool kept = s && s->handle < 0;
	if (kept) {
		s->handle = handle;
		s->was = st;
	}
	mutex_unlock(&g_lock);
	return kept;
}

bool spare_keep(struct file *f)
{
	const struct dentry *d = f->dentry;
	bool again, plain = !(f->kind & HF_CHANGED) && !(f->flags & ~(uint32_t)PLAIN_FLAGS);
	int old = -1;

	if (f->kind & HF_SPARE) {
		mutex_lock(&g_lock);
		struct spare *s = lent_as(hostfile_handle(f));
		s->lent = false;
		if (!plain)
			take_out(s);
		mutex_unlock(&g_lock);
		return plain;
	}
	if (!boot_handles_to_spare() || !plain || !d || (d->mount->type != BOOT_MOUNT_HOST && d->mount->type != BOOT_MOUNT_OVERLAY))
		return false;
	mutex_lock(&g_lock);
	struct spare *s = find(d);
	again = s && s->handle < 0;
	if (s)
		s->used = ++g_uses;
	else
		old = note(d);
	mutex_unlock(&g_lock);
	handle_close(old);
	return again && keep(d, hostfile_handle(f));
}

bool spare_drop(void)
{
	bool any = false;

	for (struct spare *s = g_spare; s < g_spare + SPARES; s++) {
		mutex_lock(&g_lock);
		int handle = s->lent || !s->mount ? -1 : take_out(s);
		mutex_unlock(&g_lock);
		handle_close(handle);
		any = any || handle >= 0;
	}
	return any;
}
