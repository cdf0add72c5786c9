/*
 * Parser of `intravisor run`'s options: see options.h. Table-driven: the tables here and in config/fields.c are also
 * the help text. Not getopt, whose messages name neither the remedy nor the nearest option.
 */
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/foreign.h"
#include "cli/message.h"
#include "config/fields.h"
#include "config/value.h"

static const struct {
	const char *option;
	uint32_t bit;
	const char *meaning;
} g_insecure[] = {
	{"insecure-no-pkeys", LAUNCH_INSECURE_NO_PKEYS, "cVMs can read and write each other's memory and the monitor's"},
	{"insecure-no-cookie", LAUNCH_INSECURE_NO_COOKIE, "cVMs can make any host system call"},
	{"insecure-no-scan", LAUNCH_INSECURE_NO_SCAN, "code is not searched for instructions that leave the cVM"},
	{"insecure-no-gate-check", LAUNCH_INSECURE_NO_GATE_CHECK, "gates do not check the rights they load"},
	{"insecure-no-slot-check", LAUNCH_INSECURE_NO_SLOT_CHECK, "the monitor follows pointers out of the cVM"},
	{"insecure-no-handle-check", LAUNCH_INSECURE_NO_HANDLE_CHECK, "cVMs can use each other's files"},
	{"insecure-no-path-check", LAUNCH_INSECURE_NO_PATH_CHECK, "paths can leave the granted directories"},
	{"insecure-no-net-check", LAUNCH_INSECURE_NO_NET_CHECK, "bind and connect need no grant"},
	{"insecure-no-wx", LAUNCH_INSECURE_NO_WX, "memory can be writable and executable at once"},
	{"insecure-no-limits", LAUNCH_INSECURE_NO_LIMITS, "memory, threads, handles and log output are not limited"},
	{"insecure-no-cap-check", LAUNCH_INSECURE_NO_CAP_CHECK, "bounds, permissions and grants of capabilities are ignored"},
	{"insecure-no-revoke", LAUNCH_INSECURE_NO_REVOKE, "revoked capabilities still work"},
	{"insecure-no-clean", LAUNCH_INSECURE_NO_CLEAN, "calls between cVMs leak registers and floating-point modes"},
	{"insecure-no-autodisarm", LAUNCH_INSECURE_NO_AUTODISARM, "a cVM can kill all by trapping near the signal stack"},
};
#define INSECURE_COUNT (sizeof(g_insecure) / sizeof(g_insecure[0]))

static const struct {
	const char *option;
	char letter;
	size_t offset; /* of the bool in struct run_options */
	const char *help;
} g_flags[] = {
	{"detach", 'd', offsetof(struct run_options, detach),
	 "leave it running, with its output captured (intravisor ps, logs, stop)"},
	{"stats", 0, offsetof(struct run_options, stats), "print what each cVM used when all have ended"},
	{"quiet", 'q', offsetof(struct run_options, quiet), "no warnings"},
	{"verbose", 0, offsetof(struct run_options, verbose), "more about the code cache and the monitor"},
	{"help", 'h', offsetof(struct run_options, help), "this text"},
};
#define FLAG_COUNT (sizeof(g_flags) / sizeof(g_flags[0]))

#define FIELDS_MAX 64

struct parser {
	char **next; /* the argument after the current one */
	struct run_options *options;
	struct config_cvm *cvm;
	struct config_error *error;
	const char *first_field; /* first option about the cVM, for the conflict with -y */
	bool seen[FIELDS_MAX];
};

void options_warn_insecure(uint32_t insecure)
{
	for (size_t i = 0; i < INSECURE_COUNT; i++)
		if (insecure & g_insecure[i].bit)
			message_warning("--%s: %s", g_insecure[i].option, g_insecure[i].meaning);
}

