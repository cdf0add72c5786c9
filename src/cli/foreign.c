/*
 * See foreign.h. Called by main.c and options.c for words that mean nothing here.
 */
#include "cli/foreign.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *name, *instead;
} g_commands[] = {
	{"attach", "use logs -f POD/CVM, or exec -it POD/CVM PROGRAM"},
	{"create", "use run -d"},
	{"describe", "use ps --json POD"},
	{"down", "use stop POD"},
	{"images", "programs come from the host's root directory, or from run --root DIR"},
	{"inspect", "use ps --json POD"},
	{"list", "use ps"},
	{"ls", "use ps"},
	{"port", "the ports of run --bind are the host's"},
	{"pull", "programs come from the host's root directory, or from run --root DIR"},
	{"rm", "use stop POD: nothing is left of a pod that has ended"},
	{"top", "use stats POD, or exec POD/CVM ps aux"},
	{"up", "use run -d -y FILE"},
	{"version", "use --version"},
};

static const struct {
	const char *name;
	char letter;
	const char *instead;
} g_options[] = {
	{"cpu-shares", 0, "use --cpu-weight"},
	{"cpus", 0, "use --cpu-weight"},
	{"entrypoint", 0, "name the program behind the options"},
	{"expose", 0, "use --bind for the host's ports, --listen for other cVMs"},
	{"file", 'f', "use -y FILE"},
	{"interactive", 'i', "leave it out: the program has this command's standard input, and its terminal"},
	{"mount", 0, "use --volume HOST:GUEST[:ro]"},
	{"network", 0, "use --bind and --connect for ports, or --net any"},
	{"read-only", 0, "leave it out: what the program changes in its root directory lives in memory"},
	{"rm", 0, "leave it out: nothing is left of a cVM that has ended"},
	{"tty", 't', "leave it out: the program has this command's terminal"},
};

const char *foreign_command(const char *name)
{
	for (size_t i = 0; i < sizeof(g_commands) / sizeof(g_commands[0]); i++)
		if (strcmp(g_commands[i].name, name) == 0)
			return g_commands[i].instead;
	return NULL;
}

const char *foreign_option(const char *name, char letter)
{
	for (size_t i = 0; i < sizeof(g_options) / sizeof(g_options[0]); i++)
		if (name ? strcmp(g_options[i].name, name) == 0 : letter && g_options[i].letter == letter)
			return g_options[i].instead;
	return NULL;
}
