/* /proc: to come. */
#include "fs/inode.h"

int procfs_mount(struct mount *m, struct dentry **out)
{
	return memfs_mount(m, 0555, out);
}
