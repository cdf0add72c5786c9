/* System calls of the poll family; see sys/syscalls.h for the format. */
#ifndef LIBOS_TABLE_POLL_H
#define LIBOS_TABLE_POLL_H

#define SYSCALLS_POLL(SYS)

#endif
