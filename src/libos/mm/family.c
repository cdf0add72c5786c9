/*
 * The memory of programs that fork made (mm/family.h): the copy, and moving whole programs to the side and back. Moving
 * keeps the pages (hostcall mem_move), so a turn costs some microseconds for each mapping, whatever its size. Of small ones, which
 * are most, the bytes change places.
 */
#include "mm/family.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "core/uaccess.h"
#include "fs/file.h"

#define RED_ZONE 128u
#define SMALL_MAX (16 * PAGE_SIZE)
#define EXCHANGE_MAX (128 * PAGE_SIZE) /* of more, moving costs less */
#define TABLE_SIZE (512 * PAGE_SIZE) /* of a page table: between addresses that are alike below it, the host moves whole ones */
#define NOT_MOVED (VMA_SHARED | VMA_HOLE | VMA_PLACE)

static uint64_t g_pages[2][PAGE_SIZE / sizeof(uint64_t)]; /* mm->lock */
static uint64_t g_stamps;				    /* given out so far; mm->lock */

/* Is it the program's own content, which two programs cannot have at one address? */
static bool is_personal(const struct vma *v)
{
	return !(v->flags & NOT_MOVED) && !v->code && (!v->file || (v->flags & VMA_DIRTY));
}

/* Is it as its file is? Then it need not be kept. */
static bool is_of_file(const struct vma *v)
{
	return !(v->flags & (NOT_MOVED | VMA_DIRTY)) && v->file;
}

/* Has it memory of its own, that a copy needs, too? */
static bool has_memory(const struct vma *v)
{
	return (v->flags & VMA_BACKED) && !is_of_file(v);
}

static bool is_small(const struct vma *v)
{
	return v->end - v->start <= SMALL_MAX;
}

/* Executable memory is moved as data: it becomes code again, after a scan, where it is to run. */
static uint32_t access_aside(uint32_t prot)
{
	return prot & PROT_EXEC ? PROT_READ | PROT_WRITE : prot;
}

bool vma_is_of(const struct vma *v, const struct program *p)
{
	return !(v->flags & (VMA_HOLE | VMA_PLACE)) && (v->program == p || (p->family && v->program == &p->family->common));
}

bool vma_is_own(const struct vma *v)
{
	return vma_is_of(v, program_current());
}

static void add_member(struct family *f, struct program *p)
{
	p->family = f;
	f->count++;
	list_append(&f->members, &p->family_link);
}

int family_begin(struct program *p)
{
	struct family *f;

	if (p->family)
		return 0;
	f = kzalloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	list_init(&f->members);
	list_init(&f->waiting);
	list_init(&f->common.aside);
	f->common.mm = p->mm;
	f->common.refs = 1;
	f->common.family = f;
	mutex_lock(&p->mm->lock);
	f->there = p;
	add_member(f, p);
	mutex_unlock(&p->mm->lock);
	return 0;
}

static void change_owner(struct vma *v, struct program *to)
{
	v->program->total -= v->end - v->start;
	v->program = to;
	to->total += v->end - v->start;
}

/* --- places --- */

/* A mapping of p's in the map, where what is at `home` may be put; takes one spare. NULL: no room. */
static struct vma *place_make(struct mm *mm, struct program *p, uint64_t home, uint64_t size)
{
	uint64_t align = size < TABLE_SIZE ? PAGE_SIZE : TABLE_SIZE, offset = home % align;
	uint64_t at = choose_address(mm, size + offset, align);
	struct vma *v;

	if (!at)
		return NULL;
	v = vma_take(mm);
	v->start = at + offset;
	v->end = v->start + size;
	v->flags = VMA_BACKED | VMA_PLACE;
	v->program = p;
	vma_insert(mm, v);
	return v;
}

static void place_drop(struct mm *mm, struct vma *v)
{
	vma_remove(mm, v);
	vma_free(mm, v);
}

/* Pages that were never written stay so. What cannot be read (behind a file's end) is left out. */
static void copy_pages(uint64_t to, uint64_t from, uint64_t end)
{
	uint64_t *page = g_pages[0];

	for (; from < end; from += PAGE_SIZE, to += PAGE_SIZE) {
		uint64_t any = 0;

		if (copy_from_user(page, (void *)from, PAGE_SIZE))
			continue;
		for (unsigned i = 0; i < ARRAY_SIZE(g_pages[0]); i++)
			any |= page[i];
		if (any)
			memcpy((void *)to, page, PAGE_SIZE);
	}
}

