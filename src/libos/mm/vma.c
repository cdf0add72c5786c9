/*
 * The tree of mappings (mm/vma.h): a treap ordered by address whose nodes carry the greatest free gap of their subtree,
 * so that finding a mapping and finding a free place both take logarithmic time (programs make thousands of mappings).
 * Depth is logarithmic with overwhelming probability, so the recursion is shallow. No hostcall here but those that drop
 * stubs and files of mappings that go.
 */
#include "mm/vma.h"
#include "core/kheap.h"
#include "fs/file.h"

int vma_reserve(struct mm *mm, unsigned count)
{
	while (mm->spares < count) {
		struct vma *v = kmalloc(sizeof(*v));

		if (!v)
			return -ENOMEM;
		v->right = mm->spare;
		mm->spare = v;
		mm->spares++;
	}
	return 0;
}

struct vma *vma_take(struct mm *mm)
{
	struct vma *v = mm->spare;

	mm->spare = v->right;
	mm->spares--;
	memset(v, 0, sizeof(*v));
	return v;
}

void vma_free(struct mm *mm, struct vma *v)
{
	if (v->file)
		file_put(v->file);
	code_map_put(v->code);
	if (mm->spares >= 8) {
		kfree(v);
		return;
	}
	v->right = mm->spare;
	mm->spare = v;
	mm->spares++;
}

struct vma *vma_next(struct mm *mm, struct vma *v)
{
	return v->link.next == &mm->list ? NULL : list_entry(v->link.next, struct vma, link);
}

struct vma *vma_prev(struct mm *mm, struct vma *v)
{
	return v->link.prev == &mm->list ? NULL : list_entry(v->link.prev, struct vma, link);
}

static void update(struct vma *v)
{
	uint64_t m = v->gap;

	if (v->left && v->left->max_gap > m)
		m = v->left->max_gap;
	if (v->right && v->right->max_gap > m)
		m = v->right->max_gap;
	v->max_gap = m;
}

static struct vma *join(struct vma *a, struct vma *b)
{
	if (!a || !b)
		return a ? a : b;
	if (a->priority > b->priority) {
		a->right = join(a->right, b);
		update(a);
		return a;
	}
	b->left = join(a, b->left);
	update(b);
	return b;
}

/* Everything below `start` to *a, the rest to *b. */
static void cut(struct vma *root, uint64_t start, struct vma **a, struct vma **b)
{
	if (!root) {
		*a = *b = NULL;
	} else if (root->start < start) {
		cut(root->right, start, &root->right, b);
		*a = root;
		update(root);
	} else {
		cut(root->left, start, a, &root->left);
		*b = root;
		update(root);
	}
}

static struct vma *tree_insert(struct vma *root, struct vma *v)
{
	if (!root || v->priority > root->priority) {
		cut(root, v->start, &v->left, &v->right);
		update(v);
		return v;
	}
	if (v->start < root->start)
		root->left = tree_insert(root->left, v);
	else
		root->right = tree_insert(root->right, v);
	update(root);
	return root;
}

static struct vma *tree_remove(struct vma *root, struct vma *v)
{
	if (root == v)
		return join(v->left, v->right);
	if (v->start < root->start)
		root->left = tree_remove(root->left, v);
	else
		root->right = tree_remove(root->right, v);
	update(root);
	return root;
}

/* v's own gap changed: refresh the path to it. */
static void tree_refresh(struct vma *root, struct vma *v)
{
	if (root != v)
		tree_refresh(v->start < root->start ? root->left : root->right, v);
	update(root);
}

static void gap_changed(struct mm *mm, struct vma *v)
{
	struct vma *prev;

	if (!v)
		return;
	prev = vma_prev(mm, v);
	v->gap = v->start - (prev ? prev->end : 0);
	tree_refresh(mm->root, v);
}

struct vma *vma_find(struct mm *mm, uint64_t addr)
{
	struct vma *best = NULL;

	for (struct vma *v = mm->root; v;) {
		if (addr < v->end) {
			best = v;
			v = v->left;
		} else {
			v = v->right;
		}
	}
	return best;
}

void vma_insert(struct mm *mm, struct vma *v)
{
	struct vma *next = vma_find(mm, v->start);
	struct vma *prev;

	if (!v->program)
		v->program = program_current();
	mm->random ^= mm->random << 13;
	mm->random ^= mm->random >> 17;
	mm->random ^= mm->random << 5;
	v->priority = mm->random;
	list_append(next ? &next->link : &mm->list, &v->link);
	prev = vma_prev(mm, v);
	v->gap = v->start - (prev ? prev->end : 0);
	mm->root = tree_insert(mm->root, v);
	gap_changed(mm, next);
	mm->count++;
	v->program->total += v->end - v->start;
}

