/*
 * The modes of the terminal that the command runs in (echo, line editing, signals by key): cVMs that have it as a standard stream
 * may set them, and may end before they set them back.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

struct terminal {
	int fd; /* -1: the command does not run in the foreground of one */
	struct termios modes;
};

/* Is there one that may stop us (^Z)? */
bool terminal_stops_us(void);

void terminal_note(struct terminal *terminal);
/* As they were noted, if the command is in the foreground still: in the background they are somebody else's. */
void terminal_restore(const struct terminal *terminal);

#endif
