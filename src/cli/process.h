/*
 * Starting the monitor and translators, and the signals that the command passes on instead of acting on them.
 */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

/* The signals to pass on, without those that the caller of the command ignores (nohup, background jobs). */
void process_forwarded_signals(sigset_t *set);

/* Starts PATH with an empty environment and the given descriptors (above 2) kept open; with output >= 0 it replaces
 * standard output and error, and standard input is /dev/null. Signals in `blocked` are blocked there; SIGPIPE has
 * its default action again. Returns the process id, or negative errno. */
__attribute__((warn_unused_result)) pid_t process_start(const char *path, char *const *arguments, const int *keep,
							 size_t keep_count, int output, const sigset_t *blocked);

#endif
