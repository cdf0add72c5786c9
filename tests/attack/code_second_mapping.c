/*
 * Question: can code be changed after its scan through a second, writable mapping of the same memory object?
 * Expect: REFUSED: sealed code is a private matter
 * Control: --insecure-no-wx
 */
#include "attack.h"

static void run(void *page)
{
	((void (*)(void))page)();
}

static void attack(void)
{
	uint8_t *window = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *code = window + PAGE;
	long object = hostcall(HC_memobj_create, PAGE, 0, 0, 0, 0, 0);

	if (object < 0)
		breach("memobj_create: %ld", object);
	for (int i = 0; i < 2; i++)
		if (hostcall(HC_mem_map_file, (uint64_t)window + (uint64_t)i * PAGE, PAGE, PROT_READ | PROT_WRITE, HC_MEM_SHARED, (uint64_t)object, 0))
			breach("mem_map_file does not work");
	memset(window, 0xc3, PAGE);
	if (hostcall(HC_mem_seal_code, (uint64_t)code, PAGE, 0, 0, 0, 0))
		refused("sealed code is a private matter");
	window[0] = 0x0f, window[1] = 0x01, window[2] = 0xef, window[3] = 0xc3;
	if (code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xef)
		breach("scanned code changed through another mapping");
	uint8_t more[4] = { 0x0f, 0x01, 0xef, 0xc3 };
	if (hostcall(HC_file_pwrite, (uint64_t)object, (uint64_t)more, 4, 0, 0, 0) == 4 && code[0] == 0x0f)
		breach("scanned code changed through the object's handle");
	if (guarded(run, code).signal)
		breach("sealed code does not run");
	refused("sealed code is a private matter");
}
