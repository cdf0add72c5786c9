/* Host handles of closed files, kept for who opens the same file again: see spare.c. */
#ifndef LIBOS_SPARE_H
#define LIBOS_SPARE_H

#include "fs/inode.h"

#define SPARE_MASK (STATX_BASIC_STATS)

/* May an open of d with these flags be spared? Then ask the host what the name is now (SPARE_MASK), and take the handle:
 * the file that gets it is marked HF_SPARE; give it back if there will be none. -1: it is another file now. */
bool spare_waits(const struct dentry *d, int flags);
nodiscard int spare_take(const struct dentry *d, const struct statx *now);
void spare_give(int handle);
/* At the end of an open file: false if its handle is to be closed. */
bool spare_keep(struct file *f);
/* Gives back what nobody uses now; false: there was nothing. */
bool spare_drop(void);

#endif
