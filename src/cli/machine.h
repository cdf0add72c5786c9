/*
 * What the machine must have: asked by `run` (quickly, the first thing that is missing) and by `check` (all of it).
 */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

/* Null pointer if cVMs can run; else what is missing and the remedy. `without_pkeys`: --insecure-no-pkeys. */
const char *machine_problem(bool without_pkeys, char *text, size_t size);

/* `intravisor check`: one line per requirement on standard output. Exit status 0 or 1. */
int machine_check(void);

#endif
