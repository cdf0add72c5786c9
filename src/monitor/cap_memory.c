/*
 * CP_Files and other memory behind capabilities: bounds-checked copies in the gate, and mappings. An object's bytes lie in
 * a window of their own in key-0 memory; those of cap_memory lie in their owner's slot, whose pages may go at any time.
 */
#include <linux/fcntl.h>
#include <linux/mman.h>

#include "host/syscall.h"
#include "monitor/caps.h"
#include "monitor/hostcalls.h"

#define CHUNK (1ull << 20) /* copied between two looks at whether it was revoked */

int cap_memory_create(uint32_t object, int fd)
{
	struct object *o = &g_arena->object[object];
	uint64_t size = CAP_HEED(o->size) + CVM_PAGE_SIZE;

	o->memory.fd = fd < 0 ? (int32_t)host(__NR_memfd_create, "cp_file", MFD_CLOEXEC) : fd;
	long r = o->memory.fd < 0 ? o->memory.fd : host(__NR_ftruncate, o->memory.fd, size);
	r = r ?: host_mmap(object_address(object), size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, o->memory.fd, 0);
	return (int)MIN(r, 0);
}

void cap_memory_free(uint32_t object)
{
	const struct object *o = &g_arena->object[object];

	lock_give(&g_arena->cap_lock);
	memory_reserve(object_address(object), CAP_HEED(o->size) + CVM_PAGE_SIZE);
	host(__NR_close, o->memory.fd); /* -1: it never had one */
	lock_take(&g_arena->cap_lock);
}

/* Copies in either direction until done, faulted or revoked: bytes, or -errno if none. */
static inline __attribute__((always_inline)) long copy(struct thread *t, struct cap *k, const uint64_t *a, bool store)
{
	uint64_t user = a[1], offset = a[3], size = a[2], done = 0;

	if (!insecure(LAUNCH_INSECURE_NO_CAP_CHECK)) {
		if (offset >= k->length)
			return store && size ? -ENOSPC : 0;
		size = MIN(size, k->length - offset);
	}
	if (!in_slot(t->cvm, (struct gaddr){ user }, size))
		return -EFAULT;
	do {
		uint64_t n = MIN(size - done, CHUNK);
		char *there = (char *)(k->base + offset + done), *here = (char *)(user + done);
		if (store ? user_copy(there, here, n) : user_copy(here, there, n))
			return done ? (long)done : -EFAULT;
		done += n;
	} while (done < size && !(__atomic_load_n(&k->pins, __ATOMIC_RELAXED) & CAP_DEAD) && !LOAD(t->expired));
	return (long)done;
}

HOSTCALL_ON_CAP(cap_read, CAP_MEMORY, CAP_LOAD)
{
	return copy(t, k, a, false);
}

HOSTCALL_ON_CAP(cap_write, CAP_MEMORY, CAP_STORE)
{
	long r = copy(t, k, a, true);

	if (r > 0 && k->object)
		cap_changed(k->object);
	return r;
}

/* A mapping of shared memory that ends with its capability: read-only ones through a descriptor that cannot become
 * writable by mem_protect. The capability is pinned. */
int cap_map_at(struct thread *t, struct cap *k, uint64_t addr, uint64_t size, uint32_t prot, int fd, uint64_t offset)
{
	uint64_t total = k->kind == CAP_STREAM ? 2 * size : size; /* a ring twice, so that what wraps is contiguous */
	struct cvm *c = t->cvm;
	long use = prot & PROT_WRITE ? fd : reopen(fd, O_RDONLY);
	int r = (int)MIN(use, 0);

	LOCKED(&c->mem_lock);
	if (!r && k->map_size)
		r = -EBUSY;
	for (uint64_t at = 0; !r && at < total; at += size) {
		r = memory_map(c, addr + at, size, prot, MAP_SHARED, (int)use, offset);
		if (r && at)
			memory_unmap(c, addr, at);
	}
	if (!r) {
		k->map_addr = addr;
		__atomic_store_n(&k->map_size, total, __ATOMIC_RELEASE);
		c->cap_maps++;
	}
	if (use >= 0 && use != fd)
		host(__NR_close, use);
	return r;
}

HOSTCALL_ON_CAP(cap_map, CAP_MEMORY, CAP_MAP | CAP_LOAD | (a[3] & PROT_WRITE ? CAP_STORE : 0))
{
	struct object *o = &g_arena->object[k->object];
	uint64_t size = a[2], end;
	int error = a[3] & ~(uint64_t)(PROT_READ | PROT_WRITE) ? -EINVAL : memory_check(t->cvm, a[1], size, false);

	uint64_t at = k->base - object_address(k->object) + a[4];
	/* The last page of an object may be partly behind its end. */
	uint64_t limit = at - a[4] + k->length == o->size ? CAP_HEED(k->length) : k->length;
	if (k->length == o->size && k->perms & CAP_STORE)
		limit += CVM_PAGE_SIZE;
	if (error || !k->object || at & (CVM_PAGE_SIZE - 1) || !add_checked(a[4], size, &end) ||
	    (end > limit && !insecure(LAUNCH_INSECURE_NO_CAP_CHECK)))
		return error ?: -EINVAL;
	return cap_map_at(t, k, a[1], size, (uint32_t)a[3], o->memory.fd, at);
}

bool cap_unmap(struct cap *k)
{
	struct cvm *c = holder_of(k);

	if (!LOAD(k->map_size))
		return true;
	if (!lock_try(&c->mem_lock))
		return false;
	bool gone = !k->map_size || !memory_unmap(c, k->map_addr, k->map_size); /* forgotten meanwhile */
	c->cap_maps -= gone && k->map_size;
	if (gone)
		__atomic_store_n(&k->map_size, 0, __ATOMIC_RELEASE);
	lock_give(&c->mem_lock);
	return gone;
}

bool cap_mapped(struct cvm *c, uint64_t addr, uint64_t size, bool forget)
{
	bool found = false;

	for (uint32_t i = 1; c->cap_maps && i < CAPS_MAX && !insecure(LAUNCH_INSECURE_NO_CAP_CHECK); i++) {
		struct cap *k = cap_number(c->index * CAPS_MAX + i);
		uint64_t end = k->map_addr + k->map_size;
		if (!k->map_size || addr >= end || k->map_addr >= addr + size)
			continue;
		found = true;
		if (forget && addr <= k->map_addr && end <= addr + size) {
			__atomic_store_n(&k->map_size, 0, __ATOMIC_RELEASE);
			c->cap_maps--;
		}
	}
	return found;
}
