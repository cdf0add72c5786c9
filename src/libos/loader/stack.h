/*
 * The first stack of a program, as the kernel leaves it for _start (System V ABI, section 3.4.1).
 */
#ifndef LIBOS_STACK_H
#define LIBOS_STACK_H

#include "core/types.h"

struct image;

struct stack_request {
	const char *const *argv; /* NULL-terminated, libOS memory */
	const char *const *envp;
	const char *path;	 /* AT_EXECFN */
	const struct image *program;
	uint64_t interpreter_base; /* AT_BASE: load bias of the interpreter, 0 if none */
	uint64_t top;		 /* of the stack, as mm_map_stack gave it */
};

/* Writes everything and sets *sp. 0, -E2BIG (more than a quarter of the stack, or 128 KiB in one string), -EFAULT. */
nodiscard int stack_build(const struct stack_request *request, uint64_t *sp);
/* The checks of stack_build alone: execve makes them before the old program is gone. *sum: bytes of the strings and of pointers to them. */
nodiscard int stack_check(const char *const *argv, const char *const *envp, uint64_t *sum);

#endif
