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

/* WRPKRU; RET, without the bytes in our own code, which would not be loaded. */
static void write_wrpkru(uint8_t *to)
{
	static const volatile uint8_t inverse[] = { 0xf0, 0xfe, 0x10, 0x3c };

	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)~inverse[i];
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
	if (!hostcall(HC_mem_map_file, (uint64_t)code, PAGE, PROT_READ | PROT_EXEC, HC_MEM_SHARED, (uint64_t)object, 0)) {
		write_wrpkru(window);
		if (code[0] == 0x0f && code[1] == 0x01)
			breach("executable memory changed through another mapping");
	}
	memset(window, 0xc3, PAGE);
	if (hostcall(HC_mem_seal_code, (uint64_t)code, PAGE, 0, 0, 0, 0))
		refused("sealed code is a private matter");
	write_wrpkru(window);
	if (code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xef)
		breach("scanned code changed through another mapping");
	uint8_t more[4];
	write_wrpkru(more);
	if (hostcall(HC_file_pwrite, (uint64_t)object, (uint64_t)more, 4, 0, 0, 0) == 4 && code[0] == 0x0f)
		breach("scanned code changed through the object's handle");
	if (guarded(run, code).signal)
		breach("sealed code does not run");
	refused("sealed code is a private matter");
}
