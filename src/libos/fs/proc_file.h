/* Inodes and open files of /proc (fs/proc.c, fs/proc_file.c). */
#ifndef LIBOS_PROC_FILE_H
#define LIBOS_PROC_FILE_H

#include "fs/proc.h"

struct proc_inode {
	struct inode base;
	const struct proc_node *node;
	int tid;    /* thread of the directory it lies in; 0: none */
	int number; /* descriptor; -1: none */
};

static inline struct proc_inode *proc_inode(struct inode *inode)
{
	return container_of(inode, struct proc_inode, base);
}

nodiscard struct file *proc_open(struct dentry *d, int flags, int *error);

#endif
