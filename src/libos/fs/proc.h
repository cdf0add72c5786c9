/*
 * /proc: a tree of tables. A node's contents are text made when it is read from its start; processes, threads and descriptors
 * all hang on the same nodes, with their numbers in the inode. An inode holds no process: what it is about is looked up
 * for each operation, by number and time of start, so that a number that is used again is another directory. Nothing of the
 * host is shown but the processor's model: all numbers are the cVM's own.
 */
#ifndef LIBOS_PROC_H
#define LIBOS_PROC_H

#include "fs/inode.h"
#include "process/process.h"

struct text { /* grows */
	char *bytes;
	size_t size, room;
	int error; /* what read(2) says instead; -ENOMEM by text_add */
};
void text_add(struct text *t, const void *bytes, size_t size);
void text_put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct proc_inode;

/* What a node's file or directory is about, for one operation. */
struct subject {
	struct process *process; /* a reference; it may be a zombie; NULL outside of /proc/PID */
	int32_t tid;		 /* of task/TID, else 0 */
	int fd;			 /* of fd/ and fdinfo/, else -1 */
};

enum proc_numbers { PROC_PIDS, PROC_TIDS, PROC_FDS };

struct proc_node {
	const char *name;
	uint32_t mode;
	const struct proc_node *children; /* directories; ends with a NULL name */
	/* Directories: numbered children besides. The first number >= `from` that exists, or -1. */
	int (*next)(const struct subject *s, int from);
	const struct proc_node *numbered; /* what a numbered child is */
	enum proc_numbers numbers;	  /* what the number is */
	void (*fill)(struct text *t, const struct subject *s);		  /* files */
	ssize_t (*write)(const char *bytes, size_t size, const struct subject *s);
	ssize_t (*link)(char *buf, size_t size, const struct subject *s); /* links: text */
	int (*follow)(const struct subject *s, struct dentry **dentry, struct file **file); /* magic links */
};

extern const struct proc_node proc_root;
extern const struct proc_node proc_sys_nodes[], proc_net_nodes[];

/* proc_self.c */
void proc_maps(struct text *t, const struct subject *s);
void proc_smaps(struct text *t, const struct subject *s);
void proc_stat_self(struct text *t, const struct subject *s);
void proc_statm(struct text *t, const struct subject *s);
void proc_status(struct text *t, const struct subject *s);
void proc_cmdline(struct text *t, const struct subject *s);
void proc_environ(struct text *t, const struct subject *s);
void proc_auxv(struct text *t, const struct subject *s);
void proc_comm(struct text *t, const struct subject *s);
ssize_t proc_comm_write(const char *bytes, size_t size, const struct subject *s);
void proc_oom_score_adj(struct text *t, const struct subject *s);
ssize_t proc_oom_score_adj_write(const char *bytes, size_t size, const struct subject *s);
void proc_oom_adj(struct text *t, const struct subject *s);
ssize_t proc_oom_adj_write(const char *bytes, size_t size, const struct subject *s);
void proc_limits(struct text *t, const struct subject *s);
void proc_fdinfo(struct text *t, const struct subject *s);
void proc_io(struct text *t, const struct subject *s);

/* proc_system.c */
void proc_meminfo(struct text *t, const struct subject *s);
void proc_cpuinfo(struct text *t, const struct subject *s);
void proc_stat(struct text *t, const struct subject *s);
void proc_uptime(struct text *t, const struct subject *s);
void proc_loadavg(struct text *t, const struct subject *s);
void proc_version(struct text *t, const struct subject *s);
void proc_filesystems(struct text *t, const struct subject *s);
void proc_mounts(struct text *t, const struct subject *s);
void proc_mountinfo(struct text *t, const struct subject *s);
void proc_vmstat(struct text *t, const struct subject *s);

#endif
