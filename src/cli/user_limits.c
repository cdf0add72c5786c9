/*
 * Limits of the user: see user_limits.h. A limit that is too low is told before anything is started: later it would be a
 * failed system call, or a signal, somewhere in the monitor.
 */
#include "cli/user_limits.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#define STACK_WANTED (8ull << 20)
#define STACK_NEEDED (256ull << 10)

static const struct {
	int resource;
	uint64_t needed; /* RLIM_INFINITY: anything less is too low */
	const char *name, *remedy;
} g_limits[] = {
	{RLIMIT_AS, RLIM_INFINITY, "address space", "-v unlimited"},
	{RLIMIT_DATA, RLIM_INFINITY, "data segments", "-d unlimited"},
	{RLIMIT_FSIZE, RLIM_INFINITY, "file size (which shared memory counts as)", "-f unlimited"},
	{RLIMIT_STACK, STACK_NEEDED, "stack", "-s 8192"},
};

static void raise_soft(int resource, uint64_t wanted)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	(void)setrlimit(resource, &limit);
}

void limits_raise(void)
{
	raise_soft(RLIMIT_NOFILE, RLIM_INFINITY);
	raise_soft(RLIMIT_STACK, STACK_WANTED);
}

static uint64_t files_needed(const struct config *config)
{
	uint64_t needed = LIMITS_FILES + config->files;

	for (uint32_t i = 0; i < config->cvms; i++)
		needed += LIMITS_FILES_EACH + config->cvm[i]->volumes;
	return needed;
}

const char *limits_problem(const struct config *config, char *text, size_t size)
{
	uint64_t files = files_needed(config);
	struct rlimit limit;

	for (size_t i = 0; i < sizeof(g_limits) / sizeof(g_limits[0]); i++) {
		if (getrlimit(g_limits[i].resource, &limit) < 0 || limit.rlim_cur >= g_limits[i].needed)
			continue;
		snprintf(text, size, "the limit of %s is too low for cVMs: %llu bytes (use ulimit %s)", g_limits[i].name,
			 (unsigned long long)limit.rlim_cur, g_limits[i].remedy);
		return text;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < files) {
		struct rlimit more = {files, files};

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return NULL;
		snprintf(text, size, "the limit of open files is too low for this run: %llu, and it takes %llu (use ulimit -Hn %llu or more)",
			 (unsigned long long)limit.rlim_cur, (unsigned long long)files, (unsigned long long)files);
		return text;
	}
	return NULL;
}

const char *limits_remedy(int error)
{
	switch (error) {
	case EAGAIN:
		return " (end some processes, or raise ulimit -u or the container's limit of processes)";
	case EMFILE:
		return " (raise ulimit -Hn)";
	case ENFILE:
		return " (the host has too many open files: raise sysctl fs.file-max)";
	case ENOMEM:
		return " (free memory, or raise the container's limit of memory or sysctl vm.max_map_count)";
	case ENOSPC:
		return " (make room)";
	default:
		return "";
	}
}
