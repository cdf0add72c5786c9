/* See fake_host.c. Includes nothing of the C library, so that libOS code can include it. */
#ifndef UNIT_FAKE_HOST_H
#define UNIT_FAKE_HOST_H

#include <stdbool.h>
#include <stdint.h>

uint64_t fake_host_init(void *thread); /* the slot's base */
_Noreturn void fake_host_fail(const char *file, int line, const char *what);
int unit_child(void (*f)(void)); /* in a forked process: what it exits with; 0 if f returns, 128 and more by a signal */
_Noreturn void unit_exit(int status);
bool fake_host_access(uint64_t addr, bool *writable); /* is the byte readable (and writable)? */

#define CHECK(x) ((x) ? (void)0 : fake_host_fail(__FILE__, __LINE__, #x))

#endif
