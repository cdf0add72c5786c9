/*
 * The configuration error object: see error.h. Called by everything in config/ and by the command's option parser.
 * Trusts nothing in the texts but their termination.
 */
#include "config/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void config_place(struct config_error *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->place, sizeof(error->place), format, args);
	va_end(args);
}

int config_fail(struct config_error *error, const char *format, ...)
{
	char message[768];
	va_list args;

	if (error->failed)
		return -EINVAL;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (error->place[0])
		snprintf(error->text, sizeof(error->text), "%s: %s", error->place, message);
	else
		snprintf(error->text, sizeof(error->text), "%s", message);
	error->failed = true;
	return -EINVAL;
}
