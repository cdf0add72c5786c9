/*
 * Limits of the user (ulimit) that the command and the monitor must have, and what to do when the host is short of
 * something. Called by main.c, run.c, machine.c, and whoever starts processes.
 */
#ifndef CLI_USER_LIMITS_H
#define CLI_USER_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

#define LIMITS_FILES 128u     /* descriptors of the command, and of the monitor besides what cVMs make it hold */
#define LIMITS_FILES_EACH 32u /* the least that a cVM is of use with */

/* Soft limits of descriptors and stack up to the hard ones. Before anything that takes much of either. */
void limits_raise(void);

/* Null pointer if this run can start; else which limit is too low and the remedy. */
const char *limits_problem(const struct config *config, char *text, size_t size);

/* " (what helps)" for an error number that says the host is short of something, else "". */
const char *limits_remedy(int error);

#endif