void options_help(void)
{
	printf("usage: intravisor run [OPTIONS] [--] PROGRAM [ARGUMENT...]\n"
	       "       intravisor run [OPTIONS] -y FILE\n\n"
	       "Runs an unmodified Linux program in a cVM, or all cVMs that a YAML file describes.\n\n"
	       "  intravisor run -v /srv/redis:/data --bind 6379 -- redis-server --dir /data\n"
	       "  intravisor run -d -y pod.yaml; intravisor ps; intravisor logs -f pod/cache; intravisor stop pod\n\n"
	       "The cVM (in YAML with _ for -, and volumes, cwd, provides, uses for --volume, --workdir, --provide, --use):\n");
	for (const struct config_field *f = g_config_fields; f->set; f++) {
		char left[64];

		if (!f->option)
			continue;
		snprintf(left, sizeof(left), "%c%c%s --%s %s", f->letter ? '-' : ' ', f->letter ? f->letter : ' ',
			 f->letter ? "," : " ", f->option, f->argument ? f->argument : "");
		printf("  %-36s %s\n", left, f->help);
	}
	printf("\nThe run:\n  -y, --yaml FILE                      read the cVMs from a YAML file (- is standard input)\n");
	for (size_t i = 0; i < FLAG_COUNT; i++)
		printf("  %c%c%s --%-30s %s\n", g_flags[i].letter ? '-' : ' ', g_flags[i].letter ? g_flags[i].letter : ' ',
		       g_flags[i].letter ? "," : " ", g_flags[i].option, g_flags[i].help);
	printf("\nProtections that can be turned off, for tests and development only:\n");
	for (size_t i = 0; i < INSECURE_COUNT; i++)
		printf("      --%-30s %s\n", g_insecure[i].option, g_insecure[i].meaning);
	printf("\nOnly in YAML: program, args, after, ready, syscalls_to, syscalls_timeout of a cVM; cVMs, files, name, logs of the pod.\n"
	       "A run with -y, --name or -d can be watched and controlled: intravisor ps, stats, logs, exec, kill, stop, start, restart.\n");
	printf("\nExit status: the program's; 128+N if signal N ended it; of several cVMs the first that is not 0.\n"
	       "2: wrong option or file. 125: could not start. 126: cannot execute. 127: program not found.\n");
}

static int unknown_option(struct parser *p, const char *name)
{
	const char *names[FIELDS_MAX + FLAG_COUNT + INSECURE_COUNT + 2];
	size_t count = 0;

	for (const struct config_field *f = g_config_fields; f->set; f++)
		if (f->option)
			names[count++] = f->option;
	for (size_t i = 0; i < FLAG_COUNT; i++)
		names[count++] = g_flags[i].option;
	for (size_t i = 0; i < INSECURE_COUNT; i++)
		names[count++] = g_insecure[i].option;
	names[count++] = "yaml";
	names[count] = NULL;
	const char *near = value_nearest(name, names), *instead = foreign_option(name, 0);
	config_place(p->error, "run");
	if (instead)
		return config_fail(p->error, "there is no option --%.64s: %s", name, instead);
	if (near)
		return config_fail(p->error, "unknown option --%.64s (did you mean --%s?)", name, near);
	return config_fail(p->error, "unknown option --%.64s (see intravisor run --help)", name);
}

static int set_field(struct parser *p, const struct config_field *f, const char *value)
{
	size_t index = (size_t)(f - g_config_fields);

	if (f->kind == CONFIG_SINGLE && p->seen[index])
		return config_fail(p->error, "given twice (once is enough)");
	p->seen[index] = true;
	if (strcmp(f->option, "trace") == 0)
		p->options->trace = true;
	else if (strcmp(f->option, "name") == 0)
		p->options->name = value; /* with -y the pod's */
	else if (!p->first_field)
		p->first_field = f->option;
	return f->set(p->cvm, value, p->error);
}

