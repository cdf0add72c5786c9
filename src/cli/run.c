/*
 * `intravisor run`: options or YAML to a configuration, the configuration to a launch plan, the plan to a monitor.
 * Called by main.c. Everything that can be found wrong is found before anything is started.
 */
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/control_socket.h"
#include "cli/detach.h"
#include "cli/helpers.h"
#include "cli/host_path.h"
#include "cli/launch_build.h"
#include "cli/libos_image.h"
#include "cli/user_limits.h"
#include "cli/machine.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/pod.h"
#include "cli/private_dir.h"
#include "cli/supervise.h"
#include "cli/terminal.h"
#include "config/value.h"

/* Into *config, checked. */
static int read_configuration(char **arguments, struct run_options *options, struct config *config,
			      struct config_error *error)
{
	int ret = options_parse(arguments, options, config, error);

	if (ret || options->help)
		return ret;
	if (options->yaml) {
		ret = config_read_yaml(options->yaml, config, error);
		for (uint32_t i = 0; ret == 0 && options->trace && i < config->cvms; i++)
			config->cvm[i]->trace = true;
	}
	return ret ? ret : config_finish(config, error);
}

/* "/srv/pod.yaml" is called pod. A new string. */
static char *default_name(const char *yaml)
{
	const char *slash = strrchr(yaml, '/'), *base = slash ? slash + 1 : yaml;
	struct config_error ignored = {0};
	size_t size = strcspn(base, ".");
	char *name = xstrndup(base, size < LAUNCH_NAME_MAX ? size : LAUNCH_NAME_MAX - 1);

	if (value_name(name, &ignored) == 0 && strcmp(name, "-") != 0)
		return name;
	free(name);
	return xstrdup("pod");
}

/* A run with a name, or of several cVMs, or in the background can be controlled. Only the last must be. */
static int claim_name(struct config *config, const struct run_options *options, struct control_socket *socket)
{
	bool exact = options->name || config->name;

	if (options->name) {
		free(config->name);
		config->name = xstrdup(options->name);
	}
	if (!config->name && !options->yaml && !options->detach)
		return 0;
	if (!config->name)
		config->name = options->yaml ? default_name(options->yaml) : xstrdup(config->cvm[0]->name);
	int ret = control_socket_listen(socket, config->name, exact);
	if (ret == 0) {
		config->stay = config->controlled = true;
		return 0;
	}
	if (ret == -EADDRINUSE && exact) {
		message_error("a pod called %s is running (stop it, or choose another name)", config->name);
		return ret;
	}
	char *path;
	int directory = control_directory(false, &path);
	if (directory >= 0)
		close(directory);
	if (options->detach)
		message_error("cannot be controlled, so cannot be left in the background: %s: %s (set XDG_RUNTIME_DIR to a "
			      "directory of your own)", path ? path : "HOME is not set", private_dir_error(ret));
	else if (options->verbose)
		message_warning("no control socket, so ps, logs, stop do not work: %s: %s", path ? path : "HOME is not set",
				private_dir_error(ret));
	free(path);
	return options->detach ? ret : 0;
}

/* In the background: what this process returns, while its child stays. */
static int start_detached(const struct helpers *helpers, struct launch_plan *plan, const struct config *config,
			  const struct run_options *options, struct control_socket *socket)
{
	struct run_options child = *options;
	struct detach detach;
	int status = detach_start(&detach);

	if (status >= 0) {
		launch_close(plan); /* else the monitor would not see that our child has closed its end */
		status = status ? status : detach_wait(&detach);
		if (status == 0)
			puts(socket->name);
		control_socket_close(socket, false);
		return status;
	}
	child.detached = &detach;
	status = supervise(helpers, plan, config, &child, socket);
	control_socket_close(socket, true); /* before anybody is told that it is over */
	detach_end(&detach, status);
	return status;
}

/* What the next run relies on, and a cVM of this one may change. */
static void warn_of_writable(const struct host_places *writable, const char *yaml, const char *monitor)
{
	const char *file = yaml && strcmp(yaml, "-") != 0 ? host_path_through(writable, yaml) : NULL;
	const char *own = host_path_through(writable, monitor);

	if (file)
		message_warning("%s: a cVM may write to %s, and so to this file: the next run would do what that cVM makes of it (keep the "
				"file elsewhere, or grant the directory with :ro)", yaml, file);
	if (own)
		message_warning("a cVM may write to %s, and so to the Intravisor's own programs: the next run would execute what that cVM "
				"makes of them (grant the directory with :ro, or only one below it)", own);
}

static int start(struct config *config, const struct run_options *options, struct config_error *error)
{
	struct control_socket socket = {.directory = -1, .listener = -1};
	struct helpers helpers = {0};
	struct host_places writable;
	struct libos_image image;
	struct launch_plan plan;
	char problem[512];

	if (machine_problem(options->insecure & LAUNCH_INSECURE_NO_PKEYS, problem, sizeof(problem)) ||
	    limits_problem(config, problem, sizeof(problem))) {
		message_error("%s", problem);
		return EXIT_CANNOT_START;
	}
	int status = EXIT_CANNOT_START;
	config->stay = pod_needs_stay(config);
	config->capture |= options->detach;
	config->detached = options->detach;
	config->job = config->cvms == 1 && !config->cvm[0]->bare && !config->cvm[0]->syscalls_to && !options->detach && terminal_stops_us();
	host_places_init(&writable, config);
	if (helpers_find(&helpers, options->insecure) == 0 && libos_image_read(helpers.libos, &image) == 0 &&
	    claim_name(config, options, &socket) == 0 &&
	    launch_build(config, options->insecure, &image, &writable, &plan, error) == 0) {
		options_warn_insecure(options->insecure);
		warn_of_writable(&writable, options->yaml, helpers.monitor);
		status = options->detach ? start_detached(&helpers, &plan, config, options, &socket)
					 : supervise(&helpers, &plan, config, options, &socket);
	}
	control_socket_close(&socket, true);
	host_places_free(&writable);
	helpers_free(&helpers);
	return status;
}

int command_run(char **arguments)
{
	struct run_options options = {0};
	struct config config = {0};
	struct config_error error = {0};
	int status = EXIT_USAGE;

	int ret = read_configuration(arguments, &options, &config, &error);
	message_quiet(options.quiet);
	if (ret == 0 && options.help) {
		options_help();
		status = 0;
	} else if (ret == 0) {
		status = start(&config, &options, &error);
	}
	if (error.failed) {
		message_error("%s", error.text);
		status = EXIT_USAGE;
	}
	config_free(&config);
	return status;
}
