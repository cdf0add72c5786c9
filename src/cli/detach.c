/*
 * Becoming a daemon: see detach.h. Called by run.c before the monitor is started (which ends with its parent).
 */
#include "cli/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/user_limits.h"
#include "cli/message.h"

int detach_start(struct detach *detach)
{
	int ends[2], null = open("/dev/null", O_RDWR | O_CLOEXEC), error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	if (null < 0) {
		message_error("cannot be left in the background: cannot open /dev/null: %s (it must be there)", strerror(errno));
		return EXIT_CANNOT_START;
	}
	if (error < 0 || pipe2(ends, O_CLOEXEC) < 0) {
		message_error("cannot detach: %s", strerror(errno));
		return EXIT_CANNOT_START;
	}
	pid_t pid = fork();
	if (pid < 0) {
		message_error("cannot detach: %s%s", strerror(errno), limits_remedy(errno));
		return EXIT_CANNOT_START;
	}
	if (pid > 0) {
		close(ends[1]);
		*detach = (struct detach){.report = ends[0], .messages = -1};
		return 0;
	}
	close(ends[0]);
	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close(null);
	message_output(error);
	*detach = (struct detach){.report = ends[1], .messages = error};
	return -1;
}

int detach_wait(struct detach *detach)
{
	unsigned char status;
	ssize_t size;

	do
		size = read(detach->report, &status, 1);
	while (size < 0 && errno == EINTR);
	if (size == 1)
		return status;
	message_error("the command in the background ended unexpectedly");
	return EXIT_CANNOT_START;
}

void detach_end(struct detach *detach, int status)
{
	unsigned char byte = (unsigned char)status;

	if (detach->report < 0)
		return;
	message_output(-1);
	close(detach->messages);
	(void)!write(detach->report, &byte, 1); /* if nobody waits any more, so be it */
	close(detach->report);
	detach->report = -1;
}

void detach_ready(struct detach *detach)
{
	detach_end(detach, 0);
}
