/*
 * Parser of the words behind a command about pods: see words.h. Called by pod_commands.c. Options may stand before and behind the
 * target, short ones in one word (-it, -fn5); those of `exec` only before it, what follows being the program's.
 */
#include "cli/words.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/message.h"
#include "cli/usage.h"
#include "config/fields.h"
#include "config/value.h"

static const struct option {
	const char *name;
	char letter; /* or 0 */
	char key;
	bool value;
} g_options[] = {{"json", 'j', 'j', false}, {"follow", 'f', 'f', false}, {"watch", 'w', 'w', false},
		 {"tail", 'n', 'n', true}, {"signal", 's', 's', true}, {"time", 't', 't', true}, {"interactive", 'i', 'i', false},
		 {"tty", 't', 'T', false}, {"env", 'e', 'e', true}, {"env-file", 0, 'E', true},
		 {"detach", 'd', 'b', false}, {"detach-keys", 0, 'D', true}, {"user", 'u', 'u', true}, {"workdir", 'w', 'd', true}};
#define OPTION_COUNT (sizeof(g_options) / sizeof(g_options[0]))

int words_error(const struct words *w, const char *problem, const char *word)
{
	message_error("%s: %s%s%.100s (intravisor %s %s)", w->command, problem, word ? " " : "", word ? word : "", w->command,
		      usage_words(w->command));
	return EXIT_USAGE;
}

static int parse_target(struct words *w, const char *target)
{
	struct config_error ignored = {0};
	const char *slash = strchr(target, '/');

	if (w->pod)
		return words_error(w, "too many arguments:", target);
	w->pod = xstrndup(target, slash ? (size_t)(slash - target) : strlen(target));
	w->cvm = slash ? xstrdup(slash + 1) : NULL;
	if (value_name(w->pod, &ignored) || (w->cvm && value_name(w->cvm, &ignored)))
		return words_error(w, "not POD or POD/CVM:", target);
	return 0;
}

/* As `run` has them. */
static int set_program(struct words *w, const char *name, const char *value)
{
	struct config_error error = {0};
	const struct config_field *field = g_config_fields;

	while (!field->option || strcmp(field->option, name) != 0)
		field++;
	return field->set(w->program, value, &error) ? words_error(w, error.text, NULL) : 0;
}

/* "TERM", "SIGTERM", "term" or a number; 0 if it is none. */
static int signal_number(const char *text)
{
	struct config_error ignored = {0};
	uint32_t number;

	if (value_number(text, 1, 64, &number, &ignored) == 0)
		return (int)number;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int i = 1; i < 32; i++) {
		const char *name = sigabbrev_np(i);

		if (name && strcasecmp(name, text) == 0)
			return i;
	}
	return 0;
}

static int set_tail(struct words *w, const char *value)
{
	struct config_error ignored = {0};
	uint32_t lines;

	if (strcmp(value, "all") == 0)
		w->tail = WORDS_ALL;
	else if (value_number(value, 0, UINT32_MAX, &lines, &ignored))
		return words_error(w, "neither a number of lines nor all:", value);
	else
		w->tail = lines;
	return 0;
}

static int set_signal(struct words *w, const char *value)
{
	w->signal = signal_number(value);
	return w->signal ? 0 : words_error(w, "not a signal:", value);
}

static int set_timeout(struct words *w, const char *value)
{
	struct config_error ignored = {0};

	w->has_timeout = true;
	return value_duration(value, &w->timeout_ms, &ignored) ? words_error(w, "not a time:", value) : 0;
}

static int set_detach_keys(struct words *w, const char *value)
{
	w->has_detach_keys = true;
	if (detach_keys_parse(value, &w->detach_keys))
		return 0;
	message_error("%s: --detach-keys: \"%.100s\" is not a sequence of keys (use for example " DETACH_KEYS_DEFAULT ", or \"\" for none)",
		      w->command, value);
	return EXIT_USAGE;
}

