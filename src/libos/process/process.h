/*
 * Processes of a cVM. They share its slot, and so see each other's memory as threads do: what a process has of its own is
 * its program's mappings (mm/mm.h), descriptors, directories, signals, limits and identity. What fork makes shares addresses,
 * too, and takes turns (process/turn.h).
 *
 * The first process has pid 1 and parent 0, as the first one of a container has; unlike there, signals with default action
 * do end it. The cVM ends with it. Other processes leave a zombie for their parent; orphans become children of pid 1, or with
 * BOOT_FLAG_INIT the libOS's: they see pid 1 as their parent, but their end is told to nobody.
 *
 * Locks, in this order: the tree's (process_tree_lock); a family's and the map's (mm/family.h), process->lock, process->signals.lock.
 */
#ifndef LIBOS_PROCESS_H
#define LIBOS_PROCESS_H

#include "core/list.h"
#include "core/lock.h"
#include "core/types.h"
#include "core/waitq.h"
#include "signal/signal.h"

struct alarm;
struct fdtable;
struct file;
struct fs_context;
struct libos_boot;
struct mm;
struct program;
struct regs;
struct rlimit64;
struct rusage;
struct terminal;
struct thread;

/* What prctl(2) sets: words, one at a time, atomic. */
struct process_words {
	uint32_t dumpable, no_new_privileges, keep_caps, thp_disable, mce_kill;
	uint32_t timer_slack, timer_slack_default; /* ns; the default is what the parent had */
	uint32_t death_signal; /* sent to this process when its parent ends */
	uint32_t subreaper;    /* orphans among its descendants become its children */
};

#define GROUPS_MAX 64u

/* Supplementary groups: they give rights where the libOS checks any, to System V IPC and message queues. */
struct process_groups {
	uint32_t count, group[GROUPS_MAX]; /* sorted */
};

enum process_state { PROCESS_RUNS, PROCESS_ZOMBIE, PROCESS_GONE };

struct process {
	int32_t pid, ppid; /* ppid: of `parent`, 0 if it is outside; atomic */
	int32_t pgid, sid; /* written with the tree lock; atomic */
	bool no_terminal; /* it has given up its session's; terminals' lock (tty/terminal.h) */
	int32_t hung_up;  /* the group that was in the foreground when its terminal was; the same */
	uint32_t refs;	   /* atomic; the tree has one, every thread has one */
	struct mutex lock; /* threads, exit state */
	struct list threads;
	uint32_t thread_count;	    /* futex word for exec_thread */
	struct thread *exec_thread; /* waits until it is the only one, to replace the program */
	uint32_t exiting;     /* exit_group or fatal signal under way */
	uint32_t exit_status; /* code, or signal with 0x100; of a zombie as wait4 gives it */
	uint32_t crash_reported; /* atomic */
	struct mm *mm;	      /* the cVM's */
	struct program *program;
	struct fdtable *files;	/* fs/file.h */
	struct fs_context *fs;	/* cwd, root, umask: fs/vfs.h */
	struct process_signals signals;
	struct alarm *itimers; /* setitimer's three, or NULL: none yet; timer_lock */
	uint32_t uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
	struct process_groups groups; /* lock */
	struct process_words words;
	int32_t nice;	   /* remembered only; atomic */
	int32_t oom_score_adj; /* the same */
	uint64_t start_ns; /* CLOCK_MONOTONIC */
	uint64_t cpu_ns;   /* of threads that have ended; lock */
	char comm[16];	   /* of the first thread once it has ended; lock */
	char exe_path[4096]; /* lock */
	struct libos_boot *boot;
	uint32_t boot_flags;	  /* BOOT_FLAG_*, of boot */
	struct rlimit64 *rlimits; /* RLIM_NLIMITS of them */
	struct list sem_undos;	  /* ipc/sem.c's, with its lock */
	uint32_t vfork_word;	  /* futex word: 1 while the parent waits for exec or exit */

	/* the tree lock: */
	enum process_state state; /* atomic: read without the lock */
	struct list link;	  /* of all processes, in order of creation */
	struct process *parent;	  /* NULL: outside the cVM, gone, or the libOS */
	struct list children, sibling;
	int32_t exit_signal;  /* for the parent; 0: none */
	int32_t stop_signal;  /* it has been stopped by this one, 0: not; atomic: read without the lock */
	uint32_t stop_told, continue_due; /* what wait4 has still to tell of it */
	bool has_execed;
	uint64_t children_cpu_ns; /* of those waited for */
	struct waitq child_events; /* for wait4 of this process */
	struct waitq ended;	   /* for pidfds of this process */
	void (*at_end)(void *arg, int status, const char *why); /* process_run; NULL: nobody is to be told (any more) */
	bool until_begun;
	void *at_end_arg;
	const char *why; /* kmalloc'ed sentence: the program never started */
};

extern struct process *g_process; /* the first one */

