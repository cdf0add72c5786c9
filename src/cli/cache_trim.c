/*
 * Keeps the code cache within its bound: see cache_trim in cache.h. Called after a run that added entries and by
 * `intravisor cache`. Only names that the cache itself gives are removed, and only code images are counted.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cache.h"
#include "config/list.h"

#define TEMPORARY_AGE_SECONDS 3600
#define LIST_AGE_SECONDS (100 * 86400) /* of a prefetch list, which is written when it changes */

struct entry {
	char name[64];
	uint64_t bytes;
	time_t time;
};

struct entries {
	struct entry *entry;
	size_t count, capacity;
};

static int compare_age(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->time < y->time ? 1 : x->time > y->time ? -1 : 0; /* newest first */
}

static bool is_named(const char *name, const char *ending)
{
	return strlen(name) == CACHE_NAME_SIZE - 1 && strspn(name, "0123456789abcdef") == 32 && strcmp(name + 32, ending) == 0;
}

/* As cache.c names what it is writing: tmp.NUMBER.NUMBER, tmp.NUMBER.uses. */
static bool is_temporary(const char *name)
{
	static const char digits[] = "0123456789";

	if (strncmp(name, "tmp.", 4) != 0 || !strspn(name + 4, digits))
		return false;
	name += 4 + strspn(name + 4, digits);
	return strcmp(name, ".uses") == 0 || (name[0] == '.' && name[1] && !name[1 + strspn(name + 1, digits)]);
}

static void look_at(const struct cache *cache, const char *name, struct entries *list, bool clear)
{
	struct stat st;
	bool temporary = is_temporary(name), uses = is_named(name, ".uses");

	if ((!temporary && !uses && !is_named(name, ".code")) || fstatat(cache->directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (temporary || uses) {
		if (clear || time(NULL) - st.st_mtime > (uses ? LIST_AGE_SECONDS : TEMPORARY_AGE_SECONDS))
			unlinkat(cache->directory, name, 0);
		return;
	}
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 64;
		list->entry = xrealloc(list->entry, list->capacity * sizeof(*list->entry));
	}
	struct entry *e = &list->entry[list->count++];
	strncpy(e->name, name, sizeof(e->name) - 1);
	e->name[sizeof(e->name) - 1] = '\0';
	e->bytes = (uint64_t)st.st_size;
	e->time = st.st_mtime;
}

int cache_trim(const struct cache *cache, uint64_t max_bytes, struct cache_usage *left, struct cache_usage *removed)
{
	struct entries list = {0};
	int fd = openat(cache->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (!directory) {
		int error = errno;
		if (fd >= 0)
			close(fd);
		return -error;
	}
	for (struct dirent *d = readdir(directory); d; d = readdir(directory))
		look_at(cache, d->d_name, &list, max_bytes == 0);
	closedir(directory);
	if (list.count)
		qsort(list.entry, list.count, sizeof(*list.entry), compare_age);
	*left = *removed = (struct cache_usage){0};
	for (size_t i = 0; i < list.count; i++) {
		const struct entry *e = &list.entry[i];
		bool keep = left->bytes + e->bytes <= max_bytes;
		struct cache_usage *usage = keep || unlinkat(cache->directory, e->name, 0) < 0 ? left : removed;

		usage->entries++;
		usage->bytes += e->bytes;
	}
	free(list.entry);
	return 0;
}
