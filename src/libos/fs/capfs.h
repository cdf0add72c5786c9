/* /cap: what this cVM was granted, as files (fs/capfs.c). */
#ifndef LIBOS_CAPFS_H
#define LIBOS_CAPFS_H

#include "core/types.h"

/* What may be opened: `count` strings "file/NAME" and "stream/NAME", perhaps ending in '*'. Before the mount. */
void capfs_grants(const char *list, unsigned count);
/* The range is no longer mapped: mappings of shared memory that lay in it end. */
void capfs_released(uint64_t start, uint64_t end);

#endif
