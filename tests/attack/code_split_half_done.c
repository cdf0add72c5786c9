/*
 * Question: a change of protection that the kernel refuses half-way leaves a page executable. Does the monitor still know it, when
 * the next page brings the other half of a WRPKRU?
 * Expect: REFUSED: EPERM for the second half
 * Control: --insecure-no-scan
 * Native: a page counts as executing until it certainly does not
 */
#include "attack.h"

static void attack(void)
{
	uint8_t *at = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t folder = granted_directory("read-only-mark");
	long file = hostcall(HC_file_open, folder, (uint64_t)"read-only-mark", 14, O_RDONLY, 0, 0), result;
	uint8_t *before = at + PAGE, *first = at + 2 * PAGE, *second = at + 3 * PAGE;

	/* 0F 01 at the end of one page, EF at the start of the next */
	memset(at, 0x90, 8 * PAGE);
	first[PAGE - 2] = 0x0f;
	first[PAGE - 1] = 0x01;
	second[0] = 0xef;
	if ((result = hostcall(HC_mem_seal_code, (uint64_t)first, PAGE, 0, 0, 0, 0)))
		breach("the first half alone gave %ld", result);
	if ((result = hostcall(HC_mem_map_file, (uint64_t)before, PAGE, PROT_READ, HC_MEM_SHARED, (uint64_t)file, 0)))
		breach("mapping the file gave %ld", result);
	result = hostcall(HC_mem_protect, (uint64_t)before, 2 * PAGE, PROT_READ | PROT_WRITE, 0, 0, 0);
	if (result != -EACCES)
		breach("a read-only file became writable: %ld", result);
	result = hostcall(HC_mem_seal_code, (uint64_t)second, PAGE, 0, 0, 0, 0);
	if (result != -EPERM)
		breach("the second half gave %ld", result);
	refused("EPERM for the second half");
}
