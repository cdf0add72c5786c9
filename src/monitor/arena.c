/*
 * The address space of the Intravisor process: one reservation for the slots, one shared arena for all monitor state.
 * Called once by main.c; afterwards nothing in the monitor maps at an address of the kernel's choice.
 */
#include <linux/mman.h>

#include "host/syscall.h"
#include "monitor/caps.h"

struct arena *g_arena;
uint32_t g_key0_canary;

static uint64_t g_blocks, g_vcpus, g_slots, g_objects;

struct thread *thread_block(uint32_t id)
{
	return (struct thread *)(g_blocks + (uint64_t)id * THREAD_BLOCK_SIZE);
}

struct vcpu_page *vcpu_page(uint32_t id)
{
	return (struct vcpu_page *)(g_vcpus + (uint64_t)id * VCPU_PAGE_SIZE);
}

uint64_t slot_base(uint32_t index)
{
	return g_slots + index * SLOT_SIZE;
}

uint64_t object_address(uint32_t object)
{
	return g_objects + object * OBJECT_WINDOW;
}

/* An aligned reservation; what sticks out on both sides stays reserved too. */
static uint64_t reserve(uint64_t size, uint64_t align, uint32_t prot, uint32_t flags)
{
	long addr = host_mmap(0, size + align, prot, flags | MAP_NORESERVE, -1, 0);

	return addr < 0 ? 0 : ALIGN_UP((uint64_t)addr, align);
}

/* Only those that are used: a table untouched is memory never taken. */
struct cvm *arena_cvm(uint32_t index)
{
	uint64_t bitmaps = (uint64_t)g_arena + ALIGN_UP(sizeof(struct arena), CVM_PAGE_SIZE) + 4ull * index * BITMAP_SIZE;
	struct cvm *c = &g_arena->cvm[index];

	c->index = index;
	c->base = slot_base(index);
	c->mapped = (uint64_t *)bitmaps;
	c->counted = (uint64_t *)(bitmaps + BITMAP_SIZE);
	c->exec = (uint64_t *)(bitmaps + 2 * BITMAP_SIZE);
	c->shared = (uint64_t *)(bitmaps + 3 * BITMAP_SIZE);
	return c;
}

int arena_create(void)
{
	uint64_t blocks = (uint64_t)THREADS_MAX * THREAD_BLOCK_SIZE;
	uint64_t vcpus = (uint64_t)THREADS_MAX * VCPU_PAGE_SIZE;
	uint64_t tables = ALIGN_UP(sizeof(struct arena), CVM_PAGE_SIZE);
	uint64_t objects = ALIGN_UP((OBJECTS_MAX + STREAMS_MAX) * sizeof(struct object), CVM_PAGE_SIZE);
	uint64_t caps = CVMS_MAX * CAPS_MAX * sizeof(struct cap), bitmaps = 4ull * CVMS_MAX * BITMAP_SIZE;
	uint64_t size = blocks + vcpus + tables + bitmaps + objects + caps;
	uint64_t at = reserve(size, THREAD_BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);

	g_slots = reserve(CVMS_MAX * SLOT_SIZE, SLOT_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
	g_objects = reserve(OBJECTS_MAX * OBJECT_WINDOW, CVM_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
	long low = host_mmap(SLOT_LOW_BASE, SLOT_LOW_END - SLOT_LOW_BASE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (!at || !g_slots || !g_objects || low != (long)SLOT_LOW_BASE)
		return -ENOMEM;
	g_blocks = at;
	g_vcpus = at + blocks;
	g_arena = (struct arena *)(at + blocks + vcpus);
	g_arena->object = (struct object *)(at + blocks + vcpus + tables + bitmaps);
	g_arena->cap = (struct cap *)((uint64_t)g_arena->object + objects);
	return 0;
}
