/* Uses SQLite without having it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cvm/call.h>

#include "db.h"

#define ROWS 10000

static int g_call;

/* Runs statements; rows go to `text`. The result code, or -errno of the call. */
static int query(const char *sql, char *text, size_t size)
{
	struct cp_message m = { .word = { DB_QUERY, strlen(sql) }, .caps = 2, .timeout_ns = 10000000000 };
	int in = cp_memory((void *)(uintptr_t)sql, strlen(sql), CP_LOAD | CP_GRANT);
	int out = cp_memory(text, size - 1, CP_STORE | CP_GRANT);

	m.cap[0] = in;
	m.cap[1] = out;
	int r = in < 0 ? in : out < 0 ? out : cp_call_message(g_call, &m);
	cp_close(in); /* from here on SQLite reaches neither */
	cp_close(out);
	if (r)
		return r;
	text[m.word[1]] = 0;
	return (int)m.word[0];
}

static int show(const char *sql)
{
	char text[4096];
	int r = query(sql, text, sizeof text);

	if (r < 0)
		printf("%s: the call failed: %s\n", sql, strerror(-r));
	else if (r)
		printf("%s: SQLite error %d\n", sql, r);
	else if (*text)
		printf("%s: %s", sql, text);
	return r;
}

int main(void)
{
	char text[16], sql[128];
	uint64_t end[CP_CALL_WORDS] = { DB_END };

	while ((g_call = cp_call_open("sqlite", CP_USE)) == -ENOENT)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	if (g_call < 0 || cp_call_ready(g_call, CP_FOREVER)) {
		printf("caller: no service: %s\n", strerror(g_call < 0 ? -g_call : EIO));
		return 1;
	}
	if (show("create table t(id integer primary key, a integer)") || query("begin", text, sizeof text))
		return 1;
	for (int i = 1; i <= ROWS; i++) {
		snprintf(sql, sizeof sql, "insert into t values(%d, %d)", i, i * 7919 % 10007);
		if (query(sql, text, sizeof text))
			return 1;
	}
	query("commit", text, sizeof text);
	show("select count(*), sum(a), max(a) from t");
	show("select id from t where a = 1");
	show("select nothing");
	printf("inserted by %d calls into another cVM\n", ROWS);
	return cp_call(g_call, end) ? 1 : 0;
}
