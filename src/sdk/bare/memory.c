/* A bare cVM's memory: addresses from the slot's heap area upwards, committed page by page. Ranges given back are kept for
 * the next request of the same size. */
#include "sdk/bare/bare.h"

#define KEPT 64
#define READ_WRITE 3

static struct {
	struct sdk_lock lock;
	uint64_t next, end;
	struct {
		uint64_t at, size;
	} kept[KEPT];
} g_memory;

void bare_memory_init(void)
{
	g_memory.next = g_bare_start.slot_base + SLOT_LIBOS_HEAP;
	g_memory.end = g_bare_start.slot_base + SLOT_SIZE;
}

static uint64_t pages(size_t size)
{
	return (size + CVM_PAGE_SIZE - 1) & ~(CVM_PAGE_SIZE - 1);
}

void *platform_reserve(size_t size)
{
	uint64_t at = 0;

	size = pages(size);
	sdk_lock_take(&g_memory.lock);
	for (int i = 0; i < KEPT && !at; i++) {
		if (g_memory.kept[i].at && g_memory.kept[i].size == size) {
			at = g_memory.kept[i].at;
			g_memory.kept[i].at = 0;
		}
	}
	if (!at && size && size < g_memory.end - g_memory.next - CVM_PAGE_SIZE) {
		at = g_memory.next;
		g_memory.next += size + CVM_PAGE_SIZE;
	}
	sdk_lock_give(&g_memory.lock);
	return (void *)at;
}

void platform_unreserve(void *at, size_t size)
{
	sdk_lock_take(&g_memory.lock);
	for (int i = 0; i < KEPT; i++) {
		if (g_memory.kept[i].at)
			continue;
		g_memory.kept[i].at = (uint64_t)at;
		g_memory.kept[i].size = pages(size);
		break;
	}
	sdk_lock_give(&g_memory.lock);
}

int platform_vacate(void *at, size_t size)
{
	return (int)gate(HC_mem_release, at, size);
}

int platform_unmap(void *at, size_t size)
{
	long r = gate(HC_mem_release, at, size);

	if (!r)
		platform_unreserve(at, size);
	return (int)r;
}

void *cvm_alloc(size_t size)
{
	void *at = platform_reserve(size);

	if (at && gate(HC_mem_commit, at, pages(size), READ_WRITE, 0)) {
		platform_unreserve(at, size);
		return NULL;
	}
	return at;
}

void cvm_free(void *memory, size_t size)
{
	if (memory && !gate(HC_mem_release, memory, pages(size)))
		platform_unreserve(memory, size);
}

void *platform_pages(size_t size)
{
	return cvm_alloc(size);
}

void platform_pages_free(void *at, size_t size)
{
	cvm_free(at, size);
}
