/*
 * Contents of regular files in memory. Small files are an array of pages of the libOS (a read is a copy without a
 * hostcall, holes cost nothing); a file that grows beyond SMALL_MAX, or is mapped, moves into a host memory object of
 * its own, so that mappings, reads and writes see the same bytes. All bytes count against the boot information's
 * tmpfs_max: -ENOSPC. Program buffers may be bad anywhere: -EFAULT, or a short count.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/memfs.h"
#include <linux/falloc.h>
#include <linux/fcntl.h>

#define SMALL_MAX (1ull << 20)
#define GROW_MAX (32ull << 20) /* a memory object grows by a quarter, at most by this */

static uint64_t g_used, g_limit = 64ull << 20;

void mem_set_limit(uint64_t bytes)
{
	g_limit = bytes;
}

void mem_usage(uint64_t *used, uint64_t *limit)
{
	*used = __atomic_load_n(&g_used, __ATOMIC_RELAXED);
	*limit = g_limit;
}

static int charge(uint64_t bytes)
{
	if (__atomic_add_fetch(&g_used, bytes, __ATOMIC_RELAXED) <= g_limit)
		return 0;
	__atomic_sub_fetch(&g_used, bytes, __ATOMIC_RELAXED);
	return -ENOSPC;
}

static void uncharge(uint64_t bytes)
{
	__atomic_sub_fetch(&g_used, bytes, __ATOMIC_RELAXED);
}

static void free_page(struct mem_inode *inode, uint64_t i)
{
	if (i >= inode->page_slots || !inode->page[i])
		return;
	kpages_free(inode->page[i], 1);
	inode->page[i] = NULL;
	inode->pages_used--;
	uncharge(PAGE_SIZE);
}

static int need_slots(struct mem_inode *inode, uint64_t count)
{
	uint32_t slots = MAX(inode->page_slots, 4u);
	uint8_t **page;

	if (count <= inode->page_slots)
		return 0;
	while (slots < count)
		slots *= 2;
	page = krealloc(inode->page, slots * sizeof *page);
	if (!page)
		return -ENOSPC;
	memset(page + inode->page_slots, 0, (slots - inode->page_slots) * sizeof *page);
	inode->page = page;
	inode->page_slots = slots;
	return 0;
}

static uint8_t *need_page(struct mem_inode *inode, uint64_t i)
{
	if (need_slots(inode, i + 1))
		return NULL;
	if (!inode->page[i]) {
		if (charge(PAGE_SIZE))
			return NULL;
		inode->page[i] = kpages_alloc(1);
		if (!inode->page[i]) {
			uncharge(PAGE_SIZE);
			return NULL;
		}
		inode->pages_used++;
	}
	return inode->page[i];
}

/* The memory object holds at least `size` bytes. */
static int need_object(struct mem_inode *inode, uint64_t size)
{
	uint64_t want = ALIGN_UP(size, PAGE_SIZE), roomy;
	long err;

	if (want <= inode->memobj_size)
		return 0;
	roomy = ALIGN_UP(inode->memobj_size + MIN(inode->memobj_size / 4, GROW_MAX), PAGE_SIZE);
	for (want = MAX(want, roomy);; want = ALIGN_UP(size, PAGE_SIZE)) {
		uint64_t more = want - inode->memobj_size;

		err = charge(more);
		if (!err) {
			err = hostcall(HC_file_truncate, inode->memobj, want);
			if (!err)
				break;
			uncharge(more);
		}
		if (want == ALIGN_UP(size, PAGE_SIZE))
			return -ENOSPC;
	}
	inode->memobj_size = want;
	return 0;
}

int mem_to_object(struct mem_inode *inode, uint64_t size)
{
	uint64_t bytes = ALIGN_UP(MAX(size, 1ull), PAGE_SIZE);
	long h, n = 0;

	if (inode->memobj >= 0)
		return need_object(inode, size);
	if (charge(bytes))
		return -ENOSPC;
	h = hostcall(HC_memobj_create, bytes);
	if (h < 0) {
		uncharge(bytes);
		return h == -ENOMEM ? -ENOSPC : (int)h;
	}
	for (uint32_t i = 0; i < inode->page_slots && n >= 0; i++)
		do
			n = inode->page[i] ? hostcall(HC_file_pwrite, h, inode->page[i], PAGE_SIZE, i * PAGE_SIZE) : 0;
		while (n == -EINTR);
	if (n < 0) {
		hostcall(HC_file_close, h);
		uncharge(bytes);
		return (int)n;
	}
	for (uint32_t i = 0; i < inode->page_slots; i++)
		free_page(inode, i);
	kfree(inode->page);
	inode->page = NULL;
	inode->page_slots = 0;
	inode->memobj = (int)h;
	inode->memobj_size = bytes;
	return 0;
}

