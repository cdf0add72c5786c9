/*
 * The table of --stats.
 */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include <stdbool.h>

#include "abi/channel.h"
#include "config/config.h"

/* As a shell shows it: the exit code, or 128 + the signal that ended the program. */
int stats_exit_status(const struct channel_exit *e);

/* "1.5M" */
void stats_format_bytes(uint64_t bytes, char text[16]);

/* One row for each cVM, on standard error; log_dropped in bytes. */
void stats_print(const struct config *config, const bool *ended, const struct channel_exit *exits,
		 const uint64_t *log_dropped);

#endif
