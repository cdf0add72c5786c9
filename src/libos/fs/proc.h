/*
 * /proc: a tree of tables. A node's contents are text made at open (and again when read from the start); what depends
 * on a descriptor or thread number hangs on one node with a number in its inode. Nothing of the host is shown but the
 * processor's model: all numbers are the cVM's own.
 */
#ifndef LIBOS_PROC_H
#define LIBOS_PROC_H

#include "fs/inode.h"

struct text { /* grows; `failed` when out of memory */
	char *bytes;
	size_t size, room;
	bool failed;
};
void text_add(struct text *t, const void *bytes, size_t size);
void text_put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct proc_inode;

struct proc_node {
	const char *name;
	uint32_t mode;
	const struct proc_node *children; /* directories; ends with a NULL name */
	/* Directories: numbered children besides. The first number >= `from` that exists, or -1. */
	int (*next)(int from);
	const struct proc_node *numbered; /* what a numbered child is */
	bool numbered_is_last; /* the number goes to the child alone and is no thread (fd/, fdinfo/) */
	void (*fill)(struct text *t, int tid, int number); /* files */
	ssize_t (*write)(const char *bytes, size_t size, int tid);
	ssize_t (*link)(char *buf, size_t size, int number); /* links: text */
	int (*follow)(int number, struct dentry **dentry, struct file **file); /* magic links */
};

extern const struct proc_node proc_root, proc_pid_dir;
extern const struct proc_node proc_sys_nodes[], proc_net_nodes[];

int proc_next_fd(int from);
int proc_next_tid(int from);

/* proc_self.c */
void proc_maps(struct text *t, int tid, int number);
void proc_smaps(struct text *t, int tid, int number);
void proc_stat_self(struct text *t, int tid, int number);
void proc_statm(struct text *t, int tid, int number);
void proc_status(struct text *t, int tid, int number);
void proc_cmdline(struct text *t, int tid, int number);
void proc_environ(struct text *t, int tid, int number);
void proc_auxv(struct text *t, int tid, int number);
void proc_comm(struct text *t, int tid, int number);
ssize_t proc_comm_write(const char *bytes, size_t size, int tid);
void proc_limits(struct text *t, int tid, int number);
void proc_fdinfo(struct text *t, int tid, int number);
void proc_io(struct text *t, int tid, int number);

/* proc_system.c */
void proc_meminfo(struct text *t, int tid, int number);
void proc_cpuinfo(struct text *t, int tid, int number);
void proc_stat(struct text *t, int tid, int number);
void proc_uptime(struct text *t, int tid, int number);
void proc_loadavg(struct text *t, int tid, int number);
void proc_version(struct text *t, int tid, int number);
void proc_filesystems(struct text *t, int tid, int number);
void proc_mounts(struct text *t, int tid, int number);
void proc_mountinfo(struct text *t, int tid, int number);
void proc_vmstat(struct text *t, int tid, int number);

#endif
