/*
 * Files of variables, for --env-file: a line is NAME=VALUE, taken as it is, or NAME, which passes the caller's; empty lines and those
 * that begin with # are passed over. What editors of other systems leave, a byte order mark and carriage returns at the ends of lines, is
 * not part of it. Called by config/fields.c. The file is the user's own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/fields.h"

#define ENV_FILE_MAX (1u << 20)

static int set_line(struct config_cvm *cvm, const char *path, unsigned number, char *line, struct config_error *error)
{
	line += strspn(line, " \t");
	if (!*line || *line == '#')
		return 0;
	char *equals = strchr(line, '=');
	if (equals)
		*equals = '\0';
	if (!*line || strpbrk(line, " \t"))
		return config_fail(error, "%.200s:%u: \"%.100s\" is not the name of a variable (write NAME=VALUE, NAME or # COMMENT)", path,
				   number, line);
	config_set_variable(&cvm->env_files, line, equals ? equals + 1 : NULL);
	return 0;
}

static int set_lines(struct config_cvm *cvm, const char *path, char *text, size_t size, struct config_error *error)
{
	unsigned number = 1;

	if (memchr(text, '\0', size))
		return config_fail(error, "%.200s: the file holds a NUL byte (write lines NAME=VALUE)", path);
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	for (char *line = text; *line; number++) {
		char *end = line + strcspn(line, "\n");
		bool last = !*end;

		*end = '\0';
		if (end > line && end[-1] == '\r')
			end[-1] = '\0';
		int ret = set_line(cvm, path, number, line, error);
		if (ret)
			return ret;
		line = last ? end : end + 1;
	}
	return 0;
}

int config_read_env_file(struct config_cvm *cvm, const char *path, struct config_error *error)
{
	FILE *file = fopen(path, "re");

	if (!file)
		return config_fail(error, "cannot open the file of variables %.200s: %s", path, strerror(errno));
	char *text = xcalloc(ENV_FILE_MAX + 1, 1);
	size_t size = fread(text, 1, ENV_FILE_MAX + 1, file);
	int ret = 0;

	if (ferror(file))
		ret = config_fail(error, "cannot read the file of variables %.200s: %s", path, strerror(errno));
	else if (size > ENV_FILE_MAX)
		ret = config_fail(error, "the file of variables %.200s is too large (at most 1 MiB)", path);
	fclose(file);
	if (ret == 0)
		ret = set_lines(cvm, path, text, size, error);
	free(text);
	return ret;
}
