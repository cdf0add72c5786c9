/*
 * Terminal modes: see terminal.h. Called by supervise.c before the monitor starts and after it has ended, when nobody else sets
 * them any more. A command that is killed itself restores nothing; the shells that people use do that for it.
 */
#include "cli/terminal.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static bool in_foreground(int fd)
{
	return tcgetpgrp(fd) == getpgrp(); /* fails on what is not the session's terminal */
}

bool terminal_stops_us(void)
{
	struct sigaction action;
	bool ours = false;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		ours |= tcgetpgrp(fd) >= 0;
	return ours && sigaction(SIGTSTP, NULL, &action) == 0 && action.sa_handler != SIG_IGN;
}

void terminal_note(struct terminal *terminal)
{
	*terminal = (struct terminal){.fd = -1};
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (!in_foreground(fd) || tcgetattr(fd, &terminal->modes))
			continue;
		terminal->fd = fd;
		return;
	}
}

void terminal_restore(const struct terminal *terminal)
{
	struct termios now = {0};

	if (terminal->fd < 0 || !in_foreground(terminal->fd) || tcgetattr(terminal->fd, &now) ||
	    memcmp(&now, &terminal->modes, sizeof(now)) == 0)
		return;
	signal(SIGTTOU, SIG_IGN); /* or who is sent to the background just now would be stopped */
	/* At once: what a cVM has stopped the output of would never drain. */
	tcsetattr(terminal->fd, TCSANOW, &terminal->modes);
}
