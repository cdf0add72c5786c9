/*
 * What job control knows of a terminal, a pseudo-terminal (tty/tty.h) or the one that the command was started with (fs/stdio.c): the
 * session that it controls and the group in its foreground. A session has at most one; a process has its session's.
 *
 * One lock for all of them, taken before the processes' tree lock and behind no other but a tty's. The two numbers are read without it.
 */
#ifndef LIBOS_TERMINAL_H
#define LIBOS_TERMINAL_H

#include "core/list.h"
#include "core/types.h"

struct file;
struct process;
struct terminal;

struct terminal_ops {
	void (*get)(struct terminal *t); /* the terminals' lock held */
	void (*put)(struct terminal *t);
	struct file *(*open)(struct terminal *t, int flags, int *error); /* as /dev/tty */
};

struct terminal {
	const struct terminal_ops *ops;
	struct list link;
	int32_t session; /* 0: it controls none; atomic */
	int32_t group;	 /* 0: none is in its foreground; atomic */
	uint32_t device; /* as /proc/PID/stat names it */
};

void terminal_add(struct terminal *t);
void terminal_remove(struct terminal *t);
/* Becomes the controlling terminal of the caller's session, if that is what opening it does. */
void terminal_opened(struct terminal *t, int flags);
/* The same for a session that begins with p. */
void terminal_give(struct terminal *t, struct process *p);
/* /dev/tty. */
struct file *terminal_open_own(int flags, int *error);
/* May the caller read it (SIGTTIN), or change it or, if it wants to be asked, write to it (SIGTTOU)? 0, -EIO, or -ERESTARTSYS after
 * that signal was sent to its group. */
nodiscard int terminal_check(const struct terminal *t, int sig);
/* TIOCSCTTY, TIOCNOTTY, TIOCGPGRP, TIOCSPGRP, TIOCGSID; -ENOTTY for all else. `own`: not by the master of a pseudo-terminal. */
bool terminal_knows(unsigned long request);
nodiscard long terminal_ioctl(struct terminal *t, const struct file *f, bool own, unsigned long request, void *user);
bool terminal_foreground(const struct terminal *t); /* is the caller's group? */
void terminal_signal(const struct terminal *t, int sig); /* to the foreground group */
/* The leader of its session has SIGHUP and SIGCONT, whoever was in the foreground when the leader has ended. */
void terminal_hang_up(struct terminal *t);
void terminal_leader_ended(struct process *p);
/* Device and foreground group of p's terminal, 0 and -1 if it has none. */
void terminal_of(const struct process *p, uint32_t *device, int32_t *group);

#endif
