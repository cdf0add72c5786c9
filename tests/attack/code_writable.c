/*
 * Question: can memory be writable and executable at once, through the libOS or straight through the gate?
 * Expect: REFUSED: never both
 * Control: --insecure-no-wx
 */
#include "attack.h"

static void run_nop(void *page)
{
	((void (*)(void))page)();
}

/* Stores a `ret` and runs it. */
static bool both(uint8_t *page)
{
	if (guarded(store_byte, page).signal)
		return false;
	*page = 0xc3;
	return guarded(run_nop, page).signal == 0;
}

static void run_wrpkru(void *page)
{
	run_nop(page);
	(void)*(volatile uint64_t *)g_victim.pattern;
}

/* The libOS lets programs believe in such memory. Code that was run is changed into WRPKRU and run again. */
static bool believed(uint8_t *page)
{
	static const uint8_t code[] = { 0x31, 0xc0, 0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xef, 0xc3 };

	*page = 0xc3;
	if (guarded(run_nop, page).signal)
		breach("harmless code in writable memory does not run: the attack needs to be rewritten");
	memcpy(page, code, sizeof code);
	return guarded(run_wrpkru, page).signal == 0;
}

static void attack(void)
{
	const int rwx = PROT_READ | PROT_WRITE | PROT_EXEC;
	uint8_t *page = mmap(NULL, PAGE, rwx, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED || believed(page))
		breach("mmap gave writable and executable memory");
	page = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mprotect(page, PAGE, rwx) || believed(page))
		breach("mprotect gave writable and executable memory");
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	if (hostcall(HC_mem_commit, (uint64_t)page, PAGE, (uint64_t)rwx, 0, 0, 0) == 0 && both(page))
		breach("mem_commit gave writable and executable memory");
	hostcall(HC_mem_commit, (uint64_t)page, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0);
	if (hostcall(HC_mem_protect, (uint64_t)page, PAGE, (uint64_t)rwx, 0, 0, 0) == 0 && both(page))
		breach("mem_protect gave writable and executable memory");
	long object = hostcall(HC_memobj_create, PAGE, 0, 0, 0, 0, 0);
	if (object >= 0 && hostcall(HC_mem_map_file, (uint64_t)page, PAGE, (uint64_t)rwx, HC_MEM_SHARED, (uint64_t)object, 0) == 0 && both(page))
		breach("mem_map_file gave writable and executable memory");
	hostcall(HC_mem_commit, (uint64_t)page, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0);
	*page = 0xc3;
	if (hostcall(HC_mem_seal_code, (uint64_t)page, PAGE, 0, 0, 0, 0))
		breach("harmless code was refused");
	if (guarded(store_byte, page).signal == 0)
		breach("sealed code is writable");
	if (hostcall(HC_mem_protect, (uint64_t)page, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0) == 0 && both(page))
		breach("sealed code became writable and stayed executable");
	refused("never both");
}
