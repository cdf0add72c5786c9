/* Serves one call, in which its cVM ends as its argument says. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cvm/call.h>

#include "check.h"

static void die(void *how, struct cp_request *request)
{
	(void)request;
	if (!strcmp(how, "fault"))
		*(volatile int *)8 = 1;
	if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	_exit(3);
}

int main(int argc, char **argv)
{
	char name[32];

	snprintf(name, sizeof name, "die/%s", argc > 1 ? argv[1] : "exit");
	int export_ = cp_export(name);
	IS(export_ > 0, 1);
	cp_serve(export_, die, argv[1]);
	return 1;
}
