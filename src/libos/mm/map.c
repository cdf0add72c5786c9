/*
 * mmap and munmap (mm/mm.h): checks as Linux makes them, the choice of addresses, and the new mapping.
 *
 * Images of code (private read-only mappings of ELF files: the first mmap of a library by ld.so) go to the image windows
 * of abi/slot.h, where translated code can have stubs; everything else goes downwards from mmap_top. The order of a
 * replacing mmap is: old mappings leave the map, the host replaces the memory, the new mapping enters the map; if the host
 * refuses, the range is empty, as Linux may leave it too.
 */
#include "core/hostcall.h"
#include "core/log.h"
#include "fs/memfs.h"
#include "fs/vfs.h"
#include "mm/family.h"
#include "served/served.h"
#include "thread/thread.h"

#include <linux/mman.h>
#include <linux/resource.h>

/* The part of the low window that images may fill: above it are their stubs. */
static bool in_low_window(const struct mm *mm, uint64_t addr, uint64_t size)
{
	return mm->low_window && addr >= SLOT_LOW_BASE && addr < SLOT_STUB_DELTA && size <= SLOT_STUB_DELTA - addr;
}

int mm_take_low_window(void)
{
	struct mm *mm = mm_current();
	long ret;

	mutex_lock(&mm->lock);
	ret = mm->low_window ? 0 : hostcall(HC_mem_low_window);
	if (!ret)
		mm->low_window = true;
	mutex_unlock(&mm->lock);
	return (int)ret;
}

bool range_valid(const struct mm *mm, uint64_t addr, uint64_t size)
{
	uint64_t low = mm->base + SLOT_IMAGE_BASE, end = mm->base + SLOT_PROGRAM_END;

	if (in_low_window(mm, addr, size))
		return true;
	if (addr < low || addr >= end || size > end - addr)
		return false;
	/* Stub windows belong to the translated code. */
	return addr >= mm->base + SLOT_IMAGE_END || in_image_window(mm, addr, size);
}

bool in_image_window(const struct mm *mm, uint64_t addr, uint64_t size)
{
	uint64_t at = addr - mm->base - SLOT_IMAGE_BASE;

	if (in_low_window(mm, addr, size))
		return true;
	return addr >= mm->base + SLOT_IMAGE_BASE && addr < mm->base + SLOT_IMAGE_END &&
	       at % (2 * SLOT_STUB_DELTA) < SLOT_STUB_DELTA && size <= SLOT_STUB_DELTA - at % (2 * SLOT_STUB_DELTA);
}

uint64_t choose_address(struct mm *mm, uint64_t size, uint64_t align)
{
	return vma_gap(mm, mm->base + SLOT_PROGRAM_BASE, mm->mmap_top, size, align);
}

static bool is_elf(struct file *f)
{
	uint32_t magic = 0;

	return file_pread(f, &magic, sizeof(magic), 0) == sizeof(magic) && magic == 0x464c457f;
}

/* Would ld.so (or a tracer of it) be mapping a library? */
static bool is_image(int prot, int flags, struct file *f, off_t offset)
{
	return f && !(prot & PROT_WRITE) && (flags & MAP_TYPE) == MAP_PRIVATE && (offset == 0 || (prot & PROT_EXEC)) &&
	       is_elf(f);
}

/* What executes is a copy of what was written: it cannot be shared. */
int refuse_shared(const char *call)
{
	static bool logged;

	if (!__atomic_exchange_n(&logged, true, __ATOMIC_RELAXED))
		log_text("%s: shared memory that is writable and executable at once is refused (EACCES)", call);
	return -EACCES;
}

#ifndef MAP_ABOVE4G
#define MAP_ABOVE4G 0x80
#endif
/* What MAP_SHARED_VALIDATE knows: the flags that there were before it. */
#define FLAGS_OF_OLD                                                                                                        \
	(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_UNINITIALIZED | MAP_GROWSDOWN | MAP_LOCKED | \
	 MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_32BIT | MAP_ABOVE4G | MAP_HUGE_2MB | MAP_HUGE_1GB)

static int check_flags(uint64_t addr, int prot, int flags, struct file *f)
{
	int type = flags & MAP_TYPE;
	int access = f ? (int)(f->flags & O_ACCMODE) : 0;

	if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (type == MAP_SHARED_VALIDATE && (!f || (flags & ~FLAGS_OF_OLD)))
		return f ? -EOPNOTSUPP : -EINVAL;
	if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) && addr % PAGE_SIZE)
		return -EINVAL;
	if (flags & MAP_HUGETLB)
		return -ENOMEM;
	if ((flags & MAP_GROWSDOWN) && (f || type != MAP_PRIVATE))
		return -EINVAL;
	if (f && (f->flags & O_PATH))
		return -EBADF;
	if (f && access == O_WRONLY)
		return -EACCES;
	if (f && type != MAP_PRIVATE && (prot & PROT_WRITE) && access != O_RDWR)
		return -EACCES;
	if (f && !f->ops->map_handle)
		return -ENODEV;
	/* Code is a copy that was checked: it could not follow what is written to the file through another mapping. */
	if (f && type != MAP_PRIVATE && (prot & PROT_EXEC) && access == O_RDWR)
		return -EACCES;
	return is_wx((uint32_t)prot) && type != MAP_PRIVATE ? refuse_shared("mmap") : 0;
}

