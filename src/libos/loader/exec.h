/*
 * Starting a program: from a path to registers. Works on strings in libOS memory.
 */
#ifndef LIBOS_EXEC_H
#define LIBOS_EXEC_H

#include "core/types.h"

struct exec_start {
	uint64_t rip, rsp; /* all other registers of a new program are zero */
};

/* Opens `path` (no PATH lookup) with its interpreter, or the interpreter of its "#!" line, and checks all that can be known
 * before something is mapped. The program is told that it is `name`. NULL with *error (a negative errno or a positive enum elf_error)
 * and a sentence for the user in `why`, which, like argv's strings, is used until exec_close. */
nodiscard struct exec *exec_open(const char *path, const char *name, const char *const *argv, const char *const *envp,
				 char *why, size_t why_size, int *error);
/* Maps it into the calling process's program, which is empty, builds the stack, and sets *start. 0, or negative errno with a sentence. */
nodiscard int exec_map(struct exec *e, const char *const *envp, struct exec_start *start);
void exec_close(struct exec *e); /* NULL is fine */
/* What execve(2) says of exec_open's error, and whether that is less than there is to know: then the sentence belongs into the log. */
int exec_errno(int error);
bool exec_is_remarkable(int error);
/* The first program of a process: looks `name` up in envp's PATH if it has no slash, and does all of the above. 0, or the
 * exit status that container tools use, with a sentence. */
nodiscard int exec_first(const char *name, const char *const *argv, const char *const *envp, struct exec_start *start, char *why,
			 size_t why_size);

#endif
