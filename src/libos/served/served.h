/*
 * System calls of this cVM's program that another cVM serves (YAML: syscalls_to; protocol: abi/served.h; what servers see:
 * include/cvm/syscalls.h).
 *
 * The libOS keeps what only it can do: memory, threads, futexes, signals, program loading, waiting for descriptors, and the
 * table of descriptors. Whatever else is in the set the server asked for, and every call on a descriptor the server gave,
 * goes to it as a CP_Call with number and arguments; it reaches the program's memory, and nothing of the libOS, through
 * capabilities passed at the start. Nothing here is trusted by anybody but the program: what a cVM may do outside its slot
 * is what the monitor was told to grant it, served or not.
 */
#ifndef LIBOS_SERVED_H
#define LIBOS_SERVED_H

#include "fs/file.h"

struct libos_boot;
struct regs;

extern bool g_served; /* this cVM's system calls are served */

/* Waits for the server and gives it the program's memory: before the program is loaded. 0, or negative errno and it was said. */
nodiscard int served_init(const struct libos_boot *boot);
/* The program is linked at a fixed place, so some of its memory lies in the low window: the server gets that too. */
nodiscard int served_low_window(void);

/* A system call: true if it was served, with the result. False: the libOS is to execute it. */
nodiscard bool served_syscall(struct regs *r, long *result);
/* The server wants to answer what a program otherwise asks the vDSO. */
bool served_clocks(void);

/* fs/poll.c and net/loop_poll.c: readiness of the server's descriptors. */
void served_note(uint32_t index); /* an event of the capability with this index */

/* served/descriptor.c. A file that stands for a descriptor of the server's `life`. */
nodiscard struct file *served_file(uint32_t id, uint32_t life);
bool served_is_file(const struct file *f);
void served_wake(void); /* who waits for such files looks again */
uint32_t served_id(const struct file *f);
uint32_t served_life(const struct file *f);

bool served_own_number(uint64_t nr); /* served/own.c: never served; below SERVED_CALLS */

/* served.c, for descriptor.c: a call that the libOS makes itself, on a descriptor; -EIO if its server is gone. */
long served_ask(const struct file *f, uint32_t number, uint64_t a, uint64_t b, uint64_t c);
/* Arms the event that served_note gets, before readiness is asked for. */
void served_watch(void);
bool served_is_page(uint32_t index);

#endif
