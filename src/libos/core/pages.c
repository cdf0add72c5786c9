/*
 * Page allocator of the libOS heap (core/pages.h): best-effort small, quick, and giving large free runs back.
 *
 * The heap is an array of page records followed by the pages; both are committed in steps of at least 256 KiB. Free runs
 * are kept in bins by size, doubly linked through the records of their first pages; first and last page of a free run
 * know its length, so that neighbours join. Runs are committed or not, and join only their own kind. Page number 0 is
 * never handed out (it means "none"). One lock guards everything; kheap calls with its own class lock held or none.
 */
#include "core/pages.h"
#include "core/hostcall.h"
#include "core/lock.h"

#include "abi/slot.h"

#define STEP_PAGES 64u		   /* smallest commit: 256 KiB */
#define STEP_PAGES_MAX 2048u	   /* largest step; each commit is a mapping of the host, so they grow with the heap */
#define KEEP_PAGES 1024u	   /* committed free pages kept for reuse: 4 MiB */
#define BINS 47u		   /* 1..31 pages exactly, then powers of two: 32 to 2^19 and more */
#define HEAP_PAGES ((uint32_t)((SLOT_LIBOS_FILES - SLOT_LIBOS_HEAP) / PAGE_SIZE))
#define RECORD_PAGES ((uint32_t)(HEAP_PAGES * sizeof(struct page) / PAGE_SIZE + 1))

_Static_assert(HEAP_PAGES < 1u << 20, "a bin for a run of the whole heap");

static struct mutex g_lock;
static struct page *g_page;	/* records; g_page[0] unused */
static uint64_t g_base;		/* address of page 0 */
static uint32_t g_count;	/* pages that have records so far: [1, g_count) */
static uint64_t g_records_end;	/* committed bytes of the record array */
static uint32_t g_kept;		/* committed free pages */
static uint32_t g_committed;	/* committed pages */
static uint32_t g_bin[2][BINS]; /* [committed][size bin] -> first page of the first run */

struct page *page_number(uint32_t number)
{
	return &g_page[number];
}

uint32_t page_index(const struct page *p)
{
	return (uint32_t)(p - g_page);
}

void *page_address(const struct page *p)
{
	return (void *)(g_base + page_index(p) * PAGE_SIZE);
}

struct page *page_of(const void *address)
{
	uint64_t number = ((uint64_t)address - g_base) / PAGE_SIZE;

	if ((uint64_t)address < g_base || number == 0 || number >= g_count)
		return NULL;
	return &g_page[number];
}

static unsigned bin_of(uint32_t pages)
{
	return pages < 32 ? pages : 32 + (31 - (unsigned)__builtin_clz(pages)) - 5;
}

static void bin_insert(struct page *p, uint32_t pages, bool committed, bool zeroed)
{
	uint32_t *bin = &g_bin[committed][bin_of(pages)];
	struct page *last = p + pages - 1;

	*last = (struct page){.kind = PAGE_FREE, .committed = committed, .zeroed = zeroed, .pages = pages};
	*p = (struct page){.kind = PAGE_FREE, .committed = committed, .zeroed = zeroed, .pages = pages, .next = *bin};
	if (*bin)
		g_page[*bin].prev = page_index(p);
	*bin = page_index(p);
	if (committed)
		g_kept += pages;
}

static void bin_remove(struct page *p)
{
	if (p->prev)
		g_page[p->prev].next = p->next;
	else
		g_bin[p->committed][bin_of(p->pages)] = p->next;
	if (p->next)
		g_page[p->next].prev = p->prev;
	if (p->committed)
		g_kept -= p->pages;
	p[p->pages - 1].kind = PAGE_NONE;
	p->kind = PAGE_NONE;
}

