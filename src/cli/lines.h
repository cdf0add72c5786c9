/*
 * What cVMs' libOSes say: --trace, warnings, crash reports. Each cVM has a socket of its own for that (BOOT_HANDLE_LOG), so
 * nobody speaks for another, and who floods it is the only one who must wait. Here the rate is limited and lines are printed.
 * While standard error takes nothing, they stay in the sockets.
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <poll.h>

#include "cli/logs.h"
#include "cli/pod.h"

struct lines {
	struct pod *pod;   /* whose log_dropped counts */
	struct logs *logs; /* gets a copy if output is captured */
	bool unlimited;
	struct {
		int socket;	 /* or -1 */
		uint64_t tokens; /* bytes that may be printed now */
		int64_t time_ms; /* when they were counted */
	} of[LAUNCH_CVMS_MAX];
};

/* Takes over the sockets. */
void lines_init(struct lines *lines, const int *sockets, bool unlimited, struct pod *pod, struct logs *logs);
void lines_end(struct lines *lines);

#define LINES_POLL_MAX (LAUNCH_CVMS_MAX + 1)

/* One entry for each cVM, and the last for standard error. */
void lines_poll(const struct lines *lines, struct pollfd *entries);
void lines_handle(struct lines *lines, const struct pollfd *entries);

/* Prints what is there now; all of it, if the cVM has ended. */
void lines_drain(struct lines *lines, uint32_t i, bool ended);

/* Prints hostile text of the cVM, as a crash report or not. */
void lines_print(struct lines *lines, uint32_t i, bool crash, const char *text, size_t size);

#endif