/* A kick may come before it begins; nothing else interrupts it. */
static long object_transfer(long nr, const struct mem_inode *inode, const void *user, size_t size, off_t offset)
{
	long n;

	do
		n = hostcall(nr, inode->memobj, user, size, offset);
	while (unlikely(n == -EINTR));
	return n;
}

static ssize_t read_piece(struct mem_inode *inode, uint8_t *user, size_t size, off_t offset)
{
	size_t done = 0;

	if (inode->memobj >= 0) {
		long n = 0;

		if ((uint64_t)offset < inode->memobj_size)
			n = object_transfer(HC_file_pread, inode, user, MIN(size, inode->memobj_size - (uint64_t)offset), offset);
		if (n < 0)
			return n;
		if ((size_t)n < size && (uint64_t)(offset + n) >= inode->memobj_size && zero_buffer(user + n, size - (size_t)n))
			return n ? n : -EFAULT;
		return (ssize_t)((uint64_t)(offset + n) >= inode->memobj_size ? size : (size_t)n);
	}
	while (done < size) {
		uint64_t i = ((uint64_t)offset + done) / PAGE_SIZE, in = ((uint64_t)offset + done) % PAGE_SIZE;
		size_t part = MIN(size - done, PAGE_SIZE - in);
		int err;

		if (i < inode->page_slots && inode->page[i])
			err = copy_to_buffer(user + done, inode->page[i] + in, part);
		else
			err = zero_buffer(user + done, part);
		if (err)
			return done ? (ssize_t)done : err;
		done += part;
	}
	return (ssize_t)done;
}

