/*
 * `intravisor cache [--clear]`: shows or empties the code cache on disk. Called by main.c.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cache.h"
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/private_dir.h"

int command_cache(char **arguments)
{
	bool clear = false;
	struct cache cache;
	struct cache_usage left, removed;

	for (; *arguments; arguments++) {
		if (strcmp(*arguments, "--clear") != 0) {
			message_error("cache: unknown argument %.100s (intravisor cache [--clear])", *arguments);
			return EXIT_USAGE;
		}
		clear = true;
	}
	cache_open(&cache);
	int ret = cache.directory < 0 ? -cache.error : cache_trim(&cache, clear ? 0 : CACHE_SIZE_MAX, &left, &removed);
	if (ret) {
		message_error("cache: %s: %s (set HOME or XDG_CACHE_HOME to a directory of your own)",
			      cache.path ? cache.path : "no directory", private_dir_error(ret));
		cache_close(&cache);
		return 1;
	}
	printf("%s: %llu entries, %.1f MiB of %llu MiB\n", cache.path, (unsigned long long)left.entries,
	       (double)left.bytes / 1048576, CACHE_SIZE_MAX >> 20);
	if (clear)
		printf("removed %llu entries, %.1f MiB\n", (unsigned long long)removed.entries,
		       (double)removed.bytes / 1048576);
	cache_close(&cache);
	return 0;
}
