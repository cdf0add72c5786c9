/*
 * Question: can a cVM hold more memory than its limit in memory objects: by writing beyond the size that was counted, by appending, by
 * closing one whose mapping keeps the pages, or by writing while another thread makes it smaller?
 * Expect: REFUSED: what an object holds is what was counted
 * Control: --insecure-no-limits
 * Options: memory=64M
 * Native: the accounts
 */
#include "raw.h"

#define MIB (1ull << 20)

static uint64_t g_object;
static volatile bool g_stop;

static void shrinks_and_grows(void *unused)
{
	(void)unused;
	while (!g_stop) {
		hostcall(HC_file_truncate, g_object, 0, 0, 0, 0, 0);
		hostcall(HC_file_truncate, g_object, MIB, 0, 0, 0, 0);
	}
	hostcall(HC_file_truncate, g_object, 0, 0, 0, 0, 0);
}

static uint64_t blocks_of(uint64_t handle, uint64_t *size)
{
	static struct statx st;

	if (hostcall(HC_file_stat, handle, 0, 0, STATX_BLOCKS | STATX_SIZE, (uint64_t)&st, 0))
		breach("file_stat does not work");
	*size = st.stx_size;
	return st.stx_blocks * 512;
}

static void attack(void)
{
	static uint8_t data[MIB];
	uint64_t at = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30), size, held;
	static struct iov { void *base; uint64_t size; } iov = { data, sizeof data };

	memset(data, 1, sizeof data);
	g_object = (uint64_t)hostcall(HC_memobj_create, PAGE, 0, 0, 0, 0, 0);
	for (uint64_t i = 0; i < 128; i++) {
		hostcall(HC_file_pwrite, g_object, (uint64_t)data, MIB, i * MIB, 0, 0);
		hostcall(HC_file_write, g_object, (uint64_t)data, MIB, 0, 0, 0);
		hostcall(HC_file_writev, g_object, (uint64_t)&iov, 1, (uint64_t)-1, 0, 0);
		hostcall(HC_file_writev, g_object, (uint64_t)&iov, 1, i * MIB, 0, 0);
		hostcall(HC_file_allocate, g_object, 0, i * MIB, MIB, 0, 0);
	}
	hostcall(HC_file_setfl, g_object, O_APPEND, 0, 0, 0, 0); /* then pwrite would not write where it says */
	for (uint64_t i = 0; i < 128; i++)
		hostcall(HC_file_pwrite, g_object, (uint64_t)data, PAGE, 0, 0, 0);
	held = blocks_of(g_object, &size);
	if (size > PAGE || held > PAGE)
		breach("an object of one page holds %lu bytes", held);
	if (hostcall(HC_file_pwrite, g_object, (uint64_t)data, 2, PAGE - 1, 0, 0) >= 0 || hostcall(HC_file_pwrite, g_object, (uint64_t)data, 2, ~0ull, 0, 0) >= 0 ||
	    hostcall(HC_file_pwrite, g_object, (uint64_t)data, PAGE, 0, 0, 0) != (long)PAGE)
		breach("the edge of the object is not where it should be");

	/* closed, but mapped: 4 MiB, 64 times, is four times the limit */
	for (uint64_t i = 0; i < 64; i++) {
		long object = hostcall(HC_memobj_create, 4 * MIB, 0, 0, 0, 0, 0);
		if (object < 0)
			breach("object %lu: %ld: closing gives back nothing", i, object);
		if (hostcall(HC_mem_map_file, at + i * 4 * MIB, 4 * MIB, PROT_READ | PROT_WRITE, HC_MEM_SHARED, (uint64_t)object, 0))
			breach("mem_map_file does not work");
		memset((void *)(at + i * 4 * MIB), 1, 4 * MIB);
		hostcall(HC_file_close, (uint64_t)object, 0, 0, 0, 0, 0);
		if (guarded(load_byte, (void *)(at + i * 4 * MIB)).signal != SIGBUS)
			breach("a closed object's pages are still there, and not counted");
	}

	struct raw_thread *t = raw_new(shrinks_and_grows, NULL);
	raw_start(t);
	for (int i = 0; i < 3000; i++)
		hostcall(HC_file_pwrite, g_object, (uint64_t)data, MIB, 0, 0, 0);
	g_stop = true;
	raw_wait(t);
	held = blocks_of(g_object, &size);
	if (size || held)
		breach("after a race an empty object holds %lu bytes", held);
	refused("what an object holds is what was counted");
}