bool over_limit(uint64_t more)
{
	uint64_t limit = process_limit(current()->process, RLIMIT_AS), now = program_current()->total;

	return now > limit || more > limit - now;
}

/* MAP_32BIT: in the low window, which is taken for it. Who serves the cVM's system calls would have to be given it, too. */
static long place_low(struct mm *mm, uint64_t size)
{
	static bool logged;
	uint64_t found;

	if (!mm->low_window && !g_served && hostcall(HC_mem_low_window) == 0)
		mm->low_window = true;
	if (!mm->low_window && !__atomic_exchange_n(&logged, true, __ATOMIC_RELAXED))
		log_text("mmap: MAP_32BIT: %s (ENOMEM)", g_served ? "not where another cVM serves the system calls" :
							  "the addresses below 2 GiB belong to another cVM of this Intravisor");
	found = mm->low_window ? vma_gap(mm, SLOT_LOW_BASE, SLOT_STUB_DELTA, size, PAGE_SIZE) : 0;
	return found ? (long)found : -ENOMEM;
}

/* Where the mapping goes, or negative errno. */
static long place(struct mm *mm, uint64_t addr, uint64_t size, int flags, bool image)
{
	uint64_t found = 0;

	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (!range_valid(mm, addr, size))
			return -ENOMEM;
		if ((flags & MAP_FIXED_NOREPLACE) && !vma_range_free(mm, addr, addr + size))
			return -EEXIST;
		return vma_foreign(mm, addr, addr + size) ? -ENOMEM : (long)addr;
	}
	addr = ALIGN_DOWN(addr, PAGE_SIZE);
	if (addr && range_valid(mm, addr, size) && vma_range_free(mm, addr, addr + size) &&
	    (!image || in_image_window(mm, addr, size)) && (!(flags & MAP_32BIT) || in_low_window(mm, addr, size)))
		return (long)addr;
	if (flags & MAP_32BIT)
		return place_low(mm, size);
	for (unsigned w = 0; image && w < SLOT_IMAGE_WINDOWS && !found; w++) {
		uint64_t low = mm->base + SLOT_IMAGE_BASE + w * 2 * SLOT_STUB_DELTA;

		found = vma_gap(mm, low, low + SLOT_STUB_DELTA - mm->image_skip, size, PAGE_SIZE);
		if (!found)
			found = vma_gap(mm, low, low + SLOT_STUB_DELTA, size, PAGE_SIZE);
	}
	if (!found)
		found = choose_address(mm, size, PAGE_SIZE);
	return found ? (long)found : -ENOMEM;
}

static struct vma *vma_make(struct mm *mm, uint64_t addr, uint64_t size, int prot, int flags, struct file *f,
			    off_t offset)
{
	struct vma *v = vma_take(mm);

	v->start = addr;
	v->end = addr + size;
	v->prot = (uint32_t)prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
	if ((flags & MAP_TYPE) != MAP_PRIVATE)
		v->flags |= VMA_SHARED;
	if (flags & MAP_GROWSDOWN)
		v->flags |= VMA_GROWSDOWN;
	if ((flags & MAP_LOCKED) || program_current()->lock_future)
		v->flags |= VMA_LOCKED;
	if (f) {
		file_get(f);
		v->file = f;
		v->offset = offset;
		if ((v->flags & VMA_SHARED) && ((f->flags & O_ACCMODE) != O_RDWR || memfile_write_sealed(f)))
			v->flags |= VMA_NO_WRITE;
		if (!(v->flags & VMA_SHARED) && (prot & PROT_WRITE))
			v->flags |= VMA_DIRTY;
	}
	return v;
}

/* Whether any host memory was in [start, end) before vma_clear. */
static bool any_backed(struct mm *mm, uint64_t start, uint64_t end)
{
	for (struct vma *v = vma_find(mm, start); v && v->start < end; v = vma_next(mm, v))
		if (v->flags & VMA_BACKED)
			return true;
	return false;
}

