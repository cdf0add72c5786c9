/* Between trap.c and those who send kicks or must stop the process. */
#ifndef MONITOR_TRAP_H
#define MONITOR_TRAP_H

#include "monitor/monitor.h"

enum { RFLAGS_CLEAN = 0x202, USER_CS = 0x33, USER_SS = 0x2b }; /* of any 64-bit program */
#define KICK_SIGNAL 16 /* SIGSTKFLT: unused, and not queued as the real-time signals are, whose number the host limits */

/* The monitor cannot start or is broken: says so, to the command if it can, and ends the whole process at once. */
_Noreturn void host_die(uint32_t cvm, const char *what, struct channel_report *numbers);
/* On the monitor stack: hands t->trap to the libOS. */
_Noreturn void trap_deliver(struct thread *t);
/* A kick waits for a thread on its way out, whose context is *frame: returns if there is nothing to deliver now. */
void trap_leave_kicked(struct thread *t, const struct upcall_frame *frame);

_Noreturn void host_quit(int status);

#endif
