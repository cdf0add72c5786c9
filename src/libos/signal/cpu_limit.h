/* RLIMIT_CPU (signal/cpu_limit.c): how long a process may run on a processor. */
#ifndef LIBOS_CPU_LIMIT_H
#define LIBOS_CPU_LIMIT_H

#include "core/types.h"

/* Some process may have a limit. Atomic. */
extern bool g_cpu_limits;

/* A process has got a limit. Without locks. 0, or -EAGAIN: nobody can look at it. */
nodiscard int cpu_limit_begin(void);
/* The calling thread, on its way back to the program: counts its time and acts if its process has had too much. Without locks. */
void cpu_limit_check(void);

#endif
