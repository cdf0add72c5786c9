/* System calls of the mm family; see sys/syscalls.h for the format. */
#ifndef LIBOS_TABLE_MM_H
#define LIBOS_TABLE_MM_H

#define SYSCALLS_MM(SYS)

#endif
