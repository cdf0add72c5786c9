/*
 * The command's life beside the monitor: start it, serve it, pass signals on, and know how it ended.
 */
#ifndef CLI_SUPERVISE_H
#define CLI_SUPERVISE_H

#include "cli/control_socket.h"
#include "cli/helpers.h"
#include "cli/launch_build.h"
#include "cli/options.h"

/* Returns the command's exit status. Takes over the plan. When it returns no child process is left, and the socket, if
 * it listens, is gone. */
int supervise(const struct helpers *helpers, struct launch_plan *plan, const struct config *config,
	      const struct run_options *options, struct control_socket *socket);

#endif
