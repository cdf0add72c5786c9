/* What paths below a host directory name, by way of directories that are kept open for a moment: see dir_cache.c. */
#ifndef LIBOS_DIR_CACHE_H
#define LIBOS_DIR_CACHE_H

#include "fs/inode.h"

/* HC_file_stat and HC_file_open (of what exists) of a path below the directory handle `root`. What another program renames
 * or removes above the last name may be seen CACHE_MS later. */
nodiscard long dir_cache_stat(int root, const char *path, size_t size, unsigned mask, struct statx *st);
nodiscard long dir_cache_open(int root, const char *path, size_t size, unsigned flags);
/* Gives back what nobody uses now, of handle_cache.c too; false: there was nothing. */
bool dir_cache_drop(void);

#endif
