/* Inodes and open files of /proc (fs/proc.c, fs/proc_file.c). */
#ifndef LIBOS_PROC_FILE_H
#define LIBOS_PROC_FILE_H

#include "fs/proc.h"

struct proc_inode {
	struct inode base;
	const struct proc_node *node;
	struct proc_key {
		int32_t pid; /* 0: about no process */
		int32_t tid; /* as struct subject has them */
		int fd;
		uint64_t start_ns; /* of the process: with the pid, who it was */
	} key;
};

static inline struct proc_inode *proc_inode(struct inode *inode)
{
	return container_of(inode, struct proc_inode, base);
}

/* Whom the inode is about: process_put(s->process) afterwards. -ESRCH: it is gone; then s->process is NULL. */
nodiscard int proc_subject(struct inode *inode, struct subject *s);
nodiscard struct file *proc_open(struct dentry *d, int flags, int *error);

#endif
