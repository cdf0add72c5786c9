/*
 * Question: can another thread put a forbidden sequence into a page while the monitor copies and scans it, by stores, by a
 * system call's result, or by replacing the pages (Garmr and Cerberus on races between check and use)?
 * Expect: REFUSED: what executes is what was scanned
 * Control: --insecure-no-scan
 * Native: the sealed copy
 */
#include "raw.h"

static uint64_t g_page;
static uint64_t g_memory;
static volatile bool g_stop;
static const uint8_t k_inverse[] = { 0xf0, 0xfe, 0x10 };
static uint8_t g_bytes[3];

static struct raw_thread *g_storer;

static void store(void *unused)
{
	(void)unused;
	for (int i = 0; i < 200; i++)
		for (int k = 0; k < 3; k++)
			((volatile uint8_t *)g_page)[2048 + k] = i & 1 ? g_bytes[k] : 0x90;
}

static void stores(void *unused)
{
	(void)unused;
	while (!g_stop)
		raw_try(g_storer, store, NULL); /* faults where it is sealed */
}

static void reads_into(void *unused)
{
	(void)unused;
	while (!g_stop) {
		hostcall(HC_file_pwrite, g_memory, (uint64_t)g_bytes, 3, 0, 0, 0);
		hostcall(HC_file_pread, g_memory, g_page + 1024, 3, 0, 0, 0); /* EFAULT where it is sealed */
	}
}

static void replaces(void *unused)
{
	(void)unused;
	while (!g_stop) {
		hostcall(HC_mem_advise, g_page, PAGE, MADV_DONTNEED, 0, 0, 0);
		hostcall(HC_thread_yield, 0, 0, 0, 0, 0, 0);
	}
}

static void attack(void)
{
	struct raw_thread *threads[3];
	int sealed = 0;

	for (int i = 0; i < 3; i++)
		g_bytes[i] = (uint8_t)~k_inverse[i];
	g_page = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30);
	long memory = hostcall(HC_memobj_create, PAGE, 0, 0, 0, 0, 0);
	g_memory = (uint64_t)memory;
	if (memory < 0 || hostcall(HC_file_pwrite, g_memory, (uint64_t)g_bytes, 3, 0, 0, 0) != 3 ||
	    hostcall(HC_mem_commit, g_page, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0))
		breach("cannot prepare");
	threads[0] = raw_new(reads_into, NULL);
	threads[1] = raw_new(replaces, NULL);
	threads[2] = g_storer = raw_new(stores, NULL);
	for (int i = 0; i < 3; i++)
		raw_start(threads[i]);
	for (int turn = 0; turn < 3000; turn++) {
		if (hostcall(HC_mem_commit, g_page, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0))
			breach("mem_commit does not work");
		memset((void *)(g_page + 16), 0x90, 512);
		if (hostcall(HC_mem_seal_code, g_page, PAGE, 0, 0, 0, 0))
			continue;
		sealed++;
		if (memmem((void *)g_page, PAGE, g_bytes, 3))
			breach("turn %d: WRPKRU is in executable memory", turn);
		for (int look = 0; look < 20; look++)
			if (memmem((void *)(g_page + 1024), 1040, g_bytes, 3))
				breach("turn %d: WRPKRU came into executable memory", turn);
	}
	g_stop = true;
	for (int i = 0; i < 3; i++)
		raw_wait(threads[i]);
	if (!sealed || sealed == 3000)
		breach("%d of 3000 pages were sealed: the race shows nothing", sealed);
	refused("what executes is what was scanned");
}