static int commit(uint64_t at, uint64_t size)
{
	return (int)hostcall(HC_mem_commit, at, size, PROT_READ | PROT_WRITE, 0);
}

/* [from + skip, from + size), which is accessible as `prot` says, to memory that can be written to. */
static int copy_memory(uint64_t to, uint64_t from, uint64_t skip, uint64_t size, uint32_t prot)
{
	bool hidden = !(prot & (PROT_READ | PROT_EXEC));
	long ret = hidden ? hostcall(HC_mem_protect, from, size, prot | PROT_READ) : 0;

	if (ret < 0)
		return (int)ret;
	copy_pages(to + skip, from + skip, from + size);
	return hidden ? (int)hostcall(HC_mem_protect, from, size, prot) : 0;
}

/* Nothing is left at `from`. The host may know what is one mapping here as several, which it does not move at once. */
static void move_memory(uint64_t to, uint64_t from, uint64_t size, uint32_t prot)
{
	if (prot & PROT_EXEC)
		hostcall(HC_mem_protect, from, size, PROT_READ | PROT_WRITE);
	if (hostcall(HC_mem_move, from, size, to, size) >= 0)
		return;
	if (commit(to, size) || copy_memory(to, from, 0, size, prot) || backing_release(from, from + size))
		panic("memory of a forked process could not be moved");
}

/* --- fork --- */

static void aside_free(struct mm *mm, struct aside *a)
{
	vma_free(mm, a->home);
	list_remove(&a->link);
	kfree(a);
}

/* Where a copy of v goes: the next part of `block`, if it is small. Takes one spare. */
static int place_copy(struct mm *mm, struct program *p, const struct vma *v, struct vma **block, struct vma **place)
{
	uint64_t size = v->end - v->start;
	int ret;

	if (is_small(v)) {
		*place = *block;
		*block = (*block)->end - (*block)->start > size ? vma_split(mm, *block, (*block)->start + size) : NULL;
		return 0;
	}
	*place = place_make(mm, p, v->start, size);
	if (!*place)
		return -ENOMEM;
	ret = commit((*place)->start, size);
	if (ret) {
		place_drop(mm, *place);
		*place = NULL;
	}
	return ret;
}

/* p gets a copy of v, or what makes one; takes up to two spares. */
static int copy_aside(struct mm *mm, struct program *p, struct vma *v, uint64_t rsp, struct vma **block)
{
	struct aside *a = kzalloc(sizeof(*a));
	uint64_t skip = 0;
	int ret;

	if (!a)
		return -ENOMEM;
	if (!v->stamp && v->prot == PROT_READ)
		v->stamp = ++g_stamps;
	a->home = vma_take(mm);
	*a->home = *v;
	a->home->program = p;
	a->home->left = a->home->right = NULL;
	a->home->code = NULL;
	a->home->flags &= ~VMA_LOCKED;
	list_init(&a->home->link);
	if (v->file)
		file_get(v->file);
	list_append(&p->aside, &a->link);
	if (!has_memory(v))
		return 0;
	ret = place_copy(mm, p, v, block, &a->place);
	if (ret)
		return ret;
	if ((v->flags & VMA_STACK) && rsp >= v->start + RED_ZONE && rsp < v->end)
		skip = ALIGN_DOWN(rsp - RED_ZONE - v->start, PAGE_SIZE);
	return copy_memory(a->place->start, v->start, skip, v->end - v->start, v->prot);
}

/* Code of files that was written to, and has stubs, exists once. */
static bool can_fork(struct mm *mm, const struct program *p)
{
	list_for_each(pos, &mm->list) {
		const struct vma *v = list_entry(pos, struct vma, link);

		if (v->program == p && v->code && (v->flags & VMA_DIRTY)) {
			log_text("fork: code at %lx was written to: a process that has such memory cannot be copied (ENOMEM)", v->start);
			return false;
		}
	}
	return true;
}

/* At fixed addresses there may be strangers, so nothing stays. */
static bool is_copied(const struct vma *v)
{
	return is_personal(v) || (is_of_file(v) && v->end <= SLOT_LOW_END);
}

