/*
 * The monitor's concurrent parts as an ordinary program under ThreadSanitizer: caps.c, cap_memory.c, stream.c, call.c, handle.c,
 * memory.c, thread.c, cvm.c, user.c and lock.c as they are, with gates.c in place of what needs gates, keys, a seccomp filter or a
 * command. "In the cVM" means: in drive(), on an ordinary thread, which makes random hostcalls.
 *
 * What TSan sees of them: every access to the monitor's tables, and the bytes of rings. It does not see bytes of CP_Files and of cVMs'
 * memory, which any number of cVMs may use at once, by design.
 */
#ifndef RACE_H
#define RACE_H

#include "host/syscall.h"
#include "monitor/caps.h"
#include "monitor/hostcalls.h"

#define CVMS 3
#define MEMORY_SIZE (4u << 20) /* of each cVM, at memory_of() */

int gates_start(void);		  /* the arena, and the calling thread as the supervisor */
_Noreturn void drive(struct thread *t); /* hammer.c: random hostcalls until the thread ends */
void leave_monitor(struct thread *t); /* what the gate does on its way out; may not return */
uint64_t memory_of(const struct cvm *c);
bool somebody_lost_all(void); /* a cVM's last thread has gone since the last look */

#endif