/* The exit status for a wrong value, or 0. */
static int apply(struct words *w, const struct option *option, const char *value)
{
	w->json |= option->key == 'j';
	w->follow |= option->key == 'f';
	w->watch |= option->key == 'w';
	w->interactive |= option->key == 'i';
	w->terminal |= option->key == 'T';
	w->detached |= option->key == 'b';
	switch (option->key) {
	case 's': return set_signal(w, value);
	case 't': return set_timeout(w, value);
	case 'n': return set_tail(w, value);
	case 'D': return set_detach_keys(w, value);
	case 'e':
	case 'E':
	case 'u':
	case 'd': return set_program(w, option->name, value);
	default: return 0;
	}
}

/* By its letter, or by a name of this size. */
static const struct option *find(const struct words *w, char letter, const char *name, size_t size)
{
	for (const struct option *o = g_options; o < g_options + OPTION_COUNT; o++)
		if (strchr(w->allowed, o->key) && (name ? strncmp(name, o->name, size) == 0 && !o->name[size] : letter == o->letter))
			return o;
	return NULL;
}

static int unknown(const struct words *w, const char *word)
{
	const char *names[OPTION_COUNT + 1];
	size_t count = 0;

	for (const struct option *o = g_options; o < g_options + OPTION_COUNT; o++)
		if (strchr(w->allowed, o->key))
			names[count++] = o->name;
	names[count] = NULL;
	const char *near = strncmp(word, "--", 2) == 0 ? value_nearest(word + 2, names) : NULL;
	if (!near)
		return words_error(w, "unknown option", word);
	message_error("%s: unknown option %.100s (did you mean --%s?)", w->command, word, near);
	return EXIT_USAGE;
}

/* The value is `attached`, or the next word: then *arguments moves on. */
static int apply_with_value(struct words *w, const struct option *option, const char *attached, char ***arguments)
{
	if (attached)
		return apply(w, option, attached);
	if (!(*arguments)[1])
		return words_error(w, "the value is missing behind", **arguments);
	return apply(w, option, *++*arguments);
}

static int parse_long(struct words *w, char ***arguments)
{
	const char *word = **arguments, *equals = strchr(word, '=');
	const struct option *option = find(w, 0, word + 2, equals ? (size_t)(equals - word) - 2 : strlen(word) - 2);

	if (!option)
		return unknown(w, word);
	if (option->value)
		return apply_with_value(w, option, equals ? equals + 1 : NULL, arguments);
	return equals ? words_error(w, "takes no value:", word) : apply(w, option, NULL);
}

static int parse_short(struct words *w, char ***arguments)
{
	const char *word = **arguments;

	if (strchr(w->allowed, 's') && signal_number(word + 1)) /* as kill(1) has it */
		return set_signal(w, word + 1);
	for (const char *letter = word + 1; *letter; letter++) {
		const struct option *option = find(w, *letter, NULL, 0);

		if (!option)
			return unknown(w, word);
		if (option->value)
			return apply_with_value(w, option, letter[1] ? letter + 1 : NULL, arguments);
		int status = apply(w, option, NULL);
		if (status)
			return status;
	}
	return 0;
}

int words_parse(struct words *w, char **arguments)
{
	int status = 0;

	for (; *arguments && !status; arguments++) {
		const char *word = *arguments;
		bool dashes = strcmp(word, "--") == 0;

		if (w->program && w->pod) {
			w->program_words = arguments + dashes;
			return 0;
		}
		if (usage_is_help(word)) {
			usage_print(w->command);
			return WORDS_HELP;
		}
		if (dashes)
			status = arguments[1] ? parse_target(w, *++arguments) : 0;
		else if (word[0] != '-')
			status = parse_target(w, word);
		else if (word[1] == '-')
			status = parse_long(w, &arguments);
		else if (word[1])
			status = parse_short(w, &arguments);
		else
			status = words_error(w, "not POD or POD/CVM:", word);
	}
	return status;
}

void words_free(struct words *w)
{
	free(w->pod);
	free(w->cvm);
}
