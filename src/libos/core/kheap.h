/*
 * The libOS's own memory, in SLOT_LIBOS_HEAP. Thread-safe. Memory comes from hostcall mem_commit with HC_MEM_SHARED
 * (libOS state stays shared when fork comes) and counts against the cVM's limit: every allocation may fail (NULL).
 */
#ifndef LIBOS_KHEAP_H
#define LIBOS_KHEAP_H

#include "core/types.h"

void kheap_init(uint64_t slot_base);
nodiscard void *kmalloc(size_t size); /* 16-byte aligned */
nodiscard void *kzalloc(size_t size);
nodiscard void *krealloc(void *p, size_t size);
void kfree(void *p); /* NULL is fine */
nodiscard char *kstrdup(const char *s);
nodiscard void *kpages_alloc(size_t pages); /* zeroed, page-aligned */
void kpages_free(void *p, size_t pages);

#endif
