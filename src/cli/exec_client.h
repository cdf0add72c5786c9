/*
 * The client's side of `intravisor exec`: what stands between the caller's standard streams and a program in a running cVM.
 */
#ifndef CLI_EXEC_CLIENT_H
#define CLI_EXEC_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/detach_keys.h"
#include "config/list.h"

struct exec_program {
	char *const *argv; /* ends with a null pointer */
	const struct strlist *env; /* "K=V", besides the cVM's own */
	bool has_user; /* else the cVM's own */
	uint32_t uid, gid;
	const char *cwd; /* a null pointer: the cVM's own */
	bool detached; /* it only starts it: no input, no terminal */
	bool input; /* the caller's standard input is passed on; else it is empty */
	struct detach_keys detach_keys; /* with input and a terminal */
	bool terminal; /* it gets one, for which the caller's, its standard input, is set to pass on all keys */
};

/* Starts the program over a connection that the pod has accepted for it, and stays until it has ended. The exit status for the
 * caller: the program's, 128 + its signal, 126 or 127 with a message if it could not be executed, 125 if exec failed, 0 if the caller
 * left it or only started it. */
int exec_client_run(int fd, const struct exec_program *program);

#endif
