/*
 * What docker, podman and kubectl have and the Intravisor calls otherwise or does not need: what to write instead.
 */
#ifndef CLI_FOREIGN_H
#define CLI_FOREIGN_H

/* A sentence for who has used the command, or the option of `run` (by its long name, or its letter with a null name). A null pointer: it
 * is nothing known. */
const char *foreign_command(const char *name);
const char *foreign_option(const char *name, char letter);

#endif
