/* Roles of ending.yaml: what a cVM that is killed leaves hanging in a file system that does not answer. */
#include <fcntl.h>
#include <unistd.h>

#include <cvm/call.h>

#include "check.h"

static void make(const char *path)
{
	close(open(path, O_CREAT | O_WRONLY, 0644));
}

static void hold(void)
{
	TRUE(open("/slow/page", O_RDONLY) >= 0);
	make("/shared/holding");
	for (;;)
		pause();
}

static void read_page(void *unused, struct cp_request *request)
{
	char byte;
	int slow = open("/slow/page", O_RDONLY);

	(void)unused;
	request->word[0] = (uint64_t)pread(slow, &byte, 1, 0);
}

static void keep(void *unused, struct cp_request *request)
{
	(void)unused, (void)request;
	make("/shared/holding");
	for (;;)
		pause();
}

static void serve(void (*with)(void *, struct cp_request *))
{
	struct cp_server *server;

	IS(cp_server_start("read", 1, with, NULL, &server), 0);
	for (;;)
		pause();
}

/* The server is killed while this thread reads for it. */
static void call(void)
{
	uint64_t word[CP_CALL_WORDS] = { 0 };
	int read = WHEN_THERE(cp_call_open("read", CP_USE));

	while (access("/shared/call", F_OK))
		pause_ms(10);
	IS(WHEN_SERVED(read, cp_call(read, word)), -EOWNERDEAD);
}

/* Killed while its only thread is elsewhere. */
static void away(void)
{
	uint64_t word[CP_CALL_WORDS] = { 0 };
	int read = WHEN_THERE(cp_call_open("read", CP_USE));

	TRUE(open("/slow/page", O_RDONLY) >= 0);
	IS(WHEN_SERVED(read, cp_call(read, word)), -EOWNERDEAD);
}

int main(int argc, char **argv)
{
	const char *role = argc > 1 ? argv[1] : "";

	if (!strcmp(role, "hold"))
		hold();
	else if (!strcmp(role, "serve"))
		serve(read_page);
	else if (!strcmp(role, "keep"))
		serve(keep);
	else if (!strcmp(role, "away"))
		away();
	else if (!strcmp(role, "call"))
		call();
	return check_end(role);
}
