/*
 * Who belongs to a family and who of it is there (mm/family.h): whole programs go aside and come back (mm/aside.h), and what those
 * aside will want again is kept free by holes.
 */
#include "mm/family.h"
#include "core/kheap.h"
#include "core/log.h"
#include "mm/aside.h"

bool vma_is_of(const struct vma *v, const struct program *p)
{
	return !(v->flags & (VMA_HOLE | VMA_PLACE)) && (v->program == p || (p->family && v->program == &p->family->common));
}

bool vma_is_own(const struct vma *v)
{
	return vma_is_of(v, program_current());
}

void family_add(struct family *f, struct program *p)
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
	family_add(f, p);
	mutex_unlock(&p->mm->lock);
	return 0;
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
		if (v->program != f->there && (vma_is_personal(v) || vma_is_of_file(v)))
			ret = aside_make(mm, v, &made);
	if (!ret)
		asides_put(mm, &made);
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
		family_add(f, p);
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
	return v->program == f->there && !v->has_twin && (vma_is_personal(v) || vma_is_of_file(v)) && family_wants(f, v->start, v->end);
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
			vma_change_owner(v, heir);
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
	twins_find(mm, f->there, p);
	ret = prepare_places(mm, f, &made);
	ret = ret ? ret : vma_reserve(mm, spares_for(p));
	if (!ret) {
		twins_exchange(mm, p);
		asides_put(mm, &made);
		bring(mm, f, p);
		f->there = p;
		if (was) /* what others want was kept before */
			keep_of(mm, f, was, 0, ~0ull);
	} else {
		twins_forget(p);
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
		twins_find(mm, f->there, next);
		twins_exchange(mm, next);
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
