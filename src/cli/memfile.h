/*
 * Files in memory that are handed to the monitor or the translator.
 */
#ifndef CLI_MEMFILE_H
#define CLI_MEMFILE_H

#include <stddef.h>
#include <stdint.h>

/* A new sealable, non-executable (as a program), close-on-exec memory file, or negative errno. */
__attribute__((warn_unused_result)) int memfile_create(const char *name);

/* All of it, or negative errno. */
__attribute__((warn_unused_result)) int memfile_write(int fd, const void *bytes, size_t size);

/* Appends `size` bytes of another file, or negative errno. */
__attribute__((warn_unused_result)) int memfile_copy(int fd, int from, uint64_t offset, uint64_t size);

/* Its contents cannot change any more. The monitor adds the last seal (that no seal is added or taken away); it finds
 * ours fast, while sealing on a processor that did not write the pages has to wait for the one that did. */
__attribute__((warn_unused_result)) int memfile_seal(int fd);

#endif
