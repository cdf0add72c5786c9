/*
 * What others may see of a process and its threads: /proc, sysinfo. Takes the locks it needs and holds none when it returns;
 * nothing here waits or touches program memory.
 */
#ifndef LIBOS_PROCESS_REPORT_H
#define LIBOS_PROCESS_REPORT_H

#include "process/process.h"

struct dentry;

/* A copy of what was so at one time. */
struct process_report {
	int32_t pid, tid, ppid, pgid, sid; /* tid: of the thread that was asked for, or the pid */
	char state;			   /* R, S, D, T, Z as proc(5) has them */
	char comm[16];
	uint32_t uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
	struct process_groups groups;
	uint32_t threads;	 /* a zombie is one */
	int32_t nice, exit_signal;
	int32_t exit_status; /* as wait4 gives it, or the signal that stopped it while nobody was told */
	uint64_t start_ns, cpu_ns, children_cpu_ns; /* cpu_ns: of threads that have ended */
	uint32_t signals_queued;
	sigmask_t pending, shared_pending, blocked, ignored, caught;
	bool has_files; /* and directories and a program: no zombie */
	uint32_t umask;
};
/* Of a thread, or with tid 0 of the first one. -ESRCH: there is none of that number. */
nodiscard int process_report(struct process *p, int32_t tid, struct process_report *r);
bool process_is_zombie(const struct process *p);
bool process_has_thread(struct process *p, int32_t tid);
/* The thread with the lowest number >= `from`, or -1. A first thread that has ended counts while others go on, and so does a
 * zombie's. */
int32_t process_next_thread(struct process *p, int32_t from);
void process_set_comm(struct process *p, int32_t tid, const char comm[16]); /* tid 0: the first thread */

/* The program that p runs (mm/mm.h), watched; NULL: it has ended. */
nodiscard struct program *process_program(struct process *p);
/* The working directory or the root directory, one reference; NULL: it has ended. */
nodiscard struct dentry *process_directory(struct process *p, bool root);
/* The program's path: its length, or -ENOENT if the process has ended. */
nodiscard ssize_t process_exe(struct process *p, char *path, size_t size);

/* Of all processes: threads that there are, and those of them that run. */
void process_census(uint32_t *threads, uint32_t *running);

/* The cVM's names as they are now (sys/sys_info.c). */
#define NAME_ROOM 65
void names_now(char host[NAME_ROOM], char domain[NAME_ROOM]);

#endif
