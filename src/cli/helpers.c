/*
 * Finding the helper binaries: see helpers.h. Called once by run and by check. Trusts /proc/self/exe and the directory
 * the command itself lies in.
 */
#include "cli/helpers.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/launch.h"
#include "cli/message.h"
#include "config/list.h"

static const struct {
	const char *monitor, *translate, *libos;
} g_layouts[] = {
	{"/intravisor-monitor", "/intravisor-translate", "/intravisor-libos"},
	{"/../lib/intravisor/intravisor-monitor", "/../lib/intravisor/intravisor-translate",
	 "/../lib/intravisor/intravisor-libos"},
	{"/../libexec/intravisor/intravisor-monitor", "/../libexec/intravisor/intravisor-translate",
	 "/../libexec/intravisor/intravisor-libos"},
	{"/../monitor/intravisor-monitor", "/../translate/intravisor-translate", "/../libos/intravisor-libos"},
};

/* Protections in the gates are left out by another monitor. */
static const char *suffix(uint32_t insecure)
{
	return insecure & LAUNCH_INSECURE_NO_PKEYS ? "-no-pkeys" : insecure & LAUNCH_INSECURE_NO_GATE_CHECK ? "-no-gate-check" : "";
}

int helpers_find(struct helpers *helpers, uint32_t insecure)
{
	char directory[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", directory, sizeof(directory) - 1);

	if (size <= 0) {
		int error = errno;
		message_error("cannot find out where the command lies: /proc/self/exe: %s (mount /proc)", strerror(error));
		return -error;
	}
	directory[size] = '\0';
	*strrchr(directory, '/') = '\0';
	for (size_t i = 0; i < sizeof(g_layouts) / sizeof(g_layouts[0]); i++) {
		char *monitor = xasprintf("%s%s%s", directory, g_layouts[i].monitor, suffix(insecure));

		if (access(monitor, X_OK) == 0) {
			helpers->monitor = monitor;
			helpers->translate = xasprintf("%s%s", directory, g_layouts[i].translate);
			helpers->libos = xasprintf("%s%s", directory, g_layouts[i].libos);
			return 0;
		}
		free(monitor);
	}
	message_error("intravisor-monitor%s is neither in %s nor in %s/../lib/intravisor (build or install all of the Intravisor)",
		      suffix(insecure), directory, directory);
	return -ENOENT;
}

void helpers_free(struct helpers *helpers)
{
	free(helpers->monitor);
	free(helpers->translate);
	free(helpers->libos);
	*helpers = (struct helpers){0};
}