static bool is_of_forked(const struct vma *v, const struct program *p)
{
	return v->program == p && !(v->flags & VMA_PLACE);
}

/* Memory for the small copies together; *block is NULL if there are none. */
static int make_block(struct mm *mm, const struct program *from, struct program *p, struct vma **block)
{
	uint64_t size = 0;

	list_for_each(pos, &mm->list) {
		const struct vma *v = list_entry(pos, struct vma, link);

		if (is_of_forked(v, from) && is_copied(v) && has_memory(v) && is_small(v))
			size += v->end - v->start;
	}
	*block = NULL;
	if (!size)
		return 0;
	if (vma_reserve(mm, 1) || !(*block = place_make(mm, p, 0, size)))
		return -ENOMEM;
	return commit((*block)->start, size);
}

static int copy_all(struct mm *mm, struct program *from, struct program *p, uint64_t rsp)
{
	struct vma *block;
	int ret = make_block(mm, from, p, &block);

	list_for_each_safe(pos, next, &mm->list) {
		struct vma *v = list_entry(pos, struct vma, link);

		if (ret)
			break;
		if (!is_of_forked(v, from))
			continue;
		if (is_copied(v)) {
			ret = vma_reserve(mm, 2);
			ret = ret ? ret : copy_aside(mm, p, v, rsp, &block);
		} else {
			change_owner(v, &from->family->common);
		}
	}
	return ret;
}

struct program *family_fork(struct program *from, uint64_t rsp, int *error)
{
	struct mm *mm = from->mm;
	struct program *p = program_create(mm);
	int ret = p ? 0 : -ENOMEM;

	mutex_lock(&mm->lock);
	if (!ret && !can_fork(mm, from))
		ret = -ENOMEM;
	if (!ret) {
		p->brk_start = from->brk_start;
		p->brk_now = from->brk_now;
		p->args = from->args;
		add_member(from->family, p);
		ret = copy_all(mm, from, p, rsp);
	}
	mutex_unlock(&mm->lock);
	*error = ret;
	if (!ret)
		return p;
	program_put(p);
	return NULL;
}

/* --- putting aside --- */

