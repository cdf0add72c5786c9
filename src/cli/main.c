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

static const struct {
	const char *name;
	int (*function)(char **arguments);
} g_commands[] = {{"run", command_run}, {"check", command_check}, {"cache", command_cache}, {"ps", command_ps},
		  {"stats", command_stats}, {"logs", command_logs}, {"kill", command_kill}, {"stop", command_stop},
		  {"start", command_start}, {"restart", command_restart}, {"exec", command_exec}};
#define COMMANDS (sizeof(g_commands) / sizeof(g_commands[0]))

/* run knows --help among its own options. */
static int execute(size_t command, char **arguments)
{
	if (*arguments && usage_is_help(*arguments) && g_commands[command].function != command_run) {
		usage_print(g_commands[command].name);
		return 0;
	}
	int status = g_commands[command].function(arguments);
	return status == WORDS_HELP ? 0 : status;
}

static int unknown_command(const char *command)
{
	const char *names[COMMANDS + 1] = {NULL};

	for (size_t i = 0; i < COMMANDS; i++)
		names[i] = g_commands[i].name;
	const char *near = value_nearest(command, names), *instead = foreign_command(command);
	if (instead)
		message_error("there is no command %.100s: %s", command, instead);
	else if (near)
		message_error("unknown command %.100s (did you mean %s?)", command, near);
	else
		message_error("unknown command %.100s (run, ps, stop, ...; see intravisor --help)", command);
	return EXIT_USAGE;
}

static int dispatch(char **argv)
{
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
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(command, g_commands[i].name) == 0)
			return execute(i, arguments);
	if (usage_is_help(command) || strcmp(command, "help") == 0) {
		usage_print_all();
		return 0;
	}
	if (strcmp(command, "--version") == 0) {
		puts("intravisor " INTRAVISOR_VERSION);
		return 0;
	}
	return unknown_command(command);
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
