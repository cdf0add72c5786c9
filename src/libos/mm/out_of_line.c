/*
 * Code of a JIT that may not execute where it is, for its page holds a forbidden sequence (by chance, in a constant or a distance): a
 * translation of the page runs elsewhere (abi/out_of_line.h). The page itself can be read meanwhile, and a write to it ends the
 * translation; who executes something on the page faults and goes on in the translation, and what calls and signal handlers see of
 * it are the addresses on the page. All under mm->lock.
 *
 * A translation that has ended stays for a while, since threads may be in it: as on a processor, they see the change when they
 * leave it.
 */
#include "abi/out_of_line.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "mm/vma.h"

#define REACH (1ull << 30) /* as far from the page, so that what the page reaches within 2 GiB is within reach */
#define ENDED_MAX 16u	   /* that stay */
#define AHEAD 14u	   /* bytes behind the page that its last instruction may have */

struct translation {
	struct list link; /* mm->out_of_line, by age */
	uint64_t page, image;
	bool ended;
	uint32_t entries;
	uint16_t entry[OUT_OF_LINE_ENTRIES];
	uint16_t place[OUT_OF_LINE_PAGE];
};

static uint64_t code_start(const struct translation *t)
{
	return t->image + OUT_OF_LINE_MAP;
}

static uint64_t code_end(const struct translation *t)
{
	return t->image + OUT_OF_LINE_SIZE;
}

static struct translation *translation_of(const struct mm *mm, uint64_t page)
{
	list_for_each(pos, &mm->out_of_line) {
		struct translation *t = list_entry(pos, struct translation, link);

		if (t->page == page && !t->ended)
			return t;
	}
	return NULL;
}

/* Was it made of bytes in [start, end)? */
static bool is_made_of(const struct translation *t, uint64_t start, uint64_t end)
{
	return t->page + PAGE_SIZE + AHEAD > start && t->page < end;
}

bool out_of_line_any(const struct mm *mm, uint64_t start, uint64_t end)
{
	for (uint64_t page = start; !list_empty(&mm->out_of_line) && page < end; page += PAGE_SIZE)
		if (translation_of(mm, page))
			return true;
	return false;
}

bool out_of_line_needs(const struct mm *mm, uint64_t page)
{
	list_for_each(pos, &mm->out_of_line) {
		const struct translation *t = list_entry(pos, struct translation, link);

		if (!t->ended && is_made_of(t, page, page + PAGE_SIZE))
			return true;
	}
	return false;
}

void out_of_line_end(struct mm *mm, uint64_t start, uint64_t end)
{
	list_for_each(pos, &mm->out_of_line) {
		struct translation *t = list_entry(pos, struct translation, link);

		if (is_made_of(t, start, end))
			t->ended = true;
	}
}

void out_of_line_unmapped(struct mm *mm, uint64_t start, uint64_t end)
{
	out_of_line_end(mm, start, end);
	list_for_each_safe(pos, next, &mm->out_of_line) {
		struct translation *t = list_entry(pos, struct translation, link);

		if (code_start(t) >= start && code_start(t) < end) {
			list_remove(&t->link);
			kfree(t);
		}
	}
}

uint64_t out_of_line_origin(uint64_t rip)
{
	struct mm *mm = mm_current();

	if (likely(list_empty(&mm->out_of_line)))
		return rip;
	mutex_lock(&mm->lock);
	list_for_each(pos, &mm->out_of_line) {
		const struct translation *t = list_entry(pos, struct translation, link);

		for (uint32_t i = 0; rip >= code_start(t) && rip < code_end(t) && i < OUT_OF_LINE_PAGE; i++)
			if (t->place[i] == rip - t->image) {
				mutex_unlock(&mm->lock);
				return t->page + i;
			}
	}
	mutex_unlock(&mm->lock);
	return rip;
}

/* Those that nobody should be in any more; what a family has in common stays. */
static void remove_oldest(struct mm *mm)
{
	uint32_t ended = 0;

	list_for_each(pos, &mm->out_of_line)
		ended += list_entry(pos, struct translation, link)->ended;
	list_for_each_safe(pos, next, &mm->out_of_line) {
		struct translation *t = list_entry(pos, struct translation, link);
		struct vma *v = vma_find(mm, code_start(t));

		if (ended <= ENDED_MAX)
			break;
		if (t->ended && v && v->program == program_current()) {
			ended--;
			if (unmap_locked(mm, code_start(t), code_end(t)))
				break;
		}
	}
}

