/*
 * The texts of --help: see usage.h. Called by main.c and words.c.
 */
#include "cli/usage.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *command, *words, *text;
	const char *options; /* of a command's own --help, or a null pointer */
} g_usage[] = {
	{"run", "[OPTIONS] [--] PROGRAM [ARGUMENT...]", "run a program in a cVM", NULL},
	{"run", "[OPTIONS] -y FILE", "run the cVMs that a YAML file describes", NULL},
	{"ps", "[--json] [POD]", "show the pods that run and their cVMs",
	 "  -j, --json             as an array of pods in JSON\n"},
	{"stats", "[--json] [--watch] [POD]", "show what the cVMs use now",
	 "  -j, --json             as an array of pods in JSON; with --watch one a line\n"
	 "  -w, --watch            again every second\n"},
	{"logs", "[-f] [-n LINES] POD/CVM", "show (and follow) a cVM's captured output",
	 "  -f, --follow           go on until the cVM ends\n"
	 "  -n, --tail LINES       begin with the last so many lines; 0: with what comes, all: with what is kept (default)\n\n"
	 "Output is captured by run --detach and by logs: capture in the YAML file: the last 256 KiB of each cVM.\n"},
	{"exec", "[OPTIONS] POD/CVM PROGRAM [ARGUMENT...]", "run another program in a running cVM",
	 "  -i, --interactive      pass this standard input on\n"
	 "  -t, --tty              give it a terminal of its own, of this one's size\n"
	 "  -d, --detach           only start it, with /dev/null as its streams\n"
	 "      --detach-keys KEYS with -it: these leave the program, which goes on (default: ctrl-p,ctrl-q; \"\": none)\n"
	 "  -e, --env NAME[=VALUE] set a variable, or pass the caller's\n"
	 "      --env-file FILE    set the variables of a file's lines NAME=VALUE; --env wins\n"
	 "  -u, --user UID[:GID]   user the program believes to be (default: the cVM's)\n"
	 "  -w, --workdir PATH     working directory in the cVM (default: the cVM's)\n\n"
	 "Exit status: the program's, 0 if it was left or begins with -d; 128+N if signal N ended it. 2: wrong option.\n"
	 "125: could not start. 126: cannot execute. 127: program not found.\n"},
	{"kill", "[-s SIGNAL] POD[/CVM]", "send a signal (TERM)",
	 "  -s, --signal SIGNAL    HUP, SIGHUP or 1; -HUP and -1 do as well\n"},
	{"stop", "[-t TIME] POD[/CVM]", "SIGTERM, after the time SIGKILL; it is not restarted",
	 "  -t, --time TIME        until SIGKILL, for example 500ms, 10, 2m (default: the cVM's stop_timeout)\n"},
	{"start", "POD/CVM", "start a cVM that has ended", NULL},
	{"restart", "[-t TIME] POD/CVM", "stop and start",
	 "  -t, --time TIME        until SIGKILL, for example 500ms, 10, 2m (default: the cVM's stop_timeout)\n"},
	{"check", "", "say whether this machine can run cVMs", NULL},
	{"cache", "[--clear]", "show or empty the code cache on disk",
	 "      --clear            remove all entries\n"},
};
#define USAGE_COUNT (sizeof(g_usage) / sizeof(g_usage[0]))

bool usage_is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

void usage_print_all(void)
{
	puts("usage: intravisor COMMAND ...\n");
	for (size_t i = 0; i < USAGE_COUNT; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s %s", g_usage[i].command, g_usage[i].words);
		printf("  %-44s %s\n", left, g_usage[i].text);
	}
	puts("\nA pod is what one run started, by the name that ps shows; POD alone means its cVM where it has only one.\n"
	     "intravisor COMMAND --help says more of one; intravisor --version prints the version.");
}

void usage_print(const char *command)
{
	const char *options = NULL;

	for (size_t i = 0; i < USAGE_COUNT; i++) {
		if (strcmp(g_usage[i].command, command) != 0)
			continue;
		printf("usage: intravisor %s%s%s\n\n  %s\n", command, *g_usage[i].words ? " " : "", g_usage[i].words, g_usage[i].text);
		options = g_usage[i].options;
	}
	if (options)
		printf("\n%s", options);
}

const char *usage_words(const char *command)
{
	for (size_t i = 0; i < USAGE_COUNT; i++)
		if (strcmp(g_usage[i].command, command) == 0)
			return g_usage[i].words;
	return "";
}
