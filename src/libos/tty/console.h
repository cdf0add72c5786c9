/*
 * The terminal that the command was started with, as a terminal of the cVM: /dev/console, which controls the session of its first process.
 * Its keys, modes and size are the host's, which knows nothing of the groups here: what the host's line discipline sends to the command
 * comes from outside and goes to the group in the foreground.
 */
#ifndef LIBOS_CONSOLE_H
#define LIBOS_CONSOLE_H

#include "core/types.h"

struct file;
struct mem_inode;

/* The standard stream f, a duplicate of whose handle is `handle` or negative, is that terminal. */
void console_attach(struct file *f, long handle);
struct file *console_open(struct mem_inode *inode, int flags, int *error); /* /dev/console */
/* Before f, which is one, is read or written; what is asked of it, 1: the host answers. */
nodiscard int console_check_read(struct file *f);
nodiscard int console_check_write(struct file *f);
nodiscard long console_ioctl(struct file *f, unsigned long request, void *user);
void console_stopped(void); /* the first process is: the command stops with it */
/* A signal from outside: true if it was the terminal's and went to a group here. */
bool console_signal(int sig);

#endif
