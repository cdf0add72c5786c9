/* What the program intravisor-translate consists of beside the library: main.c, sandbox.c, stats.c. */
#ifndef TRANSLATE_HELPER_H
#define TRANSLATE_HELPER_H

#include <stddef.h>
#include <stdint.h>

/* Reads the file open at fd into memory; NULL with errno set. Files beyond 1 GiB are cut: what lies behind is unseen. */
uint8_t *read_file(int fd, size_t *size);

/* Bounds on memory, time and the size of files (bytes, which memory files count as), for whatever happens; then nothing but
 * reading, writing and memory. */
void sandbox_limits(uint64_t file_max);
int sandbox_enter(void);

int stats_print(const char *path);

#endif
