/*
 * kmalloc and friends (core/kheap.h): slabs of one size class up to 2 KiB, whole pages above (core/pages.c).
 *
 * Each size class has a lock and a list of slabs with free objects; the slab's state is in the record of its first page,
 * so objects carry no header. A slab whose last object comes back is given to the page allocator unless it is the only
 * one with free objects. Everybody in the libOS calls this; a wrong pointer to kfree is a bug of the libOS: panic.
 */
#include "core/kheap.h"
#include "core/hostcall.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/pages.h"

#define SMALL_MAX 2048u

static const uint16_t g_class_size[] = {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048};
#define CLASSES ARRAY_SIZE(g_class_size)

static struct size_class {
	struct mutex lock;
	uint32_t partial; /* first page of the first slab with free objects, 0 if none */
} g_class[CLASSES];

static uint8_t g_class_of[SMALL_MAX / 16 + 1]; /* by size in units of 16 bytes */

void kheap_init(uint64_t slot_base)
{
	unsigned c = 0;

	pages_init(slot_base);
	for (unsigned i = 0; i < ARRAY_SIZE(g_class_of); i++) {
		if (i * 16 > g_class_size[c])
			c++;
		g_class_of[i] = (uint8_t)c;
	}
}

static void partial_insert(struct size_class *c, struct page *slab)
{
	slab->prev = 0;
	slab->next = c->partial;
	if (c->partial)
		page_number(c->partial)->prev = page_index(slab);
	c->partial = page_index(slab);
}

static void partial_remove(struct size_class *c, struct page *slab)
{
	if (slab->prev)
		page_number(slab->prev)->next = slab->next;
	else
		c->partial = slab->next;
	if (slab->next)
		page_number(slab->next)->prev = slab->prev;
	slab->next = slab->prev = 0;
}

static struct page *slab_create(struct size_class *c)
{
	unsigned class = (unsigned)(c - g_class);
	size_t size = g_class_size[class];
	uint32_t pages = size <= 256 ? 1 : 4;
	bool zeroed;
	char *memory = pages_take(pages, &zeroed);
	struct page *slab;

	if (!memory)
		return NULL;
	slab = page_of(memory);
	for (uint32_t i = 0; i < pages; i++) {
		slab[i].kind = PAGE_SLAB;
		slab[i].size_class = (uint8_t)class;
		slab[i].head = page_index(slab);
	}
	slab->used = 0;
	slab->free = NULL;
	for (size_t at = pages * PAGE_SIZE / size * size; at; at -= size) {
		void **object = (void **)(memory + at - size);

		*object = slab->free;
		slab->free = object;
	}
	partial_insert(c, slab);
	return slab;
}

static void *slab_alloc(struct size_class *c)
{
	struct page *slab;
	void **object = NULL;

	mutex_lock(&c->lock);
	slab = c->partial ? page_number(c->partial) : slab_create(c);
	if (slab) {
		object = slab->free;
		slab->free = *object;
		slab->used++;
		if (!slab->free)
			partial_remove(c, slab);
	}
	mutex_unlock(&c->lock);
	return object;
}

static void slab_free(struct page *slab, void *p)
{
	struct size_class *c = &g_class[slab->size_class];
	void **object = p;

	mutex_lock(&c->lock);
	if (!slab->free)
		partial_insert(c, slab);
	*object = slab->free;
	slab->free = object;
	if (--slab->used == 0 && (slab->next || slab->prev)) {
		partial_remove(c, slab);
		pages_give(page_address(slab));
	}
	mutex_unlock(&c->lock);
}

void *kmalloc(size_t size)
{
	bool zeroed;

	if (likely(size <= SMALL_MAX))
		return slab_alloc(&g_class[g_class_of[(size + 15) / 16]]);
	if (size > SIZE_MAX / 2)
		return NULL;
	return pages_take((size + PAGE_SIZE - 1) / PAGE_SIZE, &zeroed);
}

void *kzalloc(size_t size)
{
	void *p;

	if (size > SMALL_MAX)
		return size > SIZE_MAX / 2 ? NULL : kpages_alloc((size + PAGE_SIZE - 1) / PAGE_SIZE);
	p = kmalloc(size);
	if (p)
		memset(p, 0, size);
	return p;
}

static size_t allocated_size(const void *p)
{
	struct page *page = page_of(p);

	if (!page || (page->kind != PAGE_RUN && page->kind != PAGE_SLAB))
		panic("heap: %p was not allocated", p);
	return page->kind == PAGE_SLAB ? g_class_size[page->size_class] : page->pages * PAGE_SIZE;
}

void *krealloc(void *p, size_t size)
{
	size_t old;
	void *q;

	if (!p)
		return kmalloc(size);
	old = allocated_size(p);
	if (size <= old && (size > old / 2 || old <= 64))
		return p;
	q = kmalloc(size);
	if (!q)
		return size <= old ? p : NULL;
	memcpy(q, p, MIN(old, size));
	kfree(p);
	return q;
}

void kfree(void *p)
{
	struct page *page;

	if (!p)
		return;
	page = page_of(p);
	if (page && page->kind == PAGE_SLAB)
		slab_free(page_number(page->head), p);
	else if (page && page->kind == PAGE_RUN && page_address(page) == p)
		pages_give(p);
	else
		panic("heap: freeing %p, which was not allocated", p);
}

char *kstrdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = kmalloc(size);

	if (copy)
		memcpy(copy, s, size);
	return copy;
}

void *kpages_alloc(size_t pages)
{
	bool zeroed;
	void *p = pages_take(pages, &zeroed);

	if (p && !zeroed)
		memset(p, 0, pages * PAGE_SIZE);
	return p;
}

void kpages_free(void *p, size_t pages)
{
	(void)pages;
	kfree(p);
}
