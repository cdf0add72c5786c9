/*
 * Question: the table of code images and their memory are shared by all and outlive the cVM that had them made: can one cVM
 * fill either, by mapping a file as code, changing it, and mapping it again?
 * Expect: REFUSED: it gets its share of the table and of memory
 * Control: --insecure-no-limits
 * Options: memory=64M
 * Native: the share of images
 */
#include "attack.h"

static uint64_t g_shared, g_at;

static long map(const char *name, uint64_t size, uint64_t offset)
{
	long file = hostcall(HC_file_open, g_shared, (uint64_t)name, strlen(name), O_RDONLY, 0, 0);
	long result = file < 0 ? file : hostcall(HC_mem_map_code, g_at, size, (uint64_t)file, offset, 0, 0);

	hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
	return result;
}

static void make(const char *name, uint64_t size)
{
	char path[64];

	snprintf(path, sizeof path, "/shared/%s", name);
	int fd = open(path, O_RDWR | O_CREAT, 0755);
	if (fd < 0 || ftruncate(fd, (off_t)size) || pwrite(fd, "\xc3", 1, 0) != 1)
		breach("cannot make %s: %s", path, strerror(errno));
	close(fd);
}

static void attack(void)
{
	unsigned images = 0;
	uint64_t bytes = 0;
	long result = 0;

	g_shared = granted_directory("symbols");
	g_at = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30);
	/* memory: 16 MiB each, so the fifth is too much */
	for (char name[] = "image-a"; name[6] < 'h' && !result; name[6]++) {
		make(name, 16 << 20);
		if (!(result = map(name, 16 << 20, 0)))
			bytes += 16 << 20;
	}
	if (result != -ENOMEM || bytes > 64 << 20)
		breach("images of %lu MiB were made: %ld", bytes >> 20, result);
	/* the table: each page of a file is an image of its own */
	make("pages", 400 * PAGE);
	for (result = 0; images < 400 && !result; images++)
		result = map("pages", PAGE, images * PAGE);
	if (result != -ENOMEM || images > 315)
		breach("%u images were made: %ld", images, result);
	if (map("pages", PAGE, 0))
		breach("images that were made cannot be mapped again");
	refused("it gets its share of the table and of memory");
}
