/*
 * One program that `intravisor exec` started, as the relay (exec_relay.c, its only user) keeps it: what waits for its client and for its
 * libOS, and how it ends. The relay decides what may come; these functions only note it.
 */
#ifndef CLI_EXEC_SESSION_H
#define CLI_EXEC_SESSION_H

#include "cli/exec_relay.h"

#define EXEC_HEAD sizeof(struct exec_message)

/* A client that was accepted, and is told so. Takes over fd. */
void session_open(struct exec_relay *relay, struct exec_session *s, int fd, uint32_t cvm, uint32_t id);
void session_free(struct exec_relay *relay, struct exec_session *s);

/* Does the libOS know it? */
bool session_is_known(const struct exec_session *s);

/* Bytes that wait for the client. */
size_t session_waiting(const struct exec_session *s);

/* A message for the client, if it is still there. */
void session_tell(struct exec_session *s, uint32_t type, const void *payload, size_t count);

/* Tells the client of the room that its input has made, once that is worth a message, which fits besides all output that may come. */
void session_tell_more(struct exec_session *s);

/* The program has ended, or is out of reach: the client is told, and then has gone. */
void session_end(struct exec_relay *relay, struct exec_session *s, int32_t status, const char *why, size_t why_size);
void session_fail(struct exec_relay *relay, struct exec_session *s, const char *why);

/* The client went away: its program gets what one at a terminal gets, the end of its input and SIGHUP; when that is due, session_kill. */
void session_client_gone(struct exec_relay *relay, struct exec_session *s);
void session_kill(struct exec_session *s);

/* The client leaves on purpose, and its program goes on. What it sent before has been passed on. */
void session_detach(struct exec_relay *relay, struct exec_session *s);

/* The client is told why it has to go; its program, should it ever start, ends as if the client had gone. */
void session_give_up(struct exec_relay *relay, struct exec_session *s, const char *why);

#endif