/* v is to be put aside: an entry of `made`, with a place. */
static int aside_make(struct mm *mm, struct vma *v, struct list *made)
{
	struct aside *a = kzalloc(sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->home = v;
	list_append(made, &a->link);
	if (!has_memory(v))
		return 0;
	return vma_reserve(mm, 1) || !(a->place = place_make(mm, v->program, v->start, v->end - v->start)) ? -ENOMEM : 0;
}

static void asides_drop(struct mm *mm, struct list *made)
{
	while (!list_empty(made)) {
		struct aside *a = list_entry(made->next, struct aside, link);

		if (a->place)
			place_drop(mm, a->place);
		list_remove(&a->link);
		kfree(a);
	}
}

/* memory_back undoes it. */
static void memory_away(const struct aside *a)
{
	struct vma *v = a->home;

	if (a->place) {
		move_memory(a->place->start, v->start, v->end - v->start, v->prot);
	} else if (is_of_file(v) && (v->flags & VMA_BACKED)) {
		backing_release(v->start, v->end);
		code_map_put(v->code);
		v->code = NULL;
	}
}

static void put_aside(struct mm *mm, struct list *made)
{
	while (!list_empty(made)) {
		struct aside *a = list_entry(made->next, struct aside, link);

		memory_away(a);
		vma_remove(mm, a->home);
		list_remove(&a->link);
		list_append(&a->home->program->aside, &a->link);
	}
}

/* --- holes --- */

/* What nobody has in `home` becomes a hole. Takes spares; without them the address may be lost, which is said. */
static void fill_with_holes(struct mm *mm, struct family *f, const struct vma *home)
{
	uint64_t at = home->start;

	while (at < home->end) {
		struct vma *next = vma_find(mm, at), *hole;
		uint64_t end = next ? MIN(MAX(next->start, at), home->end) : home->end;

		if (end > at) {
			if (vma_reserve(mm, 1)) {
				log_text("fork: not enough memory to keep addresses of a process that waits for its turn");
				return;
			}
			hole = vma_take(mm);
			hole->start = at;
			hole->end = end;
			hole->flags = VMA_HOLE;
			hole->program = &f->common;
			vma_insert(mm, hole);
		}
		at = next ? MAX(next->end, end) : end;
	}
}

/* What p has aside in [start, end) stays free for it. */
static void keep_of(struct mm *mm, struct family *f, const struct program *p, uint64_t start, uint64_t end)
{
	list_for_each(a, &p->aside) {
		const struct vma *home = list_entry(a, struct aside, link)->home;

		if (home->start < end && home->end > start)
			fill_with_holes(mm, f, home);
	}
}

/* --- fixed addresses --- */

/* A program, or the first of a family, that has or wants what is at [start, end), or NULL. -EBUSY: there is more than one, or one
 * that shares it with forked ones. mm->lock held. */
static int occupant(struct mm *mm, uint64_t start, uint64_t end, struct program **found_)
{
	struct program *found = NULL;

	for (struct vma *v = vma_find(mm, start); v && v->start < end; v = vma_next(mm, v)) {
		struct program *p = v->program;

		if (v->flags & VMA_HOLE)
			p = list_entry(p->family->members.next, struct program, family_link);
		else if (p->family && p == &p->family->common)
			return -EBUSY;
		if (found && found != p && (!found->family || found->family != p->family))
			return -EBUSY;
		found = p;
	}
	*found_ = found;
	return 0;
}

int mm_occupant(uint64_t start, uint64_t end, struct program **other)
{
	struct mm *mm = mm_current();
	struct program *p = NULL;
	uint32_t refs; /* 0: it is about to go */
	int ret;

	mutex_lock(&mm->lock);
	ret = occupant(mm, start, end, &p);
	refs = p ? __atomic_load_n(&p->refs, __ATOMIC_RELAXED) : 0;
	while (refs && !__atomic_compare_exchange_n(&p->refs, &refs, refs + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	mutex_unlock(&mm->lock);
	*other = refs ? p : NULL;
	return ret;
}

static int reserve_aside(struct mm *mm, struct program *p, uint64_t start, uint64_t end)
{
	struct aside *a = kzalloc(sizeof(*a));

	if (!a || vma_reserve(mm, 1)) {
		kfree(a);
		return -ENOMEM;
	}
	a->home = vma_take(mm);
	a->home->start = start;
	a->home->end = end;
	a->home->program = p;
	list_init(&a->home->link);
	list_append(&p->aside, &a->link);
	return 0;
}

/* What members that are not there left in [start, end), because nobody wanted it so far, goes aside. */
static int clear_place(struct mm *mm, const struct family *f, uint64_t start, uint64_t end)
{
	struct list made = LIST_INIT(made);
	int ret = 0;

	for (struct vma *v = vma_find(mm, start); !ret && v && v->start < end; v = vma_next(mm, v))
		if (v->program != f->there && (is_personal(v) || is_of_file(v)))
			ret = aside_make(mm, v, &made);
	if (!ret)
		put_aside(mm, &made);
	asides_drop(mm, &made);
	return ret;
}

int family_join(struct family *f, struct program *p, uint64_t start, uint64_t end)
{
	struct mm *mm = p->mm;
	int ret = -EAGAIN;

	mutex_lock(&mm->lock);
	if (f->count)
		ret = clear_place(mm, f, start, end);
	if (!ret)
		ret = reserve_aside(mm, p, start, end);
	if (!ret) {
		add_member(f, p);
		keep_of(mm, f, p, start, end);
	}
	mutex_unlock(&mm->lock);
	return ret;
}

/* --- turns --- */

bool family_wants(const struct family *f, uint64_t start, uint64_t end)
{
	list_for_each(pos, &f->members) {
		struct program *p = list_entry(pos, struct program, family_link);

		list_for_each(a, &p->aside) {
			const struct vma *home = list_entry(a, struct aside, link)->home;

			if (home->start < end && home->end > start)
				return true;
		}
	}
	return false;
}

static bool must_move(const struct family *f, const struct vma *v)
{
	return v->program == f->there && !v->has_twin && (is_personal(v) || is_of_file(v)) && family_wants(f, v->start, v->end);
}

/* Both pages, as far as they can be read. */
static bool read_pages(uint64_t a, uint64_t b)
{
	return !copy_from_user(g_pages[0], (void *)a, PAGE_SIZE) && !copy_from_user(g_pages[1], (void *)b, PAGE_SIZE);
}

static bool same_bytes(uint64_t a, uint64_t b, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += PAGE_SIZE)
		if (!read_pages(a + at, b + at) || memcmp(g_pages[0], g_pages[1], PAGE_SIZE))
			return false;
	return true;
}

/* Anonymous memory can be read and written, what a file ends before cannot. */
static void exchange_words(uint64_t *a, uint64_t *b, uint64_t size)
{
	for (uint64_t i = 0; i < size / sizeof(*a); i++) {
		uint64_t x = a[i], y = b[i];

		if (x != y) {
			a[i] = y;
			b[i] = x;
		}
	}
}

static void exchange_bytes(uint64_t a, uint64_t b, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += PAGE_SIZE)
		if (read_pages(a + at, b + at)) {
			memcpy((void *)(a + at), g_pages[1], PAGE_SIZE);
			memcpy((void *)(b + at), g_pages[0], PAGE_SIZE);
		}
}

/* Can what is there at a's home, v, simply take a's place? It can if its bytes may be written, are the same, or the same file's. */
static bool is_exchangeable(const struct aside *a, const struct vma *v)
{
	if (v->start != a->home->start || v->end != a->home->end || v->prot != a->home->prot || !(v->flags & VMA_BACKED))
		return false;
	if (is_of_file(v))
		return v->file == a->home->file && v->offset == a->home->offset && v->flags == a->home->flags;
	if (!a->place || !is_personal(v))
		return false;
	if (v->prot == PROT_READ)
		return v->stamp ? v->stamp == a->home->stamp :
				  is_small(v) && same_bytes(v->start, a->place->start, v->end - v->start);
	return v->prot == (PROT_READ | PROT_WRITE) && v->end - v->start <= EXCHANGE_MAX;
}

/* Decides what will be exchanged. */
static void find_twins(struct mm *mm, const struct family *f, struct program *p)
{
	list_for_each(pos, &p->aside) {
		struct aside *a = list_entry(pos, struct aside, link);
		struct vma *v = vma_find(mm, a->home->start);

		a->twin = v && v->program == f->there && is_exchangeable(a, v) ? v : NULL;
		if (a->twin)
			v->has_twin = true;
	}
}

static void forget_twins(struct program *p)
{
	list_for_each(pos, &p->aside) {
		struct aside *a = list_entry(pos, struct aside, link);

		if (a->twin)
			a->twin->has_twin = false;
		a->twin = NULL;
	}
}

/* What p has aside and what f->there has in its stead: each becomes the other. */
static void exchange(struct mm *mm, struct program *p)
{
	list_for_each_safe(pos, next, &p->aside) {
		struct aside *a = list_entry(pos, struct aside, link);
		struct vma *v = a->twin, *home = a->home;

		if (!v)
			continue;
		v->has_twin = false;
		a->twin = NULL;
		if (is_of_file(v)) {
			home->code = v->code;
			v->code = NULL;
		} else if ((v->prot & PROT_WRITE) && !v->file) {
			exchange_words((uint64_t *)v->start, (uint64_t *)a->place->start, v->end - v->start);
		} else if (v->prot & PROT_WRITE) {
			exchange_bytes(v->start, a->place->start, v->end - v->start);
		}
		vma_replace(mm, v, home);
		a->home = v;
		if (a->place)
			change_owner(a->place, v->program);
		list_remove(&a->link);
		list_append(&v->program->aside, &a->link);
	}
}

/* Everything that others want gets a place before any address is free: 0, or -ENOMEM and all is as before. */
static int prepare_places(struct mm *mm, struct family *f, struct list *made)
{
	int ret = 0;

	for (struct list *pos = f->there ? mm->list.next : &mm->list; !ret && pos != &mm->list; pos = pos->next) {
		struct vma *v = list_entry(pos, struct vma, link);

		if (must_move(f, v))
			ret = aside_make(mm, v, made);
	}
	return ret;
}

/* The holes in [start, end); takes up to two spares. */
static void drop_holes(struct mm *mm, struct family *f, uint64_t start, uint64_t end)
{
	struct vma *v = vma_find(mm, start);

	while (v && v->start < end) {
		struct vma *next = vma_next(mm, v);

		if (v->program == &f->common && (v->flags & VMA_HOLE))
			vma_clear(mm, MAX(v->start, start), MIN(v->end, end));
		v = next;
	}
}

/* The memory that `home` has, from its place, or from the file. */
static void memory_back(const struct aside *a)
{
	struct vma *v = a->home;
	uint64_t size = v->end - v->start;

	if (a->place) {
		move_memory(v->start, a->place->start, size, access_aside(v->prot));
		if (access_aside(v->prot) != (PROT_READ | PROT_WRITE))
			hostcall(HC_mem_protect, v->start, size, access_aside(v->prot));
		if ((v->prot & PROT_EXEC) && !is_wx(v->prot) && /* else faults make it code */
		    hostcall(HC_mem_seal_code, v->start, size) < 0)
			log_text("code at %lx was refused", v->start);
	} else if (is_of_file(v) && (v->flags & VMA_BACKED) && backing_map(v, v->start, v->end, v->prot)) {
		log_text("what was mapped of a file at %lx is lost (raise the cVM's memory)", v->start);
	}
}

static void bring(struct mm *mm, struct family *f, struct program *p)
{
	while (!list_empty(&p->aside)) {
		struct aside *a = list_entry(p->aside.next, struct aside, link);

		drop_holes(mm, f, a->home->start, a->home->end);
		memory_back(a);
		if (a->place)
			place_drop(mm, a->place);
		vma_insert(mm, a->home);
		list_remove(&a->link);
		kfree(a);
	}
}

static void keep(struct mm *mm, struct family *f, uint64_t start, uint64_t end)
{
	list_for_each(pos, &f->members)
		keep_of(mm, f, list_entry(pos, struct program, family_link), start, end);
}

void family_keep_own(struct mm *mm, uint64_t start, uint64_t end)
{
	struct family *f = program_current()->family;

	if (unlikely(f))
		keep(mm, f, start, end);
}

void family_use(struct mm *mm, uint64_t start, uint64_t end)
{
	struct family *f = program_current()->family;

	if (unlikely(f) && !vma_reserve(mm, 2))
		drop_holes(mm, f, start, end);
}

/* The last member has what was the family's. */
static void inherit(struct mm *mm, struct family *f)
{
	struct program *heir = list_entry(f->members.next, struct program, family_link);

	drop_holes(mm, f, 0, ~0ull);
	list_for_each(pos, &mm->list) {
		struct vma *v = list_entry(pos, struct vma, link);

		if (v->program == &f->common)
			change_owner(v, heir);
	}
}

/* Each mapping that is brought may cut holes twice. */
static unsigned spares_for(const struct program *p)
{
	unsigned n = 4;

	list_for_each(pos, &p->aside)
		n += 2;
	return n;
}

int family_switch(struct family *f, struct program *p)
{
	struct program *was = f->there;
	struct list made = LIST_INIT(made);
	struct mm *mm = p->mm;
	int ret;

	mutex_lock(&mm->lock);
	find_twins(mm, f, p);
	ret = prepare_places(mm, f, &made);
	ret = ret ? ret : vma_reserve(mm, spares_for(p));
	if (!ret) {
		exchange(mm, p);
		put_aside(mm, &made);
		bring(mm, f, p);
		f->there = p;
		if (was) /* what others want was kept before */
			keep_of(mm, f, was, 0, ~0ull);
	} else {
		forget_twins(p);
	}
	asides_drop(mm, &made);
	mutex_unlock(&mm->lock);
	return ret;
}

void family_leave(struct family *f, struct program *p, struct program *next)
{
	struct mm *mm = p->mm;

	mutex_lock(&mm->lock);
	if (f->there == p && next && !vma_reserve(mm, spares_for(next))) {
		find_twins(mm, f, next);
		exchange(mm, next);
	} else {
		next = NULL;
	}
	while (!list_empty(&p->aside))
		aside_free(mm, list_entry(p->aside.next, struct aside, link));
	list_remove(&p->family_link);
	p->family = NULL;
	f->count--;
	unmap_program(mm, p);
	if (f->there == p) {
		if (next)
			bring(mm, f, next);
		f->there = next;
	}
	if (f->count == 1)
		inherit(mm, f);
	if (f->count)
		keep(mm, f, 0, ~0ull);
	else
		unmap_program(mm, &f->common);
	mutex_unlock(&mm->lock);
}

void family_free(struct family *f)
{
	kfree(f);
}
