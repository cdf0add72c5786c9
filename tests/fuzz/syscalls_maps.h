/*
 * Random calls of syscalls_guest.c, which includes this, on memory: what is locked, filled in advance, made longer,
 * and what the heap's end does.
 */
#ifndef TESTS_FUZZ_SYSCALLS_MAPS_H
#define TESTS_FUZZ_SYSCALLS_MAPS_H

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#define HEAP_PAGES 16u

static uint8_t *g_heap; /* its end at the start */

/* Fresh memory there, with something in its first page. */
static bool fresh(uint8_t *at_page, size_t size, int flags)
{
	if (mmap(at_page, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at_page)
		return false;
	return pread(g_probe, at_page, PAGE, 0) == PAGE;
}

static void heap_end(void)
{
	long to = (long)below(HEAP_PAGES) * (long)PAGE + (rarely(3) ? (long)below(PAGE) : 0);

	if (!g_heap) { /* whole pages, with room for what libc might want */
		g_heap = (uint8_t *)(((uintptr_t)syscall(SYS_brk, 0) + PAGE - 1) / PAGE * PAGE);
		syscall(SYS_brk, g_heap);
	}
	say("brk %ld", to);
	long end = syscall(SYS_brk, rarely(12) ? NULL : g_heap + to);
	say(" -> %ld", end - (long)(intptr_t)g_heap);
	if (end > (long)(intptr_t)g_heap) {
		size_t size = (size_t)(end - (long)(intptr_t)g_heap);
		say(" #%x", hash(g_heap, size));
		g_heap[below((unsigned)size)] = (uint8_t)next();
	}
}

static void do_map_else(void)
{
	unsigned from;
	uint8_t *at_page = page(&from);
	size_t size = pages(from);

	switch (below(6)) {
	case 0: {
		unsigned what = below(4);
		long flags = ONE_OF(0, 1, 2);
		if (!fresh(at_page, size, MAP_PRIVATE))
			return;
		if (rarely(3))
			reserve(at_page, PAGE);
		say("%s page %u %zu", what == 0 ? "mlock" : what == 1 ? "munlock" : "mlock2", from, size);
		if (what < 2 && rarely(4))
			at_page += below(PAGE), size -= PAGE;
		result(what == 0 ? mlock(at_page, size) : what == 1 ? munlock(at_page, size) : syscall(SYS_mlock2, at_page, size, flags));
		munlock((void *)((uintptr_t)at_page / PAGE * PAGE), size);
		break;
	}
	case 1: {
		int advice = (int)ONE_OF(MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTNEED, MADV_FREE, 24);
		bool shared = advice != MADV_FREE && rarely(2), read_only = rarely(3);
		if (!fresh(at_page, size, shared ? MAP_SHARED : MAP_PRIVATE))
			return;
		if (read_only)
			mprotect(at_page, size, PROT_READ);
		say("madvise page %u %zu %d%s%s", from, size, advice, shared ? " shared" : "", read_only ? " read-only" : "");
		result(madvise(at_page, size, advice));
		if (advice != MADV_FREE && pwrite(g_probe, at_page, PAGE, 0) == PAGE && pread(g_probe, g_buffer, PAGE, 0) == PAGE)
			say(" #%x", hash(g_buffer, PAGE));
		break;
	}
	case 2: { /* longer where it is */
		if (from + 3 > REGION_PAGES || !fresh(at_page, 3 * PAGE, MAP_PRIVATE))
			return;
		munmap(at_page + PAGE, 2 * PAGE);
		bool taken = rarely(2);
		if (taken)
			reserve(at_page + 2 * PAGE, PAGE);
		say("mremap page %u longer%s", from, taken ? ", not everywhere" : "");
		void *r = mremap(at_page, PAGE, 3 * PAGE, 0);
		address(r);
		if (r == at_page)
			say(" #%x", hash(at_page, 3 * PAGE));
		reserve(at_page, 3 * PAGE);
		break;
	}
	case 3:
		heap_end();
		break;
	case 4: {
		uint8_t there[REGION_PAGES] = { 0 };
		if (!fresh(at_page, size, MAP_PRIVATE))
			return;
		say("mincore page %u %zu", from, size);
		if (result(mincore(at_page, size, there)) == 0)
			say(" %d", there[0] & 1);
		break;
	}
	default: {
		unsigned flags = (unsigned)ONE_OF(MAP_POPULATE, MAP_STACK, MAP_NORESERVE, MAP_DENYWRITE, MAP_EXECUTABLE, MAP_NONBLOCK);
		say("mmap page %u %zu flags %x", from, size, flags);
		address(mmap(at_page, size, PROT_READ | PROT_WRITE, (int)flags | MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		say(" #%x", hash(at_page, size));
	}
	}
}

#endif
