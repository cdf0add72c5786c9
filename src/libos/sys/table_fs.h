/* System calls of the fs family; see sys/syscalls.h for the format. */
#ifndef LIBOS_TABLE_FS_H
#define LIBOS_TABLE_FS_H

#define SYSCALLS_FS(SYS)

#endif
