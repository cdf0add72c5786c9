/*
 * The bottom of the multi-tier example: Debian's SQLite behind a Unix socket. A line with a number gives the text of that item.
 * usage: store SOCKET DATABASE
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <sqlite3.h>

#define ITEMS "100000"

static sqlite3 *g_db;

static void run(const char *statements)
{
	char *message;

	if (sqlite3_exec(g_db, statements, NULL, NULL, &message) != SQLITE_OK) {
		fprintf(stderr, "store: %s\n", message);
		exit(1);
	}
}

static void serve(FILE *in, FILE *out, sqlite3_stmt *select)
{
	char line[64];

	while (fgets(line, sizeof line, in)) {
		sqlite3_bind_int(select, 1, atoi(line));
		if (sqlite3_step(select) == SQLITE_ROW)
			fputs((const char *)sqlite3_column_text(select, 0), out);
		fputc('\n', out);
		sqlite3_reset(select);
		fflush(out);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sqlite3_stmt *select;

	if (argc != 3)
		return 2;
	if (sqlite3_open(argv[2], &g_db) != SQLITE_OK)
		return 1;
	run("pragma journal_mode=wal; drop table if exists item; create table item(id integer primary key, text text); begin;"
	    "with recursive c(x) as (select 0 union all select x+1 from c where x<" ITEMS ")"
	    "insert into item select x, 'the text of item ' || x from c; commit;");
	if (sqlite3_prepare_v2(g_db, "select text from item where id = ?", -1, &select, NULL) != SQLITE_OK)
		return 1;
	strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
	unlink(argv[1]);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 5)) {
		perror("store: listen");
		return 1;
	}
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");

		serve(in, out, select);
		fclose(in);
		fclose(out);
	}
}
