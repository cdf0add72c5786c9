/*
 * Guesses what the code service will be asked for: see prefetch.h. Driven by code_service.c. The list is a file of names of
 * cache entries, one a line; like all in that directory it is only believed to be a guess.
 */
#include "cli/prefetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool contains(char (*names)[CACHE_NAME_SIZE], uint32_t count, const char *name)
{
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

void prefetch_begin(struct prefetch *prefetch, const struct cache *cache, const char *programs)
{
	char text[PREFETCH_MAX * CACHE_NAME_SIZE + 1], *line = text;

	prefetch->cache = cache;
	prefetch->known_count = prefetch->used_count = prefetch->ready_count = prefetch->next = 0;
	prefetch->bytes_left = PREFETCH_BYTES_MAX;
	cache_list_name(programs, prefetch->list);
	int fd = cache->directory < 0 ? -1 : openat(cache->directory, prefetch->list, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	ssize_t size = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[size > 0 ? size : 0] = '\0';
	while (prefetch->known_count < PREFETCH_MAX && strcspn(line, "\n") == CACHE_NAME_SIZE - 1 && !memchr(line, '/', CACHE_NAME_SIZE - 1)) {
		char *name = prefetch->known[prefetch->known_count++];

		memcpy(name, line, CACHE_NAME_SIZE - 1);
		name[CACHE_NAME_SIZE - 1] = '\0';
		line += CACHE_NAME_SIZE - 1;
		line += *line == '\n';
	}
}

bool prefetch_pending(const struct prefetch *prefetch)
{
	return prefetch->next < prefetch->known_count;
}

bool prefetch_step(struct prefetch *prefetch)
{
	struct stat st;

	while (prefetch_pending(prefetch)) {
		const char *name = prefetch->known[prefetch->next++];

		if (contains(prefetch->used, prefetch->used_count, name))
			continue;
		int image = cache_load_named(prefetch->cache, name, prefetch->bytes_left, &prefetch->ready[prefetch->ready_count].key);
		if (image < 0)
			continue;
		/* The entry itself, which has a name, takes no memory. */
		if (fstat(image, &st) == 0 && st.st_nlink == 0)
			prefetch->bytes_left -= (uint64_t)st.st_size < prefetch->bytes_left ? (uint64_t)st.st_size : prefetch->bytes_left;
		prefetch->ready[prefetch->ready_count++].image = image;
		return true;
	}
	return false;
}

int prefetch_take(struct prefetch *prefetch, const struct cache_key *key)
{
	for (uint32_t i = 0; i < prefetch->ready_count; i++) {
		int image = prefetch->ready[i].image;

		if (image < 0 || memcmp(&prefetch->ready[i].key, key, sizeof(*key)) != 0)
			continue;
		prefetch->ready[i].image = -1;
		return image;
	}
	return -ENOENT;
}

void prefetch_used(struct prefetch *prefetch, const struct cache_key *key)
{
	char name[CACHE_NAME_SIZE];

	cache_entry_name(key, name);
	if (prefetch->used_count < PREFETCH_MAX && !contains(prefetch->used, prefetch->used_count, name))
		memcpy(prefetch->used[prefetch->used_count++], name, sizeof(name));
}

void prefetch_drop(struct prefetch *prefetch)
{
	for (uint32_t i = 0; i < prefetch->ready_count; i++)
		if (prefetch->ready[i].image >= 0)
			close(prefetch->ready[i].image);
	prefetch->ready_count = 0;
	prefetch->next = prefetch->known_count;
}

void prefetch_end(struct prefetch *prefetch)
{
	char text[PREFETCH_MAX * CACHE_NAME_SIZE + 1] = "";
	size_t size = 0;

	prefetch_drop(prefetch);
	if (prefetch->cache->directory < 0 || !prefetch->used_count ||
	    (prefetch->used_count == prefetch->known_count &&
	     memcmp(prefetch->used, prefetch->known, prefetch->used_count * sizeof(prefetch->used[0])) == 0))
		return;
	for (uint32_t i = 0; i < prefetch->used_count; i++)
		size += (size_t)snprintf(text + size, sizeof(text) - size, "%s\n", prefetch->used[i]);
	cache_list_write(prefetch->cache, prefetch->list, text, size);
}