static long map_locked(struct mm *mm, uint64_t addr, uint64_t size, int prot, int flags, struct file *f, off_t offset,
		       bool image)
{
	long at = place(mm, addr, size, flags, image);
	bool old = false;
	struct vma *v;
	int ret;

	if (at < 0)
		return at;
	addr = (uint64_t)at;
	if (mm->count >= VMA_COUNT_MAX || over_limit(size))
		return -ENOMEM;
	if (((flags & MAP_LOCKED) || program_current()->lock_future) && size > lockable(program_current()))
		return -EAGAIN;
	ret = vma_reserve(mm, 3);
	if (ret)
		return ret;
	if ((flags & MAP_FIXED) && !(flags & MAP_FIXED_NOREPLACE)) {
		old = any_backed(mm, addr, addr + size);
		vma_clear(mm, addr, addr + size);
	}
	v = vma_make(mm, addr, size, prot, flags, f, offset);
	/* A reservation has no memory, and code ends with its file: nothing old may show there. */
	if (old && (!v->prot || (f && (prot & PROT_EXEC))))
		ret = backing_release(addr, addr + size);
	if (!ret && v->prot) {
		ret = backing_map(v, v->start, v->end, v->prot);
		v->flags |= VMA_BACKED;
		if (ret && old)
			backing_release(addr, addr + size);
	} else if (!ret && f && !f->ops->map_handle) {
		ret = -ENODEV;
	}
	if (ret) {
		vma_free(mm, v);
		return ret;
	}
	vma_insert(mm, v);
	vma_merge(mm, v);
	return at;
}

