/*
 * The words behind a command about pods: options, one target, and for `exec` a program.
 */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/detach_keys.h"

struct config_cvm;

#define WORDS_ALL (-1)

struct words {
	const char *command;
	const char *allowed; /* keys of the options that it has: see words.c */
	bool json, follow, watch, interactive, terminal, detached;
	int signal;
	bool has_timeout;
	uint32_t timeout_ms;
	int64_t tail; /* lines, or WORDS_ALL */
	bool has_detach_keys;
	struct detach_keys detach_keys;
	char *pod, *cvm;	      /* the target's parts */
	struct config_cvm *program;   /* gets -e, -u and -w; the words behind the target are .. */
	char **program_words;	      /* .. these. A null pointer for other commands */
};

/* Instead of an exit status: --help was printed, and nothing is to be done. */
#define WORDS_HELP (-1)

/* 0, WORDS_HELP, or the exit status after a message. */
__attribute__((warn_unused_result)) int words_parse(struct words *w, char **arguments);
void words_free(struct words *w);

/* EXIT_USAGE after "COMMAND: PROBLEM WORD (how it is written)". */
__attribute__((warn_unused_result)) int words_error(const struct words *w, const char *problem, const char *word);

#endif
