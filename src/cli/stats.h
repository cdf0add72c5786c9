/*
 * The table of --stats.
 */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include <stdbool.h>

#include "abi/channel.h"
#include "config/config.h"

/* One row for each cVM, on standard error. */
void stats_print(const struct config *config, const bool *ended, const struct channel_exit *exits);

#endif
