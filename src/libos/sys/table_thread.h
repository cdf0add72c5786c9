/* System calls of the thread family; see sys/syscalls.h for the format. */
#ifndef LIBOS_TABLE_THREAD_H
#define LIBOS_TABLE_THREAD_H

#define SYSCALLS_THREAD(SYS)

#endif
