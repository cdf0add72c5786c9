/*
 * Question: can a cVM open or provide what the description does not grant: other names, other kinds, other roles, names
 * with a NUL or tricks of prefix and case? A listener of another's port name would be port squatting.
 * Expect: REFUSED: EACCES or EINVAL for each
 * Control: --insecure-no-cap-check
 * Native: grants are the launch description's
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static void companion(void)
{
	own();
	owner_until_stop();
}

static void attack(void)
{
	static const struct {
		bool make;
		unsigned kind;
		const char *name;
		size_t size;
	} tries[] = {
		{ false, CAP_MEMORY, "shared-not", 10 }, { false, CAP_MEMORY, "share", 5 }, { false, CAP_MEMORY, "Shared", 6 },
		{ false, CAP_MEMORY, "shared\0x", 8 }, { false, CAP_MEMORY, "*", 1 }, { false, CAP_MEMORY, "", 0 },
		{ false, CAP_CALL, "shared", 6 }, { false, CAP_CONNECT, "service", 7 }, { false, CAP_MEMORY, "port", 4 },
		{ false, CAP_EXPORT, "service", 7 }, { false, CAP_LISTENER, "port", 4 }, { false, CAP_STREAM, "port", 4 },
		{ true, CAP_LISTENER, "tcp/80", 6 }, { true, CAP_LISTENER, "port2", 5 }, { true, CAP_EXPORT, "service2", 8 },
		{ true, CAP_MEMORY, "sharedx", 7 }, { true, CAP_STREAM, "evil", 4 }, { true, CAP_TYPE, "evil", 4 },
		{ true, CAP_EXPORT, "", 0 },
	};

	open_named(CAP_MEMORY, "shared", CAP_LOAD);
	for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
		long result = tries[i].make ? CAP(cap_create, tries[i].kind, tries[i].name, tries[i].size, PAGE) :
					      CAP(cap_open, tries[i].kind, tries[i].name, tries[i].size, CAP_LOAD);
		if (result != -EACCES && result != -EINVAL)
			breach("try %zu (%s) gave %ld", i, tries[i].name, result);
	}
	refused("EACCES or EINVAL for each");
}