/* process/process.c */
nodiscard struct process *process_create(struct libos_boot *boot); /* the first one */
/* A copy, with or without the open descriptors: not in the tree, no number, no program, no threads. NULL: no memory. */
nodiscard struct process *process_copy(struct process *from, bool descriptors);
/* A copy that nobody else knows yet gets what the cVM's first program found: signals, umask, nice value, limits, what prctl sets. */
void process_renew(struct process *p, uint32_t uid, uint32_t gid);
struct process *process_get(struct process *p);
void process_put(struct process *p); /* NULL is fine */
/* Is it the effective group, or a supplementary one? Takes p->lock. */
bool process_in_group(struct process *p, uint32_t gid);
/* A resource limit now in force: RLIMIT_*; ~0 for none. */
uint64_t process_limit(struct process *p, int resource);
_Noreturn void process_exit(uint32_t status); /* exit_group(2), or a signal number | 0x100 */
/* The calling thread is the last one: everything goes but the zombie. For the first process: the cVM ends. */
void process_end(struct process *p);
/* Numbers of processes and threads: 1 to 32767, one for both. 0: none is free. */
nodiscard int32_t number_take(void);
void number_give(int32_t number);
void number_counts(uint32_t *taken, int32_t *last); /* how many so far, and the last one */

/* process/tree.c. With a reference, or NULL; a zombie is found, too. */
nodiscard struct process *process_find(int32_t pid);
nodiscard struct process *process_of_thread(int32_t tid);
/* The process with the lowest number >= `from` that is not gone, or -1. */
int32_t process_next(int32_t from);
void process_tree_lock(void);
void process_tree_unlock(void);
void process_for_each(void (*visit)(struct process *p, void *data), void *data); /* tree lock held */
/* Gives p its number and makes it a child of `parent` (NULL: outside). 0, -EAGAIN, or -ERESTARTNOINTR:
 * a signal for the calling thread, which is the parent's, comes first. */
nodiscard int process_adopt(struct process *p, struct process *parent);
void process_disown(struct process *p); /* it never ran: takes that back */
/* p's threads are gone; wait status as wait4 gives it. */
void process_became_zombie(struct process *p, int status);
/* p stopped by `sig`, or perhaps went on (0): tells the parent. */
void process_stopped(struct process *p, int sig);
/* Has nobody in another group of its session a child in p's group? */
bool process_group_is_orphaned(const struct process *p);
/* From the kernel, to a group; 0 is none. */
void process_signal_group(int32_t pgid, int sig);
int32_t process_session_of_group(int32_t pgid); /* 0: there is no such group */

struct wait_request {
	int which;     /* P_ALL, P_PID, P_PGID, P_PIDFD */
	int32_t id;
	const struct process *process; /* P_PIDFD: with a reference of the caller's */
	int options;   /* as waitid(2) */
	siginfo_t info; /* out: si_pid is 0 if nobody had anything to tell */
	int status;	/* out: as wait4 gives it */
	uint64_t cpu_ns; /* out */
};
/* Waits for a child of the calling process: its pid, 0 (WNOHANG), -ECHILD or -ERESTARTSYS. */
nodiscard long process_wait(struct wait_request *rq);

/* process/clone.c */
struct clone_request {
	uint64_t flags, stack;
	int32_t *parent_tid, *child_tid; /* program addresses */
	int32_t *pidfd;
	uint64_t tls;
	int32_t exit_signal;
};
/* clone(2) without CLONE_THREAD: a process that shares the caller's memory. Its pid or negative errno. */
nodiscard long process_clone(const struct regs *r, const struct clone_request *c);
void process_vfork_done(struct process *p); /* the parent may go on */

/* For programs started from outside the cVM (intravisor exec). */
struct process_request {
	const char *const *argv, *const *envp;
	const char *cwd;	 /* absolute */
	struct file *files[3]; /* descriptors 0 to 2: borrowed; NULL: closed */
	struct terminal *terminal; /* its controlling one, or NULL */
	uint32_t uid, gid;
	bool until_begun; /* at_end is called when the program begins, with status 0, instead of when it ends */
};
/* Starts a program as a process whose parent is outside the cVM: ppid 0, own session and group, and of the first process only what
 * that was given (process_renew). argv[0] without a slash is
 * looked up in PATH of envp. What rq has is copied before this returns. `at_end` is called once, on a thread of the libOS, without
 * locks: with the wait status as wait4 gives it and, if the program never started (status 126 or 127 << 8), a sentence that
 * says why, else NULL. Its pid, or negative errno: then at_end is not called. */
nodiscard long process_run(const struct process_request *rq, void (*at_end)(void *arg, int status, const char *why), void *arg);
/* kill(2) from outside: 0, -ESRCH, -EAGAIN. */
int process_signal(int32_t pid, int sig);

/* process/exec.c: execve(2) for the calling process; strings in libOS memory, which it frees if it succeeds. Returns only
 * on failure, negative errno. */
struct exec_strings {
	char *path;	   /* what to open, */
	char *name;	   /* and what the program is told of it; a pathbuf each (fs/inode.h) */
	const char **argv; /* kmalloc'ed, each with its strings */
	const char **envp;
};
nodiscard long process_exec(struct exec_strings *s);
void exec_strings_free(struct exec_strings *s);

#endif
