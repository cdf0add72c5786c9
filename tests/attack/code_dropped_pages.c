/*
 * Question: do pages of code come back changed when they are dropped (MADV_DONTNEED, MADV_FREE), written over through the
 * file or object behind them, or released and mapped again by another thread while one runs there (PKU Pitfalls 4.1 on
 * mappings that change under their protection)?
 * Expect: REFUSED: dropped code is what it was, or zeros, or does not execute
 * Control: --insecure-no-wx
 * Native: sealed memory behind code
 */
#include "raw.h"

static uint64_t g_page;
static volatile bool g_stop;
static struct raw_thread *g_runner;
static volatile uint64_t g_ran, g_faulted;

static void run_code(void *unused)
{
	(void)unused;
	((void (*)(void))g_page)();
}

static void runs(void *unused)
{
	(void)unused;
	while (!g_stop) {
		if (raw_try(g_runner, run_code, NULL))
			g_faulted++;
		else
			g_ran++;
	}
}

static void attack(void)
{
	uint64_t object = (uint64_t)hostcall(HC_memobj_create, PAGE, 0, 0, 0, 0, 0);
	static uint8_t bytes[4096];

	g_page = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30);
	memset(bytes, 0xc3, sizeof bytes);
	if (hostcall(HC_mem_map_file, g_page, PAGE, PROT_READ | PROT_WRITE, HC_MEM_SHARED, object, 0))
		breach("mem_map_file does not work");
	memset((void *)g_page, 0xc3, PAGE);
	/* an object's mapping is not counted memory: it cannot be sealed */
	if (!hostcall(HC_mem_seal_code, g_page, PAGE, 0, 0, 0, 0)) {
		memset(bytes, 0xcc, sizeof bytes);
		hostcall(HC_file_pwrite, object, (uint64_t)bytes, PAGE, 0, 0, 0);
		if (*(uint8_t *)g_page != 0xc3)
			breach("sealed code changed with the object");
	}
	if (!hostcall(HC_mem_map_file, g_page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, HC_MEM_SHARED, object, 0))
		breach("an object was mapped writable and executable");
	hostcall(HC_mem_commit, g_page, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0);
	memset((void *)g_page, 0xc3, PAGE);
	if (hostcall(HC_mem_seal_code, g_page, PAGE, 0, 0, 0, 0))
		breach("harmless code was refused");
	static const uint64_t drops[] = { MADV_DONTNEED, MADV_FREE, MADV_WILLNEED, 9 /* REMOVE */, 14 /* HUGEPAGE */, 18, 20, 21, 22, 23, 25 };
	for (size_t i = 0; i < sizeof drops / sizeof drops[0]; i++) {
		hostcall(HC_mem_advise, g_page, PAGE, drops[i], 0, 0, 0);
		if ((*(uint8_t *)g_page != 0xc3 && *(uint8_t *)g_page) || *(uint8_t *)(g_page + PAGE - 1) != *(uint8_t *)g_page)
			breach("advice %lu changed code", drops[i]);
	}
	/* a second thread runs there while the page changes between code, memory that holds WRPKRU's bytes, and nothing */
	static const uint8_t inverse[] = { 0xce, 0x3f, 0xce, 0x36, 0xce, 0x2d, 0xf0, 0xfe, 0x10, 0x3c }; /* of xor x3; wrpkru; ret */
	g_runner = raw_new(runs, NULL);
	raw_start(g_runner);
	for (int turn = 0; turn < 2000; turn++) {
		hostcall(HC_mem_commit, g_page, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0);
		for (int i = 0; i < 10; i++)
			((volatile uint8_t *)g_page)[i] = (uint8_t)~inverse[i];
		hostcall(HC_mem_advise, g_page, PAGE, MADV_DONTNEED, 0, 0, 0);
		memset((void *)g_page, 0xc3, PAGE);
		if (hostcall(HC_mem_seal_code, g_page, PAGE, 0, 0, 0, 0))
			breach("harmless code was refused");
		for (uint64_t before = g_ran; turn % 16 == 0 && g_ran == before;) /* now and then until it ran */
			hostcall(HC_thread_yield, 0, 0, 0, 0, 0, 0);
	}
	g_stop = true;
	raw_wait(g_runner);
	if (!g_ran || !g_faulted)
		breach("ran %lu times, faulted %lu times: the race shows nothing", g_ran, g_faulted);
	refused("dropped code is what it was, or zeros, or does not execute");
}
