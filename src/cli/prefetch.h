/*
 * Loads what a program will ask the code cache for while the monitor still starts: the images that the same programs asked
 * for when they ran last, from a list in the cache's directory. A guess: a wrong one costs time, a right one saves the
 * program waiting for the copy.
 */
#ifndef CLI_PREFETCH_H
#define CLI_PREFETCH_H

#include "cli/cache.h"

#define PREFETCH_MAX 32
#define PREFETCH_BYTES_MAX (64ull << 20) /* of memory, whatever a cVM of the last run asked for */

struct prefetch {
	const struct cache *cache;
	char list[CACHE_NAME_SIZE];
	char known[PREFETCH_MAX][CACHE_NAME_SIZE], used[PREFETCH_MAX][CACHE_NAME_SIZE];
	uint32_t known_count, used_count, next; /* known[next] is to be loaded */
	struct {
		struct cache_key key;
		int image; /* memory file; -1: taken */
	} ready[PREFETCH_MAX];
	uint32_t ready_count;
	uint64_t bytes_left;
};

/* `programs` says what runs. */
void prefetch_begin(struct prefetch *prefetch, const struct cache *cache, const char *programs);

/* Loads one image; false if there is none left to load. */
bool prefetch_step(struct prefetch *prefetch);
bool prefetch_pending(const struct prefetch *prefetch);

/* The image, which is the caller's from now on, or -ENOENT. */
int prefetch_take(struct prefetch *prefetch, const struct cache_key *key);

/* An image that the cache holds was asked for. */
void prefetch_used(struct prefetch *prefetch, const struct cache_key *key);

/* Closes what nobody asked for. */
void prefetch_drop(struct prefetch *prefetch);

/* That, and writes the list down if it has changed. */
void prefetch_end(struct prefetch *prefetch);

#endif
