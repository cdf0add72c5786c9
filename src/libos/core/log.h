/*
 * Text for the user of the command: warnings, --trace lines, crash reports. Never for program
 * output. Rate-limited and escaped by the command.
 */
#ifndef LIBOS_LOG_H
#define LIBOS_LOG_H

#include "core/types.h"

void log_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* one line, at most 1 KiB */
void log_crash(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* a line of a crash report */
/* A libOS invariant is broken: says so and ends the cVM (status 70). For bugs of the libOS only. */
_Noreturn void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
