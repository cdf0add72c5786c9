/*
 * Captured output: what each cVM writes to its standard output and error comes through one pipe, and the last
 * LOGS_SIZE bytes are kept. Positions count all bytes ever written.
 */
#ifndef CLI_LOGS_H
#define CLI_LOGS_H

#include <poll.h>
#include <stdint.h>
#include <sys/uio.h>

#include "abi/launch.h"

#define LOGS_SIZE (256u << 10)

struct log_ring {
	int pipe; /* the read end, or -1 */
	char *bytes;
	uint64_t end; /* position behind the last byte */
};

struct logs {
	uint32_t count;
	struct log_ring ring[LAUNCH_CVMS_MAX];
};

/* Takes over the pipes; none is -1. */
void logs_init(struct logs *logs, const int *pipes, uint32_t count);
void logs_end(struct logs *logs);

/* One entry for each cVM. */
void logs_poll(const struct logs *logs, struct pollfd *entries);
void logs_handle(struct logs *logs, const struct pollfd *entries);

/* Takes what is in the pipe now. */
void logs_drain(struct logs *logs, uint32_t i);

void logs_add(struct logs *logs, uint32_t i, const char *text, size_t size);

/* The first position that is still there. */
uint64_t logs_start(const struct logs *logs, uint32_t i);

/* Where the last `count` lines begin; bytes behind the last newline are a line too. */
uint64_t logs_lines_start(const struct logs *logs, uint32_t i, uint64_t count);

/* Two pieces that hold the bytes from `at` to `until`; what is not there is left out. */
void logs_pieces(const struct logs *logs, uint32_t i, uint64_t at, uint64_t until, struct iovec pieces[2]);

#endif
