/*
 * Starting a program: from a path to registers. Works on strings in libOS memory, so that execve(2) can use it.
 */
#ifndef LIBOS_EXEC_H
#define LIBOS_EXEC_H

#include "core/types.h"

struct exec_start {
	uint64_t rip, rsp; /* all other registers of a new program are zero */
};

/* Loads `path` (no PATH lookup) with its interpreter, or the interpreter of its "#!" line, builds the stack, and sets
 * *start. 0 or negative errno, with a sentence for the user in `why`. Before mm of the process
 * holds a program; execve will clear it between exec_prepare's checks and the mapping. */
nodiscard int exec_load(const char *path, const char *const *argv, const char *const *envp, struct exec_start *start,
			char *why, size_t why_size);
/* PATH lookup as execvp does it: fills `found`. 0, -ENOENT, or -EACCES if only files that are not executable matched. */
nodiscard int exec_find(const char *name, const char *path_variable, char *found, size_t size);

#endif
