/*
 * Memory of cVMs: what is accessible, what counts against the limit, what executes; and the mem_* hostcalls that change
 * it. Everything under the cVM's mem_lock. W^X: no page is writable and executable at once, and a page becomes
 * executable only as memory that nobody can write to, and was scanned since (code.c).
 */
#include <linux/mman.h>

#include "host/syscall.h"
#include "monitor/caps.h"
#include "monitor/hostcalls.h"

#define FREED_AT_ONCE (64ull << 20)
#define PROT_RW (PROT_READ | PROT_WRITE)
/* Linux's default limit is 65530; thread blocks of the monitor need 4 each, a change that runs now 4 a thread, objects 2 each. */
#define MAPPINGS_SHARED 36000u

uint64_t pages_change(const struct cvm *c, uint64_t *bitmap, uint64_t addr, uint64_t size, enum pages_change change)
{
	uint64_t first = page_of(c, addr), had = 0;

	for (uint64_t count = size / CVM_PAGE_SIZE, n; count; first += n, count -= n) {
		uint64_t bit = first % 64, *word = &bitmap[first / 64];
		n = MIN(64 - bit, count);
		uint64_t mask = (n == 64 ? ~0ull : (1ull << n) - 1) << bit;
		had += (uint64_t)__builtin_popcountll(*word & mask);
		if (change == PAGES_SET)
			*word |= mask;
		else if (change == PAGES_CLEAR && *word & mask)
			*word &= ~mask;
	}
	return had;
}

