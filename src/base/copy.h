/* Copies that survive bad addresses (x86_64/copy.S, which says how): who uses them resolves the faults. */
#ifndef BASE_COPY_H
#define BASE_COPY_H

#include <stdint.h>

/* A fault from copy_fault_begin up to copy_fault_end is to go on at copy_fault_exit, which makes the function return -EFAULT. */
extern char copy_fault_begin[], copy_fault_end[], copy_fault_exit[];

void copy_init(void); /* which instructions to use: once, before any other thread */

/* 0 or -EFAULT: then some has been copied. Not for areas that overlap. */
long user_copy(void *dst, const void *src, uint64_t size);

#endif
