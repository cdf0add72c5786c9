/* Host handles of closed files, kept for who opens the same file again: see handle_cache.c. */
#ifndef LIBOS_HANDLE_CACHE_H
#define LIBOS_HANDLE_CACHE_H

#include "fs/inode.h"

#define HANDLE_CACHE_MASK (STATX_BASIC_STATS)

/* May an open of d with these flags be spared? Then ask the host what the name is now (HANDLE_CACHE_MASK), and take the handle:
 * the file that gets it is marked HF_CACHED; give it back if there will be none. -1: it is another file now. */
bool handle_cache_waits(const struct dentry *d, int flags);
nodiscard int handle_cache_take(const struct dentry *d, const struct statx *now);
void handle_cache_give(int handle);
/* At the end of an open file: false if its handle is to be closed. */
bool handle_cache_keep(struct file *f);
/* Gives back what nobody uses now; false: there was nothing. */
bool handle_cache_drop(void);

#endif