/* The value behind "=" or in the next argument, or a null pointer with the error set. */
static const char *take_value(struct parser *p, const char *attached)
{
	if (attached)
		return attached;
	if (!*p->next) {
		config_fail(p->error, "the value is missing (write it behind the option)");
		return NULL;
	}
	return *p->next++;
}

static int apply_flag(struct parser *p, const char *name, char letter)
{
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (name ? strcmp(name, g_flags[i].option) != 0 : letter != g_flags[i].letter)
			continue;
		*(bool *)((char *)p->options + g_flags[i].offset) = true;
		return 0;
	}
	for (size_t i = 0; name && i < INSECURE_COUNT; i++) {
		if (strcmp(name, g_insecure[i].option) != 0)
			continue;
		p->options->insecure |= g_insecure[i].bit;
		return 0;
	}
	return -ENOENT;
}

/* One option, by long name or by letter; `attached` is a value in the same argument, or a null pointer. */
static int apply(struct parser *p, const char *name, char letter, const char *attached)
{
	const char *value;
	const struct config_field *f = g_config_fields;

	while (f->set && (!f->option || (name ? strcmp(name, f->option) != 0 : letter != f->letter)))
		f++;
	if (f->set) {
		if (f->kind != CONFIG_FLAG) {
			value = take_value(p, attached);
			return value ? set_field(p, f, value) : -EINVAL;
		}
		if (attached)
			return config_fail(p->error, "takes no value");
		return set_field(p, f, "true");
	}
	if (name ? strcmp(name, "yaml") == 0 : letter == 'y') {
		value = take_value(p, attached);
		if (!value)
			return -EINVAL;
		if (p->options->yaml)
			return config_fail(p->error, "given twice (put all cVMs into one file)");
		p->options->yaml = value;
		return 0;
	}
	int ret = apply_flag(p, name, letter);
	if (ret == 0 && attached)
		return config_fail(p->error, "takes no value");
	if (ret == 0)
		return 0;
	if (name)
		return unknown_option(p, name);
	config_place(p->error, "run");
	const char *instead = foreign_option(NULL, letter);
	if (instead)
		return config_fail(p->error, "there is no option -%c: %s", letter, instead);
	return config_fail(p->error, "unknown option -%c (see intravisor run --help)", letter);
}

static int parse_one(struct parser *p, const char *argument)
{
	if (argument[1] != '-') {
		config_place(p->error, "-%c", argument[1]);
		return apply(p, NULL, argument[1], argument[2] ? argument + 2 : NULL);
	}
	const char *equals = strchr(argument, '=');
	char *name = xstrndup(argument + 2, equals ? (size_t)(equals - argument) - 2 : strlen(argument) - 2);
	config_place(p->error, "--%s", name);
	int ret = apply(p, name, 0, equals ? equals + 1 : NULL);
	free(name);
	return ret;
}

int options_parse(char **arguments, struct run_options *options, struct config *config, struct config_error *error)
{
	struct parser p = {.next = arguments, .options = options, .error = error};

	p.cvm = config_add_cvm(config, "run");
	while (*p.next && (*p.next)[0] == '-' && (*p.next)[1]) {
		const char *argument = *p.next++;

		if (strcmp(argument, "--") == 0)
			break;
		int ret = parse_one(&p, argument);
		if (ret)
			return ret;
		if (options->help)
			return 0;
	}
	config_place(error, "run");
	if (options->yaml) {
		config_free(config);
		if (p.first_field)
			return config_fail(error, "--%s and -y cannot be combined (write it into the YAML file)", p.first_field);
		if (*p.next)
			return config_fail(error, "a program (%.100s) and -y cannot be combined (write it into the YAML file)",
					   *p.next);
		return 0;
	}
	if (!*p.next)
		return config_fail(error, "no program is given (intravisor run [OPTIONS] -- PROGRAM [ARGUMENT...], or -y FILE)");
	for (; *p.next; p.next++)
		strlist_add(&p.cvm->args, *p.next);
	return 0;
}
