/*
 * Files in memory that are handed to the monitor or the translator.
 */
#ifndef CLI_MEMFILE_H
#define CLI_MEMFILE_H

#include <stddef.h>

/* A new sealable, non-executable (as a program), close-on-exec memory file, or negative errno. */
__attribute__((warn_unused_result)) int memfile_create(const char *name);

/* All of it, or negative errno. */
__attribute__((warn_unused_result)) int memfile_write(int fd, const void *bytes, size_t size);

/* Nothing about the file can change any more. */
__attribute__((warn_unused_result)) int memfile_seal(int fd);

#endif
