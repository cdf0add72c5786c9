/*
 * Options of `intravisor run`: those about the run as a whole are kept here, those about the cVM go through the setters
 * of config/fields.h.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "config/config.h"

struct run_options {
	const char *yaml; /* -y FILE, or a null pointer */
	const char *name; /* --name, or a null pointer */
	uint32_t insecure; /* LAUNCH_INSECURE_* */
	bool help, stats, quiet, verbose, trace, detach;
	struct detach *detached; /* set by run.c in the process that stays; see cli/detach.h */
};

/* `arguments` follow the word "run" and end with a null pointer. Without -y and --help, config gets one cVM.
 * 0, or -EINVAL with the error set. */
__attribute__((warn_unused_result)) int options_parse(char **arguments, struct run_options *options,
						       struct config *config, struct config_error *error);

/* The usage of run, on standard output. */
void options_help(void);

/* "--insecure-no-pkeys: ..." for each bit that is set, as warnings. */
void options_warn_insecure(uint32_t insecure);

#endif
