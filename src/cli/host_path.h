/*
 * Places on the host that the configuration names. Below a directory to which a cVM may write, what lies there may be its
 * work of an earlier run: a link in the place of a volume would grant another cVM whatever the host has.
 */
#ifndef CLI_HOST_PATH_H
#define CLI_HOST_PATH_H

#include <stdbool.h>

#include "config/config.h"

/* Is `inner` the path `outer` or below it? Both are canonical. */
bool host_path_below(const char *inner, const char *outer);

/* Opens it; links may lead out of no directory that any of the cVMs may write to. A descriptor, negative errno, or -EXDEV with the
 * directory in *writable. */
__attribute__((warn_unused_result)) int host_path_open(const struct config *config, const char *path, int flags, const char **writable);

#endif
