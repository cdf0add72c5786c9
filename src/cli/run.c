/*
 * `intravisor run`: options or YAML to a configuration, the configuration to a launch plan, the plan to a monitor.
 * Called by main.c. Everything that can be found wrong is found before anything is started.
 */
#include "cli/commands.h"
#include "cli/helpers.h"
#include "cli/launch_build.h"
#include "cli/libos_image.h"
#include "cli/machine.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/supervise.h"

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

static int start(const struct config *config, const struct run_options *options, struct config_error *error)
{
	struct helpers helpers = {0};
	struct libos_image image;
	struct launch_plan plan;
	char problem[512];

	if (machine_problem(options->insecure & LAUNCH_INSECURE_NO_PKEYS, problem, sizeof(problem))) {
		message_error("%s", problem);
		return EXIT_CANNOT_START;
	}
	int status = EXIT_CANNOT_START;
	if (helpers_find(&helpers) == 0 && libos_image_read(helpers.libos, &image) == 0 &&
	    launch_build(config, options->insecure, &image, &plan, error) == 0) {
		options_warn_insecure(options->insecure);
		status = supervise(&helpers, &plan, config, options);
	}
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
