/*
 * System calls that Linux does not have; see sys/syscalls.h for the format. Their numbers, far above Linux's, are the
 * abi's (abi/boot.h), so no table is indexed by them.
 */
#ifndef LIBOS_TABLE_PRIVATE_H
#define LIBOS_TABLE_PRIVATE_H

#include "abi/boot.h"

#define __NR_cvm_capability BOOT_SYSCALL_CAPABILITY

#define SYSCALLS_PRIVATE(SYS)          \
	/* sys_capability.c */         \
	SYS(cvm_capability, "hxxxxx")

#endif