void vma_remove(struct mm *mm, struct vma *v)
{
	struct vma *next = vma_next(mm, v);

	mm->root = tree_remove(mm->root, v);
	list_remove(&v->link);
	v->left = v->right = NULL;
	gap_changed(mm, next);
	mm->count--;
	v->program->total -= v->end - v->start;
	out_of_line_unmapped(mm, v->start, v->end);
}

void vma_replace(struct mm *mm, struct vma *old, struct vma *new)
{
	struct vma **at = &mm->root;

	while (*at != old)
		at = old->start < (*at)->start ? &(*at)->left : &(*at)->right;
	*at = new;
	new->left = old->left;
	new->right = old->right;
	new->priority = old->priority;
	new->gap = old->gap;
	new->max_gap = old->max_gap;
	old->left = old->right = NULL;
	list_insert_after(&old->link, &new->link);
	list_remove(&old->link);
	old->program->total -= old->end - old->start;
	new->program->total += new->end - new->start;
}

void vma_resize(struct mm *mm, struct vma *v, uint64_t start, uint64_t end)
{
	v->program->total += (end - start) - (v->end - v->start);
	out_of_line_end(mm, v->start, v->end);
	v->start = start;
	v->end = end;
	gap_changed(mm, v);
	gap_changed(mm, vma_next(mm, v));
}

struct vma *vma_split(struct mm *mm, struct vma *v, uint64_t addr)
{
	struct vma *upper = vma_take(mm);

	*upper = *v;
	upper->start = addr;
	upper->offset = v->file ? v->offset + (off_t)(addr - v->start) : 0;
	upper->left = upper->right = NULL;
	if (upper->file)
		file_get(upper->file);
	if (upper->code)
		upper->code->refs++;
	vma_resize(mm, v, v->start, addr);
	vma_insert(mm, upper);
	return upper;
}

static bool mergeable(const struct vma *a, const struct vma *b)
{
	return a->end == b->start && !(a->flags & VMA_PLACE) && a->prot == b->prot && a->flags == b->flags && a->file == b->file &&
	       a->program == b->program && a->code == b->code && a->stamp == b->stamp && (!a->file || a->offset + (off_t)(a->end - a->start) == b->offset);
}

struct vma *vma_merge(struct mm *mm, struct vma *v)
{
	struct vma *next = vma_next(mm, v), *prev = vma_prev(mm, v);
	uint64_t end;

	if (next && mergeable(v, next)) {
		end = next->end;
		vma_remove(mm, next);
		vma_free(mm, next);
		vma_resize(mm, v, v->start, end);
	}
	if (prev && mergeable(prev, v)) {
		end = v->end;
		vma_remove(mm, v);
		vma_free(mm, v);
		vma_resize(mm, prev, prev->start, end);
		v = prev;
	}
	return v;
}

void vma_clear(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = vma_find(mm, start);

	if (v && v->start < start)
		v = vma_split(mm, v, start);
	while (v && v->start < end) {
		struct vma *next;

		if (v->end > end)
			vma_split(mm, v, end);
		next = vma_next(mm, v);
		vma_remove(mm, v);
		vma_free(mm, v);
		v = next;
	}
}

static uint64_t gap_fit(uint64_t low, uint64_t high, uint64_t size, uint64_t align)
{
	uint64_t addr;

	if (high <= low || high - low < size)
		return 0;
	addr = ALIGN_DOWN(high - size, align);
	return addr >= low ? addr : 0;
}

static uint64_t gap_search(struct vma *v, uint64_t low, uint64_t high, uint64_t size, uint64_t align)
{
	uint64_t found = 0;

	if (!v || v->max_gap < size)
		return 0;
	if (v->end < high)
		found = gap_search(v->right, low, high, size, align);
	if (!found)
		found = gap_fit(MAX(v->start - v->gap, low), MIN(v->start, high), size, align);
	if (!found && v->start > low)
		found = gap_search(v->left, low, high, size, align);
	return found;
}

uint64_t vma_gap(struct mm *mm, uint64_t low, uint64_t high, uint64_t size, uint64_t align)
{
	uint64_t last = list_empty(&mm->list) ? 0 : list_entry(mm->list.prev, struct vma, link)->end;
	uint64_t found = gap_fit(MAX(last, low), high, size, align);

	return found ? found : gap_search(mm->root, low, high, size, align);
}

bool vma_range_free(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = vma_find(mm, start);

	return !v || v->start >= end;
}

struct vma *vma_foreign(struct mm *mm, uint64_t start, uint64_t end)
{
	for (struct vma *v = vma_find(mm, start); v && v->start < end; v = vma_next(mm, v))
		if (v->program != program_current())
			return v;
	return NULL;
}