ssize_t mem_read(struct mem_inode *inode, const struct iovec *iov, unsigned count, off_t offset)
{
	ssize_t done = 0;

	for (unsigned i = 0; i < count && offset < inode->size; i++) {
		size_t part = MIN(iov[i].iov_len, (size_t)(inode->size - offset));
		ssize_t n = part ? read_piece(inode, iov[i].iov_base, part, offset) : 0;

		if (n < 0)
			return done ? done : n;
		done += n;
		offset += n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return done;
}

static ssize_t write_piece(struct mem_inode *inode, const uint8_t *user, size_t size, off_t offset)
{
	size_t done = 0;

	if (inode->memobj < 0 && (uint64_t)offset + size > SMALL_MAX) {
		int err = mem_to_object(inode, (uint64_t)MAX(inode->size, (off_t)SMALL_MAX));

		if (err)
			return err;
	}
	if (inode->memobj >= 0) {
		int err = need_object(inode, (uint64_t)offset + size);

		return err ? err : object_transfer(HC_file_pwrite, inode, user, size, offset);
	}
	while (done < size) {
		uint64_t i = ((uint64_t)offset + done) / PAGE_SIZE, in = ((uint64_t)offset + done) % PAGE_SIZE;
		size_t part = MIN(size - done, PAGE_SIZE - in);
		uint8_t *page = need_page(inode, i);
		int err = page ? copy_from_buffer(page + in, user + done, part) : -ENOSPC;

		if (err)
			return done ? (ssize_t)done : err;
		done += part;
	}
	return (ssize_t)done;
}

ssize_t mem_write(struct mem_inode *inode, const struct iovec *iov, unsigned count, off_t offset)
{
	ssize_t done = 0;

	for (unsigned i = 0; i < count; i++) {
		off_t end;
		ssize_t n;

		if (!iov[i].iov_len)
			continue;
		if (__builtin_add_overflow(offset, (off_t)iov[i].iov_len, &end))
			return done ? done : -EFBIG;
		n = write_piece(inode, iov[i].iov_base, iov[i].iov_len, offset);
		if (n < 0)
			return done ? done : n;
		done += n;
		offset += n;
		inode->size = MAX(inode->size, offset);
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return done;
}

/* Zero [from, to) of a page that exists. */
static void zero_part(struct mem_inode *inode, uint64_t from, uint64_t to)
{
	uint64_t i = from / PAGE_SIZE;

	if (from < to && i < inode->page_slots && inode->page[i])
		memset(inode->page[i] + from % PAGE_SIZE, 0, to - from);
}

static int shrink_object(struct mem_inode *inode, uint64_t size)
{
	uint64_t keep = ALIGN_UP(MAX(size, 1ull), PAGE_SIZE);
	long err = 0;

	if (size >= inode->memobj_size)
		return 0;
	/* Cutting at the byte zeroes the rest of the last page, also in mappings. */
	err = hostcall(HC_file_truncate, inode->memobj, size);
	if (!err && keep != size)
		err = hostcall(HC_file_truncate, inode->memobj, keep);
	if (err)
		return (int)err;
	uncharge(inode->memobj_size - keep);
	inode->memobj_size = keep;
	return 0;
}

int mem_truncate(struct mem_inode *inode, off_t size)
{
	int err = 0;

	if (size < 0)
		return -EINVAL;
	if (((inode->seals & F_SEAL_SHRINK) && size < inode->size) || ((inode->seals & F_SEAL_GROW) && size > inode->size))
		return -EPERM;
	if (size < inode->size) {
		if (inode->memobj >= 0) {
			err = shrink_object(inode, (uint64_t)size);
		} else {
			uint64_t keep = ALIGN_UP((uint64_t)size, PAGE_SIZE);

			zero_part(inode, (uint64_t)size, keep);
			for (uint64_t i = keep / PAGE_SIZE; i < inode->page_slots; i++)
				free_page(inode, i);
		}
	} else if (inode->mapped) {
		err = need_object(inode, (uint64_t)size);
	}
	if (!err)
		inode->size = size;
	return err;
}

static void punch_pages(struct mem_inode *inode, uint64_t from, uint64_t to)
{
	uint64_t first = ALIGN_UP(from, PAGE_SIZE), last = ALIGN_DOWN(to, PAGE_SIZE);

	if (first > last) {
		zero_part(inode, from, to);
		return;
	}
	zero_part(inode, from, first);
	zero_part(inode, last, to);
	for (uint64_t i = first / PAGE_SIZE; i < MIN(last / PAGE_SIZE, inode->page_slots); i++)
		free_page(inode, i);
}

int mem_allocate(struct mem_inode *inode, int mode, off_t offset, off_t size)
{
	off_t end = offset + size;
	int err = 0;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) && (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return -EPERM;
	if (!(mode & FALLOC_FL_PUNCH_HOLE) && (inode->seals & F_SEAL_GROW) && end > inode->size)
		return -EPERM;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
		if (inode->memobj < 0)
			punch_pages(inode, (uint64_t)offset, (uint64_t)end);
		else if ((uint64_t)offset < inode->memobj_size)
			err = (int)hostcall(HC_file_allocate, inode->memobj,
					    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
					    MIN((uint64_t)end, inode->memobj_size) - (uint64_t)offset);
		if (err || (mode & FALLOC_FL_PUNCH_HOLE))
			return err;
	}
	if (inode->memobj < 0 && (uint64_t)end > SMALL_MAX)
		err = mem_to_object(inode, (uint64_t)end);
	else if (inode->memobj >= 0)
		err = need_object(inode, (uint64_t)end);
	else
		for (uint64_t i = (uint64_t)offset / PAGE_SIZE; i * PAGE_SIZE < (uint64_t)end && !err; i++)
			err = need_page(inode, i) ? 0 : -ENOSPC;
	if (!err && !(mode & FALLOC_FL_KEEP_SIZE))
		inode->size = MAX(inode->size, end);
	return err;
}

off_t mem_seek_data(struct mem_inode *inode, off_t offset, bool hole)
{
	if (offset < 0 || offset >= inode->size)
		return -ENXIO;
	if (inode->memobj >= 0) {
		long at = (uint64_t)offset >= inode->memobj_size
				  ? (hole ? offset : -ENXIO)
				  : hostcall(HC_file_seek, inode->memobj, offset, hole ? SEEK_HOLE : SEEK_DATA);

		if (at == -ENXIO || (at >= inode->size && !hole))
			return -ENXIO;
		return MIN(at, inode->size);
	}
	for (uint64_t i = (uint64_t)offset / PAGE_SIZE; i * PAGE_SIZE < (uint64_t)inode->size; i++)
		if ((i < inode->page_slots && inode->page[i]) != hole)
			return MAX(offset, (off_t)(i * PAGE_SIZE));
	return hole ? inode->size : -ENXIO;
}

uint64_t mem_blocks(const struct mem_inode *inode)
{
	struct statx st;

	if (inode->memobj >= 0)
		return hostcall(HC_file_stat, inode->memobj, 0, 0, STATX_BLOCKS, &st) ? 0 : st.stx_blocks;
	return inode->pages_used * (PAGE_SIZE / 512);
}

void mem_drop(struct mem_inode *inode)
{
	for (uint32_t i = 0; i < inode->page_slots; i++)
		free_page(inode, i);
	kfree(inode->page);
	inode->page = NULL;
	inode->page_slots = 0;
	if (inode->memobj >= 0) {
		hostcall(HC_file_close, inode->memobj);
		uncharge(inode->memobj_size);
	}
	inode->memobj = -1;
	inode->memobj_size = 0;
}