long mm_map(uint64_t addr, uint64_t size, int prot, int flags, struct file *f, off_t offset)
{
	struct mm *mm = mm_current();
	bool image = false;
	long ret;

	if (size == 0 || (offset & (off_t)(PAGE_SIZE - 1)))
		return -EINVAL;
	if (size > SLOT_SIZE)
		return -ENOMEM;
	size = ALIGN_UP(size, PAGE_SIZE);
	if (f && (offset < 0 || offset > INT64_MAX - (off_t)size))
		return -EOVERFLOW;
	ret = check_flags(addr, prot, flags, f);
	if (ret)
		return ret;
	if (!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		image = is_image(prot, flags, f, offset);
	mutex_lock(&mm->lock);
	if ((flags & MAP_FIXED) && !f && (flags & MAP_TYPE) == MAP_PRIVATE)
		family_use(mm, addr, addr + size);
	ret = map_locked(mm, addr, size, prot, flags, f, offset, image);
	if (flags & MAP_FIXED)
		family_keep_own(mm, addr, addr + size);
	mutex_unlock(&mm->lock);
	return ret;
}

long mm_place_image(uint64_t span, uint64_t align)
{
	struct mm *mm = mm_current();
	uint64_t found = 0;
	long ret = -ENOMEM;

	span = ALIGN_UP(span, PAGE_SIZE);
	mutex_lock(&mm->lock);
	for (unsigned w = 0; w < SLOT_IMAGE_WINDOWS && !found; w++) {
		uint64_t low = mm->base + SLOT_IMAGE_BASE + w * 2 * SLOT_STUB_DELTA;
		uint64_t high = low + SLOT_STUB_DELTA;

		found = vma_gap(mm, low, high - mm->image_skip, span, align);
		if (!found)
			found = vma_gap(mm, low, high, span, align);
	}
	/* Otherwise what another program maps meanwhile could lie there. */
	if (found)
		ret = map_locked(mm, found, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, false);
	mutex_unlock(&mm->lock);
	return ret;
}

int mm_reserve_fixed(uint64_t start, uint64_t end)
{
	struct mm *mm = mm_current();
	long ret = -EBUSY;

	mutex_lock(&mm->lock);
	if (vma_range_free(mm, start, end))
		ret = map_locked(mm, start, end - start, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, false);
	mutex_unlock(&mm->lock);
	return ret < 0 ? (int)ret : 0;
}

/* The part [start, end) of a reservation, cut out of it; NULL if no reservation has it all. Takes up to two spares. */
static struct vma *take_reserved(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = vma_find(mm, start);

	if (!v || v->start > start || v->end < end || !vma_is_own(v) || v->file || v->prot || v->flags & ~VMA_LOCKED)
		return NULL;
	if (v->start < start)
		v = vma_split(mm, v, start);
	if (v->end > end)
		vma_split(mm, v, end);
	return v;
}

long mm_map_capability(long hostcall_, const uint64_t *args, uint64_t addr, uint64_t size)
{
	struct mm *mm = mm_current();
	struct vma *v;
	long ret;

	if ((addr | size) & (PAGE_SIZE - 1) || !size || size > SLOT_SIZE)
		return -EINVAL;
	mutex_lock(&mm->lock);
	ret = vma_reserve(mm, 2);
	v = ret ? NULL : take_reserved(mm, addr, addr + size);
	if (v) {
		ret = hostcall(hostcall_, args[0], args[1], args[2], args[3], args[4]);
		if (!ret)
			v->flags |= VMA_BACKED | VMA_SHARED;
		vma_merge(mm, v);
	} else if (!ret) {
		ret = -EINVAL;
	}
	mutex_unlock(&mm->lock);
	return ret;
}

/* [start, end) has nothing of another program. */
static int unmap_range(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = vma_find(mm, start);
	uint64_t low = end, high = start;
	int ret;

	if (!v || v->start >= end)
		return 0;
	ret = vma_reserve(mm, 2);
	if (ret)
		return ret;
	/* One call for everything between the first and the last piece of host memory. */
	for (; v && v->start < end; v = vma_next(mm, v)) {
		if (!(v->flags & VMA_BACKED))
			continue;
		low = MIN(low, MAX(v->start, start));
		high = MAX(high, MIN(v->end, end));
	}
	if (low < high) {
		ret = backing_release(low, high);
		if (ret)
			return ret;
	}
	vma_clear(mm, start, end);
	return 0;
}

int unmap_locked(struct mm *mm, uint64_t start, uint64_t end)
{
	int ret = 0;

	while (!ret && start < end) {
		struct vma *other = vma_foreign(mm, start, end);
		uint64_t stop = other ? MAX(other->start, start) : end;

		ret = unmap_range(mm, start, stop);
		start = other ? other->end : end;
	}
	return ret;
}

/* The first mapping at or above v that p has, or NULL. */
static struct vma *next_of(struct mm *mm, struct vma *v, const struct program *p)
{
	while (v && v->program != p)
		v = vma_next(mm, v);
	return v;
}

void unmap_program(struct mm *mm, const struct program *p)
{
	struct vma *v = next_of(mm, vma_find(mm, 0), p), *last;

	while (v) {
		uint64_t end;

		for (last = v; vma_next(mm, last) && vma_next(mm, last)->start == last->end && vma_next(mm, last)->program == p;)
			last = vma_next(mm, last);
		end = last->end;
		if (unmap_range(mm, v->start, end)) {
			log_text("memory of an ended program at %lx could not be given back", v->start);
			vma_clear(mm, v->start, end);
		}
		v = next_of(mm, vma_find(mm, end), p);
	}
}

/* The part of [addr, end) up to the next border between image and stub windows. */
static uint64_t window_end(const struct mm *mm, uint64_t addr, uint64_t end)
{
	uint64_t border = addr + SLOT_STUB_DELTA - (addr - mm->base - SLOT_IMAGE_BASE) % SLOT_STUB_DELTA;

	return addr >= mm->base + SLOT_IMAGE_END || addr < SLOT_LOW_END ? end : MIN(end, border);
}

int mm_unmap(uint64_t addr, uint64_t size)
{
	struct mm *mm = mm_current();
	uint64_t end, part;
	int ret = 0;

	if (addr % PAGE_SIZE || size == 0 || size > SLOT_SIZE)
		return -EINVAL;
	size = ALIGN_UP(size, PAGE_SIZE);
	if (!in_low_window(mm, addr, size) &&
	    (addr < mm->base + SLOT_IMAGE_BASE || addr + size > mm->base + SLOT_SIZE || addr + size < addr))
		return -EINVAL;
	end = addr + size;
	mutex_lock(&mm->lock);
	for (uint64_t at = addr; !ret && at < end; at = part) {
		part = window_end(mm, at, end);
		ret = unmap_locked(mm, at, part);
	}
	family_keep_own(mm, addr, end);
	mutex_unlock(&mm->lock);
	return ret;
}

/* Is v what p mapped of such a file from addr on? */
static bool shows_object(const struct vma *v, const struct program *p, uint64_t addr, const void *object)
{
	return v->file && v->file->data == object && v->start - addr == (uint64_t)v->offset && vma_is_of(v, p);
}

bool mm_shows_object(const struct program *p, uint64_t addr, uint64_t size, const void *object)
{
	struct mm *mm = p->mm;
	bool found = false;

	mutex_lock(&mm->lock);
	for (struct vma *v = vma_find(mm, addr); !found && v && v->start < addr + size; v = vma_next(mm, v))
		found = shows_object(v, p, addr, object);
	mutex_unlock(&mm->lock);
	return found;
}

int mm_unmap_object(uint64_t addr, uint64_t size, const void *object)
{
	struct mm *mm = mm_current();
	uint64_t at = addr, end = addr + size;
	struct vma *v;
	int ret = 0;

	mutex_lock(&mm->lock);
	while (!ret && at < end && (v = vma_find(mm, at)) && v->start < end) {
		uint64_t start = v->start;

		at = v->end;
		if (shows_object(v, program_current(), addr, object))
			ret = unmap_locked(mm, start, at);
	}
	family_keep_own(mm, addr, end);
	mutex_unlock(&mm->lock);
	return ret;
}