int memory_count(struct cvm *c, uint64_t bytes)
{
	uint64_t max = insecure(LAUNCH_INSECURE_NO_LIMITS) ? ~0ull : c->config->memory_max;
	uint64_t now = __atomic_load_n(&c->memory_now, __ATOMIC_RELAXED);

	do {
		if (now > max || bytes > max - now)
			return -ENOMEM;
	} while (!__atomic_compare_exchange_n(&c->memory_now, &now, now + bytes, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (now + bytes > LOAD(c->stats.memory_peak))
		__atomic_store_n(&c->stats.memory_peak, now + bytes, __ATOMIC_RELAXED);
	return 0;
}

void memory_uncount(struct cvm *c, uint64_t bytes)
{
	__atomic_sub_fetch(&c->memory_now, bytes, __ATOMIC_RELAXED);
}

/* Pages become counted; -ENOMEM changes nothing. */
static int count_pages(struct cvm *c, uint64_t addr, uint64_t size)
{
	int r = memory_count(c, size - pages_change(c, c->counted, addr, size, PAGES_COUNT) * CVM_PAGE_SIZE);

	if (!r)
		pages_change(c, c->counted, addr, size, PAGES_SET);
	return r;
}

void memory_uncount_pages(struct cvm *c, uint64_t addr, uint64_t size)
{
	memory_uncount(c, pages_change(c, c->counted, addr, size, PAGES_CLEAR) * CVM_PAGE_SIZE);
}

static bool all_mapped(const struct cvm *c, uint64_t addr, uint64_t size)
{
	return pages_change(c, c->mapped, addr, size, PAGES_COUNT) == size / CVM_PAGE_SIZE;
}

/* The host limits the mappings of the process (vm.max_map_count), so each cVM has a share. A change makes four more at most;
 * they are counted only when that bound reaches the share. A release may go beyond, so that there is a way back. */
int memory_check(struct cvm *c, uint64_t addr, uint64_t size, bool release)
{
	uint64_t share = MAPPINGS_SHARED / g_arena->launch.cvms + release * 256ull;
	struct procmap_query q = { .size = sizeof q, .query_flags = PROCMAP_COVERING_OR_NEXT };

	if ((addr | size) & (CVM_PAGE_SIZE - 1) || !size)
		return -EINVAL;
	if (!in_slot(c, (struct gaddr){ addr }, size) || (addr < c->base + SLOT_LIBOS_HEAP && addr >= SLOT_LOW_END))
		return -EFAULT;
	LOCKED(&c->mem_lock);
	if ((c->mappings += 4) >= share && !insecure(LAUNCH_INSECURE_NO_LIMITS)) {
		q.vma_end = g_arena->low_owner == c ? SLOT_LOW_BASE : c->base;
		for (c->mappings = 0; q.vma_end < c->base + SLOT_SIZE; c->mappings++) {
			q.query_addr = q.vma_end < SLOT_LOW_END || q.vma_end > c->base ? q.vma_end : c->base;
			if (host(__NR_ioctl, g_arena->maps_fd, PROCMAP_QUERY, &q))
				break;
		}
	}
	return c->mappings < share || insecure(LAUNCH_INSECURE_NO_LIMITS) ? 0 : -ENOMEM;
}

struct cvm *pages_of(struct thread *t, const uint64_t *a, bool release)
{
	int r = memory_check(t->cvm, a[0], a[1], release);

	return r ? error_pointer(r) : t->cvm;
}

static int check_prot(uint64_t prot)
{
	uint64_t allowed = PROT_RW | (insecure(LAUNCH_INSECURE_NO_WX) ? PROT_EXEC : 0);

	return prot & ~allowed ? -EINVAL : 0;
}

/* What lies there is freed piece by piece first: to be unmapped it would hold the lock of all mappings for as long as that takes.
 * Addresses are below 2^63, so a negative result is an error. */
static int map_fixed(uint64_t addr, uint64_t size, uint64_t prot, uint32_t flags, int fd, uint64_t offset)
{
	for (uint64_t done = 0; size > FREED_AT_ONCE && done < size; done += FREED_AT_ONCE)
		host(__NR_madvise, addr + done, MIN(FREED_AT_ONCE, size - done), MADV_DONTNEED);
	long r = host_mmap(addr, size, (uint32_t)prot, flags | MAP_FIXED | MAP_NORESERVE, fd, offset);

	return r < 0 ? (int)r : 0;
}

int memory_reserve(uint64_t addr, uint64_t size)
{
	return map_fixed(addr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Shared anonymous pages would stay in the host's memory, uncounted, until the last page of their mapping goes: they are
 * removed, once nobody can touch them again. */
void memory_replace(struct cvm *c, uint64_t addr, uint64_t size)
{
	if (!pages_change(c, c->shared, addr, size, PAGES_COUNT))
		return;
	host(__NR_mprotect, addr, size, PROT_NONE);
	for (uint64_t at = addr, from = addr; at < addr + size; from = at += CVM_PAGE_SIZE) {
		while (at < addr + size && pages_change(c, c->shared, at, CVM_PAGE_SIZE, PAGES_CLEAR))
			at += CVM_PAGE_SIZE; /* in one piece: revocation may wait for this */
		if (at > from)
			host(__NR_madvise, from, at - from, MADV_REMOVE);
	}
}

int memory_unmap(struct cvm *c, uint64_t addr, uint64_t size)
{
	memory_replace(c, addr, size);
	int r = memory_reserve(addr, size);
	if (r)
		return r;
	memory_uncount_pages(c, addr, size);
	pages_change(c, c->exec, addr, size, PAGES_CLEAR);
	pages_change(c, c->mapped, addr, size, PAGES_CLEAR);
	return 0;
}

int memory_assign(struct cvm *c, uint64_t addr, uint64_t size, int prot)
{
	int r = domain_assign(c, addr, size, prot);

	if (!r)
		pages_change(c, c->mapped, addr, size, PAGES_SET);
	return r;
}

int memory_map(struct cvm *c, uint64_t addr, uint64_t size, uint64_t prot, uint32_t flags, int fd, uint64_t offset)
{
	bool counted = flags & MAP_ANONYMOUS || (flags & MAP_PRIVATE && prot & PROT_WRITE);
	int r = counted ? count_pages(c, addr, size) : 0;

	if (r)
		return r;
	if (!counted)
		memory_uncount_pages(c, addr, size);
	memory_replace(c, addr, size);
	r = map_fixed(addr, size, prot, flags, fd, offset);
	if (!r) { /* a page counts as executing until it certainly does not: see check_edge */
		pages_change(c, c->exec, addr, size, PAGES_CLEAR);
		r = memory_assign(c, addr, size, (int)prot);
	}
	if (r)
		memory_unmap(c, addr, size);
	else if (flags & MAP_ANONYMOUS && !(flags & MAP_PRIVATE))
		pages_change(c, c->shared, addr, size, PAGES_SET);
	return r;
}

void memory_release_all(struct cvm *c)
{
	memory_reserve(c->base, SLOT_SIZE);
	if (g_arena->low_owner == c) {
		memory_reserve(SLOT_LOW_BASE, SLOT_LOW_END - SLOT_LOW_BASE);
		__atomic_store_n(&g_arena->low_owner, NULL, __ATOMIC_RELEASE);
	}
	/* All bitmaps, dropped rather than cleared: 2 MiB each, mostly untouched. */
	host(__NR_madvise, c->mapped, 4 * BITMAP_SIZE, MADV_REMOVE);
}

/* Common to new mappings: (addr, size, prot, HC_MEM_SHARED or 0). */
static int check_mapping(const uint64_t *a)
{
	return a[3] & ~(uint64_t)HC_MEM_SHARED ? -EINVAL : check_prot(a[2]);
}

HOSTCALL_ON_PAGES(mem_commit, false)
{
	uint32_t flags = MAP_ANONYMOUS | (a[3] & HC_MEM_SHARED ? MAP_SHARED : MAP_PRIVATE);

	return check_mapping(a) ?: memory_map(c, a[0], a[1], a[2], flags, -1, 0);
}

long hc_mem_low_window(struct thread *t, const uint64_t *a)
{
	struct cvm *none = NULL;
	bool taken = __atomic_compare_exchange_n(&g_arena->low_owner, &none, t->cvm, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);

	return taken || none == t->cvm ? 0 : -EBUSY;
}

HOSTCALL_ON_PAGES(mem_release, true)
{
	return memory_unmap(c, a[0], a[1]) ?: (cap_mapped(c, a[0], a[1], true), 0);
}

HOSTCALL_ON_PAGES(mem_protect, false)
{
	int r = check_prot(a[2]) ?: all_mapped(c, a[0], a[1]) ? 0 : -ENOMEM;

	if (!r && a[2] & PROT_WRITE) /* private file pages may now be copied */
		r = count_pages(c, a[0], a[1]);
	r = r ?: domain_assign(c, a[0], a[1], (int)a[2]); /* may end half-way */
	if (!r)
		pages_change(c, c->exec, a[0], a[1], PAGES_CLEAR);
	return r;
}

static bool mapping_allowed(const struct handle *h, uint64_t prot, bool shared)
{
	return h->rights & LAUNCH_RIGHT_READ && (!shared || !(prot & PROT_WRITE) || h->rights & LAUNCH_RIGHT_WRITE);
}

HOSTCALL_ON_PAGES(mem_map_file, false)
{
	bool shared = a[3] & HC_MEM_SHARED;
	int error = check_mapping(a);
	struct handle *h PINNED = error ? error_pointer(error) : handle_get(t, a[4], HANDLE_FILE | HANDLE_MEMOBJ);

	if (error_in(h) || !mapping_allowed(h, a[2], shared))
		return error_in(h) ?: -EACCES;
	return memory_map(c, a[0], a[1], a[2], shared ? MAP_SHARED : MAP_PRIVATE, h->fd, a[5]);
}

long hc_mem_advise(struct thread *t, const uint64_t *a)
{
	int r = memory_check(t->cvm, a[0], a[1], false);

	if (r || a[2] <= MADV_SEQUENTIAL) /* NORMAL, RANDOM: hints that would split mappings */
		return r;
	if (a[2] != MADV_WILLNEED && a[2] != MADV_DONTNEED && a[2] != MADV_FREE)
		return -EINVAL;
	/* Code that is dropped comes back from the sealed memory, a JIT's as zeros, which no forbidden sequence has. */
	return host(__NR_madvise, a[0], a[1], a[2]);
}

/* Moves what a bitmap says of pages that mremap moved; it says the same of all of them, or each is looked at. */
static void move_pages(struct cvm *c, uint64_t *bitmap, uint64_t from, uint64_t to, uint64_t size)
{
	uint64_t set = pages_change(c, bitmap, from, size, PAGES_COUNT) * CVM_PAGE_SIZE;
	uint64_t step = set && set != size ? CVM_PAGE_SIZE : size;

	for (uint64_t at = 0; at < size; at += step)
		pages_change(c, bitmap, to + at, step, pages_change(c, bitmap, from + at, step, PAGES_CLEAR) ? PAGES_SET : PAGES_CLEAR);
}

long hc_mem_move(struct thread *t, const uint64_t *a)
{
	struct cvm *c = t->cvm;
	uint64_t from = a[0], old_size = a[1], to = a[2], new_size = a[3], kept = MIN(old_size, new_size);
	int r = memory_check(c, from, old_size, false) ?: memory_check(c, to, new_size, false);

	if (r || (from < to + new_size && to < from + old_size))
		return r ?: -EINVAL;
	LOCKED(&c->mem_lock);
	if (pages_change(c, c->exec, from, old_size, PAGES_COUNT) || cap_mapped(c, from, old_size, false) || !all_mapped(c, from, old_size))
		return -EINVAL;
	r = pages_change(c, c->mapped, to, new_size, PAGES_COUNT) ? memory_unmap(c, to, new_size) : 0;
	if (!r && old_size > kept)
		r = memory_unmap(c, from + kept, old_size - kept);
	if (!r && new_size > kept)
		r = count_pages(c, to + kept, new_size - kept);
	if (r)
		return r;
	long moved = host5(__NR_mremap, (long)from, (long)kept, (long)new_size, MREMAP_MAYMOVE | MREMAP_FIXED, (long)to);
	if (moved < 0) {
		memory_unmap(c, to, new_size);
		return moved;
	}
	move_pages(c, c->counted, from, to, kept);
	if (pages_change(c, c->shared, from, CVM_PAGE_SIZE, PAGES_COUNT)) /* it may grow by pages that lie behind it as well */
		pages_change(c, c->shared, to + kept, new_size - kept, PAGES_SET);
	move_pages(c, c->shared, from, to, kept);
	pages_change(c, c->mapped, to, new_size, PAGES_SET);
	return memory_unmap(c, from, old_size);
}

long hc_mem_sync(struct thread *t, const uint64_t *a)
{
	return memory_check(t->cvm, a[0], a[1], false) ?: host(__NR_msync, a[0], a[1], a[2]);
}
