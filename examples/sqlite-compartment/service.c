/* SQLite in a cVM of its own: the database and SQLite's memory are out of its caller's reach, and the caller's out of SQLite's
 * but for the two buffers that come with a call. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cvm/call.h>
#include <cvm/file.h>

#include "db.h"

#define SQL_MAX 65536u

struct output {
	int file;
	uint64_t used;
};

static int g_export;

static int put_row(void *context, int columns, char **value, char **name)
{
	struct output *o = context;
	char line[4096];
	size_t n = 0;

	(void)name;
	for (int i = 0; i < columns && n < sizeof line; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, "%s%s", i ? "|" : "", value[i] ? value[i] : "");
	if (n >= sizeof line - 1)
		return 1;
	line[n++] = '\n';
	if (cp_file_pwrite(o->file, line, n, o->used) != (ssize_t)n)
		return 1; /* the caller's buffer is full: SQLITE_ABORT */
	o->used += n;
	return 0;
}

static void answer(void *context, struct cp_request *request)
{
	static char sql[SQL_MAX + 1];
	struct output out = { .file = request->cap[1] };
	uint64_t operation = request->word[0], size = request->word[1];

	request->word[0] = SQLITE_MISUSE;
	request->word[1] = 0;
	if (operation == DB_END) {
		cp_close(g_export);
		request->word[0] = SQLITE_OK;
	} else if (operation == DB_QUERY && request->caps == 2 && size <= SQL_MAX &&
		   cp_file_pread(request->cap[0], sql, size, 0) == (ssize_t)size) {
		sql[size] = 0;
		request->word[0] = (uint64_t)sqlite3_exec(context, sql, put_row, &out, NULL);
		request->word[1] = out.used;
	}
	for (unsigned i = 0; i < request->caps; i++)
		cp_close(request->cap[i]);
}

int main(void)
{
	sqlite3 *db;

	if (sqlite3_open(":memory:", &db) != SQLITE_OK)
		return 1;
	g_export = cp_export("sqlite");
	if (g_export < 0) {
		printf("service: cannot export: %s\n", strerror(-g_export));
		return 1;
	}
	int why = cp_serve(g_export, answer, db);
	sqlite3_close(db);
	return why == -128 /* EKEYREVOKED */ ? 0 : 1;
}