/* Free addresses for the image, near the page. */
static uint64_t place_image(struct mm *mm, uint64_t page)
{
	uint64_t low = mm->base + SLOT_PROGRAM_BASE, high = mm->mmap_top;

	if (page < SLOT_LOW_END)
		return vma_gap(mm, SLOT_LOW_BASE, SLOT_STUB_DELTA, OUT_OF_LINE_SIZE, PAGE_SIZE);
	if (page > low + REACH)
		low = page - REACH;
	return vma_gap(mm, low, MIN(high, page + REACH), OUT_OF_LINE_SIZE, PAGE_SIZE);
}

/* The object that the translator reads; its handle, or negative errno. */
static long make_request(const struct translation *t)
{
	static uint8_t object[OUT_OF_LINE_CODE + PAGE_SIZE + AHEAD]; /* mm->lock is held */
	struct out_of_line_request *request = (void *)object;
	long size = sizeof(object), handle, written;

	if (copy_from_user(object + OUT_OF_LINE_CODE, (void *)t->page, PAGE_SIZE))
		return -EFAULT;
	if (copy_from_user(object + OUT_OF_LINE_CODE + PAGE_SIZE, (void *)(t->page + PAGE_SIZE), AHEAD))
		size -= AHEAD;
	*request = (struct out_of_line_request){ .magic = OUT_OF_LINE_MAGIC, .origin = t->page, .image = t->image,
						 .known = (uint32_t)(size - OUT_OF_LINE_CODE), .entries = t->entries };
	memcpy(request->entry, t->entry, sizeof(t->entry));
	handle = hostcall(HC_memobj_create, size);
	if (handle < 0)
		return handle;
	written = hostcall(HC_file_pwrite, handle, object, size, 0);
	if (written == size)
		return handle;
	hostcall(HC_file_close, handle);
	return written < 0 ? written : -ENOMEM;
}

/* Maps the translation of what t says, and learns its places. The map is not needed then: nobody may change it, nor run it. */
static int map_image(struct mm *mm, struct translation *t)
{
	long handle = make_request(t), ret;
	struct vma *v;

	if (handle < 0)
		return (int)handle;
	ret = backing_map_image(t->image, OUT_OF_LINE_SIZE, (int)handle, 0, 0);
	hostcall(HC_file_close, handle);
	if (ret < 0)
		return (int)ret;
	if (copy_from_user(t->place, (void *)t->image, sizeof(t->place))) {
		hostcall(HC_mem_release, t->image, OUT_OF_LINE_SIZE);
		return -EFAULT;
	}
	hostcall(HC_mem_release, t->image, OUT_OF_LINE_MAP);
	v = vma_take(mm);
	v->start = code_start(t);
	v->end = code_end(t);
	v->prot = PROT_READ | PROT_EXEC;
	v->flags = VMA_BACKED | VMA_SHARED; /* it does not depend on whose turn it is */
	vma_insert(mm, v);
	return 0;
}

/* The last instruction may end on the page behind, so that must not change unseen either: who writes there is to fault. */
static void hold_behind(struct mm *mm, uint64_t behind)
{
	struct vma *v = vma_find(mm, behind);
	uint32_t old;

	if (v && v->start <= behind && is_wx(v->prot) && !cmpxchg_user((uint32_t *)behind, 0, 0, &old))
		hostcall(HC_mem_protect, behind, PAGE_SIZE, PROT_READ);
}

static struct translation *translate(struct mm *mm, struct translation *old, uint64_t page, uint64_t rip)
{
	struct translation *t;

	remove_oldest(mm);
	if (vma_reserve(mm, 1) || (old && old->entries == OUT_OF_LINE_ENTRIES))
		return NULL;
	t = kzalloc(sizeof(*t));
	if (!t)
		return NULL;
	t->page = page;
	t->image = place_image(mm, page);
	if (old) {
		t->entries = old->entries;
		memcpy(t->entry, old->entry, sizeof(t->entry));
	}
	t->entry[t->entries++] = (uint16_t)(rip - page);
	hold_behind(mm, page + PAGE_SIZE);
	if (!t->image || map_image(mm, t)) {
		kfree(t);
		return NULL;
	}
	if (old)
		old->ended = true;
	list_append(&mm->out_of_line, &t->link);
	return t;
}

bool out_of_line_known(const struct mm *mm, struct mm_fault *f)
{
	const struct translation *t = translation_of(mm, ALIGN_DOWN(f->rip, PAGE_SIZE));
	uint16_t place = t ? t->place[f->rip - t->page] : 0;

	if (place)
		f->rip = t->image + place;
	return place != 0;
}

bool out_of_line_enter(struct mm *mm, struct mm_fault *f)
{
	uint64_t page = ALIGN_DOWN(f->rip, PAGE_SIZE);

	return translate(mm, translation_of(mm, page), page, f->rip) && out_of_line_known(mm, f);
}
