/*
 * How much memory there is for a cVM that was given no limit: that of the machine, or what the control groups of this
 * process leave of it (both versions of them). Called by config.c once for every such cVM.
 */
#include "config/ram.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The number in a file, UINT64_MAX for "max" or if there is none. */
static uint64_t read_limit(const char *path)
{
	char text[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (size <= 0 || text[0] < '0' || text[0] > '9')
		return UINT64_MAX;
	text[size] = '\0';
	return strtoull(text, NULL, 10);
}

/* The least limit of a group and those above it. In a container the upper part of the path may not be there. */
static uint64_t least_limit(const char *root, char *group, const char *file)
{
	uint64_t least = UINT64_MAX;
	char path[8192];

	for (;;) {
		char *last = strrchr(group, '/');
		snprintf(path, sizeof(path), "%s%s/%s", root, group, file);
		uint64_t limit = read_limit(path);

		least = limit < least ? limit : least;
		if (!group[0])
			return least;
		*(last ? last : group) = '\0';
	}
}

uint64_t ram_group_limit(const char *groups, const char *root)
{
	uint64_t least = UINT64_MAX;
	char line[4096], v1[4096];
	FILE *f = fopen(groups, "re");

	if (!f)
		return least;
	snprintf(v1, sizeof(v1), "%s/memory", root);
	/* hierarchy:controllers:/group */
	while (fgets(line, sizeof(line), f)) {
		char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
		uint64_t limit = UINT64_MAX;

		line[strcspn(line, "\n")] = '\0';
		if (!group)
			continue;
		*group++ = '\0';
		if (!controllers[1])
			limit = least_limit(root, group, "memory.max");
		else if (strcmp(controllers + 1, "memory") == 0)
			limit = least_limit(v1, group, "memory.limit_in_bytes");
		least = limit < least ? limit : least;
	}
	fclose(f);
	return least;
}

uint64_t ram_size(void)
{
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t limit = ram_group_limit("/proc/self/cgroup", "/sys/fs/cgroup") & ~4095ull;

	return limit < ram ? limit : ram;
}
