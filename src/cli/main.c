/*
 * The command `intravisor`: untrusted, parses what a person wrote and stays beside the monitor as its parent.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/foreign.h"
#include "cli/launch_build.h"
#include "cli/user_limits.h"
#include "cli/machine.h"
#include "cli/message.h"
#include "cli/usage.h"
#include "cli/words.h"
#include "config/value.h"

static int command_check(char **arguments)
{
	if (!*arguments)
		return machine_check();
	message_error("check: unknown argument %.100s (intravisor check has none)", *arguments);
	return EXIT_USAGE;
}

static int dispatch(char **argv)
{
	static const struct {
		const char *name;
		int (*function)(char **arguments);
	} commands[] = {{"run", command_run}, {"check", command_check}, {"cache", command_cache}, {"ps", command_ps},
			{"stats", command_stats}, {"logs", command_logs}, {"kill", command_kill}, {"stop", command_stop},
			{"start", command_start}, {"restart", command_restart}, {"exec", command_exec}};
	const size_t count = sizeof(commands) / sizeof(commands[0]);
	const char *names[sizeof(commands) / sizeof(commands[0]) + 1] = {NULL};
	static char *help[] = {"--help", NULL};
	const char *command = argv[0] ? argv[1] : NULL;
	char **arguments;

	if (!command) {
		message_error("no command is given (run, ps, stop, ...; see intravisor --help)");
		return EXIT_USAGE;
	}
	arguments = argv + 2;
	if (strcmp(command, "help") == 0 && *arguments) {
		command = *arguments;
		arguments = help;
	}
	for (size_t i = 0; i < count; i++) {
		names[i] = commands[i].name;
		if (strcmp(command, commands[i].name) != 0)
			continue;
		if (*arguments && usage_is_help(*arguments) && commands[i].function != command_run) {
			usage_print(command);
			return 0;
		}
		int status = commands[i].function(arguments);
		return status == WORDS_HELP ? 0 : status;
	}
	if (usage_is_help(command) || strcmp(command, "help") == 0) {
		usage_print_all();
		return 0;
	}
	if (strcmp(command, "--version") == 0) {
		puts("intravisor " INTRAVISOR_VERSION);
		return 0;
	}
	const char *near = value_nearest(command, names), *instead = foreign_command(command);
	if (instead)
		message_error("there is no command %.100s: %s", command, instead);
	else if (near)
		message_error("unknown command %.100s (did you mean %s?)", command, near);
	else
		message_error("unknown command %.100s (run, ps, stop, ...; see intravisor --help)", command);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	(void)argc;
	launch_prepare_stdio();
	limits_raise();
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like others */
	int status = dispatch(argv);
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		message_error("cannot write to standard output: %s", strerror(errno ? errno : EIO));
		status = status ? status : 1;
	}
	return status;
}
