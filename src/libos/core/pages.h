/*
 * The page allocator below kheap: runs of pages in SLOT_LIBOS_HEAP, each page with a small record that the slab layer
 * (core/kheap.c) uses too. Only core/kheap.c includes this.
 */
#ifndef LIBOS_PAGES_H
#define LIBOS_PAGES_H

#include "core/types.h"

enum page_kind {
	PAGE_NONE = 0,	/* never handed out, or inside a run */
	PAGE_FREE = 1,	/* first or last page of a free run */
	PAGE_RUN = 2,	/* first page of an allocated run */
	PAGE_SLAB = 3,	/* any page of a slab */
};

/* One record a page. `pages` is valid in the first and last page of a free run, and in the first of others. */
struct page {
	uint8_t kind;	   /* enum page_kind */
	uint8_t committed; /* free runs: backed by memory */
	uint8_t size_class; /* slabs */
	uint8_t zeroed;	   /* free runs: committed and never written */
	uint32_t pages;
	uint32_t next, prev; /* free runs: in their bin; slabs with free objects: in their class (page numbers, 0 none) */
	uint32_t head;	     /* slabs: first page of the slab */
	uint32_t used;	     /* slabs: objects handed out */
	void *free;	     /* slabs: list of free objects */
};
_Static_assert(sizeof(struct page) == 32, "page records stay small");

void pages_init(uint64_t slot_base);
/* A run of committed pages with arbitrary contents (*zeroed tells if they are zero), or NULL. */
nodiscard void *pages_take(size_t count, bool *zeroed);
void pages_give(void *run);
struct page *page_of(const void *address); /* record of the page that holds it; NULL outside the heap */
struct page *page_number(uint32_t number);
uint32_t page_index(const struct page *p);
void *page_address(const struct page *p);

#endif
