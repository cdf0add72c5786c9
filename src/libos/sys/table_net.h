/* System calls of the net family; see sys/syscalls.h for the format. */
#ifndef LIBOS_TABLE_NET_H
#define LIBOS_TABLE_NET_H

#define SYSCALLS_NET(SYS)

#endif
