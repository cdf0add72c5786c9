/*
 * Question: the translator reads a file whole before it rewrites one segment of it. Can a cVM with little memory make the host
 * spend gigabytes on that, with a sparse file that costs it nothing?
 * Expect: REFUSED: what is too large for the cVM is not translated, the rest is
 * Control: --insecure-no-limits
 * Options: memory=24M
 * Native: the limit of the translator's process
 */
#include "attack.h"

static uint64_t g_shared;

static long translate(const char *name, off_t size)
{
	uint64_t at = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30);
	char path[64];

	snprintf(path, sizeof path, "/shared/%s", name);
	int fd = open(path, O_RDWR | O_CREAT, 0755);
	if (ftruncate(fd, size) || pwrite(fd, "\xc3", 1, 0) != 1)
		breach("cannot make %s", path);
	close(fd);
	long file = hostcall(HC_file_open, g_shared, (uint64_t)name, strlen(name), O_RDONLY, 0, 0);
	long result = hostcall(HC_mem_map_code, at, PAGE, (uint64_t)file, 0, 0, 0);
	hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
	return result;
}

static void attack(void)
{
	g_shared = granted_directory("symbols");
	long small = translate("small", 1 << 20), large = translate("large", 400 << 20);

	if (small)
		breach("a file of 1 MiB is not translated: %ld", small);
	if (large != -ENOEXEC)
		breach("a file of 400 MiB with 24 MiB of memory: %ld", large);
	refused("what is too large for the cVM is not translated, the rest is");
}
