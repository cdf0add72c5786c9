/*
 * What the command says: its own messages, and texts that cVMs caused, made harmless for a terminal.
 *
 * Bytes outside printable ASCII, tab and well-formed printable UTF-8 are written as
 * \xNN, so that no cVM (and no odd file name) can move the cursor, change colours or fake another line.
 */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* Exit statuses as container tools use them; 126 and 127 come from the libOS as a cVM's status. */
#define EXIT_USAGE 2
#define EXIT_CANNOT_START 125

/* Messages go there instead of standard error; -1: nowhere. */
void message_output(int fd);

/* From now on nothing waits for the reader of messages for ever: what it does not take in some seconds, or what comes while it goes on
 * taking nothing, is lost. message_room tells whether it takes something now. */
void message_hurry(void);
bool message_room(void);
void message_poll(struct pollfd *entry); /* has an event when there is room */

/* Hostile text as it is, escaped, newlines kept. */
void message_text(int fd, const char *text, size_t size);

/* --quiet: warnings are not printed. */
void message_quiet(bool quiet);

/* --verbose: "intravisor: note: TEXT". */
__attribute__((format(printf, 1, 2))) void message_note(const char *format, ...);

/* "intravisor: TEXT" and "intravisor: warning: TEXT", one line each. */
__attribute__((format(printf, 1, 2))) void message_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void message_warning(const char *format, ...);

/* Hostile text of one or more lines: each non-empty line is printed with the prefix in front. */
void message_lines(const char *prefix, const char *text, size_t size);

#endif
