/*
 * Host files that are read over and over, as databases larger than their program's own cache are: once a file was read
 * twice over it is mapped, and a read is a copy out of the host's page cache without a host call.
 *
 * The copy holds what the host's read would give, with one exception: a mapping does not say where the file ends. So the
 * first byte of the page behind is looked at after each copy. While that is there, what was copied was the file's; where it is
 * not (the last page, a file that was cut), and where a read fails, the host is asked. Files of which the host's mappings
 * and reads may differ are left alone.
 */
#include "fs/mapped.h"
#include "abi/slot.h"
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "fs/hostfile.h"
#include <linux/magic.h>
#include <linux/mman.h>

#define MAPPED 4u
#define WINDOW ((SLOT_LIBOS_END - SLOT_LIBOS_FILES) / MAPPED) /* no larger files */

struct mapped {
	uint64_t span; /* bytes of the window in use, 0: none; g_lock */
	uint64_t size; /* of the file when it was mapped, 0 after a fault; atomic */
};

static struct mutex g_lock;
static struct mapped g_mapped[MAPPED];

static uint64_t window_of(const struct mapped *m)
{
	uint64_t slot = (uint64_t)g_mapped & SLOT_MASK;

	return slot + SLOT_LIBOS_FILES + (uint64_t)(m - g_mapped) * WINDOW;
}

ssize_t mapped_copy(struct file *f, struct mapped *m, void *to, size_t size, off_t at)
{
	uint64_t window = window_of(m), start = (uint64_t)at, end, behind;
	uint8_t there;

	if (!size || __builtin_add_overflow(start, size, &end) || end > WINDOW)
		return -1;
	behind = ALIGN_UP(end, PAGE_SIZE);
	if (behind >= __atomic_load_n(&m->size, __ATOMIC_ACQUIRE))
		return -1;
	if (likely(!copy_to_buffer(to, (void *)(window + start), size) && !copy_from_user(&there, (void *)(window + behind), 1)))
		return (ssize_t)size;
	/* The file was cut, cannot be read, or `to` is nowhere. The host says which; a file that goes on being read is mapped anew. */
	__atomic_store_n(&m->size, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&f->patience, MAPPED_PATIENCE, __ATOMIC_RELAXED);
	return -1;
}

/* Do reads and mappings show the same at any time, and is a read no more atomic than a copy? */
static bool coherent(int handle)
{
	switch (host_file_system(handle)) {
	case EXT4_SUPER_MAGIC: case BTRFS_SUPER_MAGIC: case F2FS_SUPER_MAGIC: case TMPFS_MAGIC:
		return true;
	default: /* not XFS, whose reads are atomic, nor overlayfs, which changes files under what maps them */
		return false;
	}
}

/* g_lock held. If the file has grown since, the same place again: who reads there does not notice. */
static void map(struct file *f, uint64_t size)
{
	struct mapped *m = f->mapped;
	uint64_t span = ALIGN_UP(size, PAGE_SIZE);

	for (unsigned i = 0; !m && i < MAPPED; i++)
		m = g_mapped[i].span ? NULL : &g_mapped[i];
	if (!m || m->size == size || hostcall(HC_mem_map_file, window_of(m), span, PROT_READ, HC_MEM_SHARED, hostfile_handle(f), 0))
		return;
	m->span = MAX(m->span, span);
	__atomic_store_n(&m->size, size, __ATOMIC_RELEASE);
	__atomic_store_n(&f->mapped, m, __ATOMIC_RELEASE);
}

void mapped_consider(struct file *f)
{
	struct statx st;

	mutex_lock(&g_lock);
	if (f->patience < 0) { /* or another thread was here */
		int64_t next = INT64_MAX;

		if (!hostcall(HC_file_stat, hostfile_handle(f), 0, 0, STATX_TYPE | STATX_SIZE, &st) && S_ISREG(st.stx_mode) &&
		    st.stx_size <= WINDOW && coherent(hostfile_handle(f))) {
			if (f->weighed && st.stx_size > PAGE_SIZE)
				map(f, st.stx_size);
			f->weighed = !f->weighed;
			next = (int64_t)MAX(2 * st.stx_size, (uint64_t)MAPPED_PATIENCE);
		}
		__atomic_store_n(&f->patience, next, __ATOMIC_RELAXED);
	}
	mutex_unlock(&g_lock);
}

void mapped_release(struct file *f)
{
	struct mapped *m = f->mapped;

	if (!m)
		return;
	m->size = 0;
	mutex_lock(&g_lock);
	if (!hostcall(HC_mem_release, window_of(m), m->span))
		m->span = 0;
	mutex_unlock(&g_lock);
	f->mapped = NULL;
}
