/*
 * Question: companion1 serves the system calls of companion0. Can a third cVM serve them instead, which would give it the
 * program's memory, or call the server as if it were that program?
 * Expect: REFUSED: EACCES for each
 * Control: --insecure-no-cap-check
 * Native: grants are the launch description's
 * Companions: 2
 * Companion0-options: syscalls_to=companion1
 */
#include "served.h"

static void companion(void)
{
	served_begin(); /* companion1; the other waits until it has */
	if (g_served_export) /* its program is there */
		while (!__atomic_load_n(&g_served_memory, __ATOMIC_SEQ_CST))
			usleep(1000);
	fclose(fopen(g_served_export ? "/shared/serves" : "/shared/served", "w"));
	owner_until_stop();
}

static void attack(void)
{
	static const char name[] = SERVED_CALL;

	while (access("/shared/serves", F_OK) || access("/shared/served", F_OK))
		usleep(1000);
	for (unsigned perms = 0; perms <= CAP_ALL; perms++) {
		long r = CAP(cap_open, CAP_CALL, name, sizeof name - 1, perms);
		if (r != -EACCES && r != -EINVAL)
			breach("opening the call gave %ld", r);
	}
	long r = CAP(cap_create, CAP_EXPORT, name, sizeof name - 1, 0);
	if (r != -EACCES)
		breach("exporting it gave %ld", r);
	refused("EACCES for each");
}
