/*
 * Child processes: see process.h. Called by supervise.c and code_service.c. Children stay in the command's process
 * group (so that the terminal is theirs too) and therefore start with the forwarded signals blocked.
 */
#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

void process_forwarded_signals(sigset_t *set)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
	struct sigaction action;

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
}

/* Something to read nothing from, also where there is no /dev (a chroot). -1: no descriptors are left. */
static int open_nothing(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), ends[2];

	if (fd >= 0 || pipe2(ends, O_CLOEXEC) < 0)
		return fd;
	close(ends[1]);
	return ends[0];
}

static int prepare_files(posix_spawn_file_actions_t *files, const int *keep, size_t keep_count, int nothing, int output)
{
	int error = 0;

	if (output >= 0) {
		error = nothing < 0 ? EMFILE : posix_spawn_file_actions_adddup2(files, nothing, 0);
		if (!error)
			error = posix_spawn_file_actions_adddup2(files, output, 1);
		if (!error)
			error = posix_spawn_file_actions_adddup2(files, output, 2);
	}
	/* Onto itself: clears close-on-exec, in the child only. */
	for (size_t i = 0; !error && i < keep_count; i++)
		error = posix_spawn_file_actions_adddup2(files, keep[i], keep[i]);
	return error;
}

pid_t process_start(const char *path, char *const *arguments, const int *keep, size_t keep_count, int output,
		    const sigset_t *blocked)
{
	static char *const no_environment[] = {NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t defaults;
	pid_t pid = -1;
	int nothing = output >= 0 ? open_nothing() : -1;

	int error = posix_spawn_file_actions_init(&files);
	if (error)
		goto out;
	error = posix_spawnattr_init(&attributes);
	if (error)
		goto out_files;
	/* Only what the command itself changed: resetting all 64 would cost 64 system calls. */
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	sigaddset(&defaults, SIGCHLD);
	sigaddset(&defaults, SIGXFSZ);
	error = prepare_files(&files, keep, keep_count, nothing, output);
	if (!error)
		error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (!error)
		error = posix_spawnattr_setsigmask(&attributes, blocked);
	if (!error)
		error = posix_spawnattr_setsigdefault(&attributes, &defaults);
	if (!error)
		error = posix_spawn(&pid, path, &files, &attributes, arguments, no_environment);
	posix_spawnattr_destroy(&attributes);
out_files:
	posix_spawn_file_actions_destroy(&files);
out:
	if (nothing >= 0)
		close(nothing);
	return error ? -error : pid;
}