/* Insert a free run, joined with free neighbours of its kind. */
static void run_free(struct page *p, uint32_t pages, bool committed, bool zeroed)
{
	struct page *after = p + pages, *before = p - 1;

	if (page_index(after) < g_count && after->kind == PAGE_FREE && after->committed == committed) {
		pages += after->pages;
		zeroed = zeroed && after->zeroed;
		bin_remove(after);
	}
	if (page_index(before) > 0 && before->kind == PAGE_FREE && before->committed == committed) {
		before -= before->pages - 1;
		pages += before->pages;
		zeroed = zeroed && before->zeroed;
		bin_remove(before);
		p = before;
	}
	bin_insert(p, pages, committed, zeroed);
}

/* The smallest bin that has a run of at least `pages`; inside the power-of-two bins the first that fits. */
static struct page *run_find(uint32_t pages, bool committed)
{
	for (unsigned b = bin_of(pages); b < BINS; b++)
		for (uint32_t i = g_bin[committed][b]; i; i = g_page[i].next)
			if (g_page[i].pages >= pages)
				return &g_page[i];
	return NULL;
}

/* More records, and one uncommitted run for the new pages. */
static bool heap_extend(uint32_t pages)
{
	uint32_t first = g_count, count = MAX(pages, 4096u); /* records for 16 MiB more: 128 KiB */
	uint64_t need;

	if (first + count > HEAP_PAGES - RECORD_PAGES)
		return false;
	need = ALIGN_UP((uint64_t)(first + count) * sizeof(struct page), STEP_PAGES * PAGE_SIZE / 2);
	if (need > g_records_end) {
		if (hostcall(HC_mem_commit, (uint64_t)g_page + g_records_end, need - g_records_end, 3, HC_MEM_SHARED) < 0)
			return false;
		g_records_end = need;
	}
	g_count = first + count;
	run_free(&g_page[first], count, false, false);
	return true;
}

/* Cut `pages` off the front of a free run; the rest stays free. */
static void run_cut(struct page *p, uint32_t pages)
{
	uint32_t all = p->pages;
	bool committed = p->committed, zeroed = p->zeroed;

	bin_remove(p);
	if (all > pages)
		bin_insert(p + pages, all - pages, committed, zeroed);
}

static struct page *run_commit(uint32_t pages)
{
	uint32_t step = MAX(pages, MIN(MAX(g_committed / 8, STEP_PAGES), STEP_PAGES_MAX));
	struct page *p = run_find(step, false);

	if (!p && heap_extend(step))
		p = run_find(step, false);
	if (!p) {
		step = pages;
		p = run_find(step, false);
	}
	if (!p || hostcall(HC_mem_commit, page_address(p), step * PAGE_SIZE, 3, HC_MEM_SHARED) < 0)
		return NULL;
	g_committed += step;
	run_cut(p, step);
	if (step > pages)
		run_free(p + pages, step - pages, true, true);
	return p;
}

void *pages_take(size_t count, bool *zeroed)
{
	struct page *p;

	if (count == 0 || count > HEAP_PAGES)
		return NULL;
	mutex_lock(&g_lock);
	p = run_find((uint32_t)count, true);
	*zeroed = !p || p->zeroed;
	if (p)
		run_cut(p, (uint32_t)count);
	else
		p = run_commit((uint32_t)count);
	if (p)
		*p = (struct page){.kind = PAGE_RUN, .pages = (uint32_t)count};
	mutex_unlock(&g_lock);
	return p ? page_address(p) : NULL;
}

void pages_give(void *run)
{
	struct page *p = page_of(run);
	uint32_t pages = p->pages;
	bool release = pages >= KEEP_PAGES / 4;

	mutex_lock(&g_lock);
	p->kind = PAGE_NONE;
	release = release || (g_kept > KEEP_PAGES && pages >= STEP_PAGES);
	if (release)
		release = hostcall(HC_mem_release, run, pages * PAGE_SIZE) == 0;
	if (release)
		g_committed -= pages;
	run_free(p, pages, !release, false);
	mutex_unlock(&g_lock);
}

void pages_init(uint64_t slot_base)
{
	g_page = (struct page *)(slot_base + SLOT_LIBOS_HEAP);
	g_base = slot_base + SLOT_LIBOS_HEAP + RECORD_PAGES * PAGE_SIZE;
	g_count = 1;
	g_records_end = 0;
}
