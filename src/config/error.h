/*
 * The one error that a wrong option or configuration file produces: where, what, and what to do.
 *
 * The caller sets the place ("pod.yaml:7: cVMs[0].memory", "--memory") before it hands the object to whatever parses
 * the value there; the parser that finds something wrong calls config_fail once and returns its negative result.
 * The text may quote hostile bytes: print it through cli/message.h only.
 */
#ifndef CONFIG_ERROR_H
#define CONFIG_ERROR_H

#include <stdbool.h>

struct config_error {
	bool failed;
	char place[256];
	char text[1280]; /* "PLACE: MESSAGE" */
};

__attribute__((format(printf, 2, 3))) void config_place(struct config_error *error, const char *format, ...);

/* Records the first failure, later ones are dropped. Always -EINVAL, to be returned. */
__attribute__((format(printf, 2, 3))) int config_fail(struct config_error *error, const char *format, ...);

#endif
