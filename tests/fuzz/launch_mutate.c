/*
 * Stands in the monitor's place: changes the launch description it is given at random and executes the real monitor with
 * it. Beside it lie the files `seed` (a number) and `real` (a link to the monitor). See launch_live.py.
 */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/boot.h"
#include "abi/launch.h"

#define CHANGES 4
#define GROWTH (CHANGES * 65536u)

static uint64_t g_random;

static uint64_t next(void)
{
	g_random ^= g_random << 13;
	g_random ^= g_random >> 7;
	g_random ^= g_random << 17;
	return g_random >> 9;
}

static uint64_t odd_value(void)
{
	static const uint64_t k[] = { 0, 1, 2, 13, 14, 63, 64, 65, 255, 4095, 4096, 4097, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 28, 1ull << 36, 1ull << 47,
				      1ull << 63, ~0ull, ~0ull - 4095 };

	return next() % 3 ? k[next() % (sizeof k / sizeof k[0])] : next();
}

/* Where it hurts: heads more often than tables, tables more often than what comes behind. */
static size_t place(size_t size)
{
	size_t head = offsetof(struct launch, image), cvm = offsetof(struct launch, cvm) + sizeof(struct launch_cvm) * (next() % 2), at;

	switch (next() % 5) {
	case 0: at = next() % head; break;
	case 1: at = head + next() % (offsetof(struct launch, cvm) - head); break;
	case 2: at = cvm + next() % offsetof(struct launch_cvm, handle); break;
	case 3: at = cvm + next() % sizeof(struct launch_cvm); break;
	default: at = next() % size;
	}
	return at < size ? at : next() % size;
}

static size_t mutate(uint8_t *bytes, size_t size)
{
	for (unsigned changes = 1 + next() % CHANGES; changes; changes--) {
		size_t at = place(size);
		uint64_t value = odd_value();

		switch (next() % 6) {
		case 0: bytes[at] ^= (uint8_t)(1u << next() % 8); break;
		case 1: bytes[at] = (uint8_t)value; break;
		case 2: memcpy(bytes + (at & ~3ul), &value, 4); break;
		case 3: memcpy(bytes + (at & ~7ul), &value, 8); break;
		case 4: memmove(bytes + at, bytes + next() % size, size - at < 64 ? size - at : 64); break;
		default:
			if (next() % 4 == 0)
				size = next() % 2 ? next() % size + 1 : size + next() % (GROWTH / CHANGES - 64);
		}
	}
	return size;
}

/* A descriptor of another kind could make the whole wait for ever, rightly; so could LAUNCH_STAY and LAUNCH_CVM_DEFERRED. */
static void keep_channel(int32_t *fd, int32_t was)
{
	if (*fd != was && *fd >= 0)
		*fd = 1000;
}

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(99);
}

int main(int argc, char **argv)
{
	char path[PATH_MAX] = { 0 }, file[PATH_MAX + 8], description[32];
	unsigned long long seed = 0;
	struct stat st;

	int given = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (given < 0 || readlink("/proc/self/exe", path, sizeof path - 1) < 0 || fstat(given, &st))
		die("launch_mutate");
	dirname(path);
	snprintf(file, sizeof file, "%s/seed", path);
	FILE *f = fopen(file, "r");
	if (!f || fscanf(f, "%llu", &seed) != 1)
		die(file);
	fclose(f);
	g_random = seed * 0x9e3779b97f4a7c15ull | 1;
	for (int i = 0; i < 8; i++)
		next();
	size_t size = (size_t)st.st_size, before = size;
	uint8_t *bytes = calloc(1, size + GROWTH + 64), *original = malloc(size);
	if (pread(given, bytes, size, 0) != (ssize_t)size)
		die("description");
	memcpy(original, bytes, size);
	size = mutate(bytes, size);
	struct launch *l = (struct launch *)bytes, *was = (struct launch *)original;
	keep_channel(&l->event_channel, was->event_channel);
	l->flags = was->flags;
	for (uint32_t i = 0; i < was->cvms; i++) {
		l->cvm[i].flags = was->cvm[i].flags;
		/* a libOS says there why it could not start */
		l->cvm[i].handle[BOOT_HANDLE_LOG] = was->cvm[i].handle[BOOT_HANDLE_LOG];
		if (l->cvm[i].handles <= BOOT_HANDLE_LOG)
			l->cvm[i].handles = was->cvm[i].handles;
	}
	for (uint32_t i = 0; i < was->cvms; i++)
		keep_channel(&l->cvm[i].code_channel, was->cvm[i].code_channel);
	if (next() % 4) /* else the size tells at once that something is wrong */
		l->size = size == before ? l->size : (uint32_t)size;
	int fd = memfd_create("launch", 0);
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		die("memfd");
	snprintf(description, sizeof description, "/proc/self/fd/%d", fd);
	snprintf(file, sizeof file, "%s/real", path);
	execv(file, (char *[]){ file, description, NULL });
	die(file);
}
