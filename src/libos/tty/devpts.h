/* /dev/pts and what opening /dev/ptmx does (tty/devpts.c), for fs/. */
#ifndef LIBOS_DEVPTS_H
#define LIBOS_DEVPTS_H

struct dentry;
struct file;
struct mem_inode;
struct mount;

int devpts_mount(struct mount *m, struct dentry **out);
struct file *devpts_open_master(struct mem_inode *inode, int flags, int *error);

#endif
