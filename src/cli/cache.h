/*
 * The code cache on disk: translated code segments, by the identity of the file they came from.
 *
 * Correctness only, not security: the monitor scans whatever it gets. An entry is used when its trailer repeats the
 * whole key; anything else in its place is ignored and written anew. It is on the disk before it gets its name, so what
 * is left to damage it is the disk: the checksum of its contents is compared when it is used for the first time in a day.
 * $XDG_CACHE_HOME/intravisor or ~/.cache/intravisor, private to the user.
 */
#ifndef CLI_CACHE_H
#define CLI_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define CACHE_CHILDREN_MAX 64 /* of the command, that put entries on the disk */
#define CACHE_SIZE_MAX (1ull << 30)
#define CACHE_NAME_SIZE 38 /* 32 hexadecimal digits, ".code" or ".uses", NUL */

/* Hashed and compared as bytes: no padding. */
struct cache_key {
	uint64_t device, inode, file_size;
	int64_t mtime_ns, ctime_ns;
	uint64_t offset, size; /* of the segment */
	int64_t translator_mtime_ns;
	uint64_t translator_size;
	uint32_t stubs, version; /* CODE_IMAGE_VERSION */
};

struct cache {
	int directory; /* -1: there is no cache */
	char *path;    /* for messages; a null pointer: HOME is not set */
	int error;     /* errno: why there is none */
	bool stored;   /* something was added */
	pid_t child[CACHE_CHILDREN_MAX]; /* 0: none */
};

/* Creates the directory when needed. cache->directory is -1 with the reason in cache->error when it cannot be used. */
void cache_open(struct cache *cache);
void cache_close(struct cache *cache);

/* Could whoever writes below `path` write to the cache, and so put code into every cVM? */
bool cache_reached_from(const char *path);

/* The key of a segment, or false when the file's identity cannot be relied on (changed a moment ago). */
bool cache_key_make(const struct stat *file, uint64_t offset, uint64_t size, bool stubs, const struct stat *translator,
		    struct cache_key *key);

/* A file with the code image: the entry itself if the monitor can map it, else a memory file. Or -ENOENT, or another negative errno. */
__attribute__((warn_unused_result)) int cache_load(const struct cache *cache, const struct cache_key *key);

/* The same for the entry with that name, whatever its key is; -EFBIG if it would be a memory file of more than that many bytes. */
__attribute__((warn_unused_result)) int cache_load_named(const struct cache *cache, const char *name, uint64_t copy_max,
							  struct cache_key *key);
void cache_entry_name(const struct cache_key *key, char name[CACHE_NAME_SIZE]);

/* A small text beside the entries, for the prefetch: its name, and writing it, which may fail without a word. */
void cache_list_name(const char *programs, char name[CACHE_NAME_SIZE]);
void cache_list_write(const struct cache *cache, const char *name, const char *text, size_t size);

/* Copies the code image in the memory file into the cache. 0 or negative errno; failing leaves nothing behind. The entry is there when a
 * child of the command has brought it to the disk. -EBUSY: too many are at it. */
__attribute__((warn_unused_result)) int cache_store(struct cache *cache, const struct cache_key *key, int image_fd);

void cache_reaped(struct cache *cache, pid_t pid); /* a child ended, of the cache or not */
bool cache_busy(const struct cache *cache);	   /* some have not */
bool cache_wait(struct cache *cache);		   /* however long it takes; false: there was none */

struct cache_usage {
	uint64_t entries, bytes;
};

/* Removes the oldest entries until at most `max_bytes` are left, and temporary files that were left behind. */
__attribute__((warn_unused_result)) int cache_trim(const struct cache *cache, uint64_t max_bytes,
						    struct cache_usage *left, struct cache_usage *removed);

#endif
