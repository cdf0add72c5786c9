/*
 * Places on the host that the configuration names. Below a directory to which a cVM may write, what lies there may be its
 * work of an earlier run: a link in the place of a volume would grant another cVM whatever the host has.
 */
#ifndef CLI_HOST_PATH_H
#define CLI_HOST_PATH_H

#include <stdbool.h>

#include "config/config.h"
#include "config/list.h"

/* Is `inner` the path `outer` or below it? Both are canonical. */
bool host_path_below(const char *inner, const char *outer);

/* The directories that some cVM may write to, each once: canonical, and as the configuration names them. */
struct host_places {
	struct strlist real, named;
};
void host_places_init(struct host_places *places, const struct config *config);
void host_places_free(struct host_places *places);

/* The name of one that the path leads into or through, or a null pointer. */
const char *host_path_through(const struct host_places *places, const char *path);

/* Opens it; links may lead out of none of `writable`. A descriptor, negative errno, or -EXDEV with the name of that directory in
 * *left, which is its owner's. */
__attribute__((warn_unused_result)) int host_path_open(const struct host_places *writable, const char *path, int flags, const char **left);

#endif
