/*
 * Question: can data in a code segment, which nobody scanned, be executed: by jumping there, or made so by a hostcall?
 * Build: one-segment
 * Expect: REFUSED: data stays data
 * Control: --insecure-no-wx
 */
#include "attack.h"

/* Whole pages of .rodata, which the linker puts into the segment of .text. */
static const uint8_t k_data[4 * PAGE] __attribute__((aligned(4096))) = {
	[PAGE] = 0x31, 0xc0, 0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xef, 0xc3,
};

static void run(void *code)
{
	((void (*)(void))code)();
	(void)*(volatile uint64_t *)g_victim.pattern;
}

static void attack(void)
{
	const uint8_t *volatile data = k_data;
	void *code = (void *)(uintptr_t)(data + PAGE);
	uint64_t page = (uint64_t)code;

	if (data[PAGE + 8] != 0xef)
		breach("the data is not what the file says");
	if (!guarded(run, code).signal)
		breach("ran WRPKRU on a page of data and read the victim");
	if (!hostcall(HC_mem_seal_code, page, PAGE, 0, 0, 0, 0) && !guarded(run, code).signal)
		breach("mem_seal_code took the page");
	if (!hostcall(HC_mem_protect, page, PAGE, PROT_READ | PROT_EXEC, 0, 0, 0) && !guarded(run, code).signal)
		breach("mem_protect made it executable: WRPKRU ran and read the victim");
	refused("data stays data");
}
