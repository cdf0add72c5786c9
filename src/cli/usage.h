/*
 * What the commands are called and take, for --help and for messages about wrong words. The options of `run` are in options.c.
 */
#ifndef CLI_USAGE_H
#define CLI_USAGE_H

#include <stdbool.h>

bool usage_is_help(const char *word); /* -h or --help */

/* All commands, on standard output. */
void usage_print_all(void);

/* One command and its options. */
void usage_print(const char *command);

/* "[-f] [-n N] POD/CVM": what follows the command, in the form that comes first. */
const char *usage_words(const char *command);

#endif
