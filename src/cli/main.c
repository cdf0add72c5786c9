/*
 * The command `intravisor`: untrusted, parses what a person wrote and stays beside the monitor as its parent.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/launch_build.h"
#include "cli/user_limits.h"
#include "cli/machine.h"
#include "cli/message.h"
#include "config/value.h"

static const char g_usage[] =
	"usage: intravisor COMMAND ...\n\n"
	"  run [OPTIONS] [--] PROGRAM [ARGUMENT...]   run a program in a cVM\n"
	"  run [OPTIONS] -y FILE                      run the cVMs that a YAML file describes\n"
	"  ps [--json] [POD]                          show the pods that run and their cVMs\n"
	"  stats [--json] [--watch] [POD]             show what the cVMs use now\n"
	"  logs [-f] POD/CVM                          show (and follow) a cVM's captured output\n"
	"  exec [-i] [-t] [-e NAME=VALUE] [-w DIR] POD/CVM PROGRAM [ARGUMENT...]\n"
	"                                             run another program in a running cVM; -i: with this standard input,\n"
	"                                             -t: at a terminal of its own\n"
	"  kill [-s SIGNAL] POD[/CVM]                 send a signal (TERM)\n"
	"  stop [-t TIME] POD[/CVM]                   SIGTERM, after the time SIGKILL; it is not restarted\n"
	"  start POD/CVM                              start a cVM that has ended\n"
	"  restart [-t TIME] POD/CVM                  stop and start\n"
	"  check                                      say whether this machine can run cVMs\n"
	"  cache [--clear]                            show or empty the code cache on disk\n\n"
	"intravisor run --help lists the options of a run; intravisor --version prints the version.\n";

/* The lines of g_usage that begin with the command; false: there is none. */
static bool print_usage_of(const char *command)
{
	bool found = false;

	for (const char *line = g_usage; *line; line += strcspn(line, "\n") + 1)
		if (strncmp(line, "  ", 2) == 0 && strncmp(line + 2, command, strlen(command)) == 0 && line[2 + strlen(command)] == ' ') {
			const char *next = line + strcspn(line, "\n") + 1;

			printf("usage: intravisor %.*s\n", (int)strcspn(line + 2, "\n"), line + 2);
			for (; strncmp(next, "   ", 3) == 0; next += strcspn(next, "\n") + 1) /* the text does not fit behind the words */
				printf("%.*s\n", (int)strcspn(next, "\n"), next);
			found = true;
		}
	return found;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

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
	const char *command = argv[0] ? argv[1] : NULL;

	if (!command) {
		message_error("no command is given (run, ps, stop, ...; see intravisor --help)");
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < count; i++) {
		names[i] = commands[i].name;
		if (strcmp(command, commands[i].name) != 0)
			continue;
		if (argv[2] && is_help(argv[2]) && commands[i].function != command_run && print_usage_of(command))
			return 0;
		return commands[i].function(argv + 2);
	}
	if (is_help(command) || strcmp(command, "help") == 0) {
		fputs(g_usage, stdout);
		return 0;
	}
	if (strcmp(command, "--version") == 0) {
		puts("intravisor " INTRAVISOR_VERSION);
		return 0;
	}
	const char *near = value_nearest(command, names);
	if (near)
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
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0) {
		message_error("cannot write to standard output: %s", strerror(errno ? errno : EIO));
		return 1;
	}
	return status;
}
