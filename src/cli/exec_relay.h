/*
 * `intravisor exec` in the run's command, part of the event loop beside the monitor: passes messages (abi/exec.h) between clients
 * and the libOSes of their cVMs. A client that does not read and a cVM that does not answer hold up nobody but each other.
 */
#ifndef CLI_EXEC_RELAY_H
#define CLI_EXEC_RELAY_H

#include <poll.h>
#include <stdbool.h>

#include "abi/exec.h"
#include "cli/pod.h"

#define EXEC_CLIENTS_MAX 32u /* at a time, of all cVMs */

enum exec_phase {
	EXEC_FREE = 0,
	EXEC_ASKED,    /* its client has not said yet what to start */
	EXEC_STARTING, /* the libOS has not answered yet */
	EXEC_RUNS,
	EXEC_OVER, /* the client gets the rest */
};

struct exec_session {
	enum exec_phase phase;
	int fd;	   /* of the client; -1: it went away before its program ended */
	int entry; /* in the last poll, or -1 */
	uint32_t cvm, id;
	int64_t deadline_ms; /* 0: none */
	char *in; /* messages for the libOS */
	size_t in_size;
	char *out; /* and for the client */
	size_t out_size, out_sent;
	uint32_t input_room, input_more; /* of the client, and what it is still to be told */
	uint32_t output_room;		 /* of the libOS */
	bool terminal;			 /* its program has one */
	bool detached;			 /* its client has left it: it goes on, and what it prints is dropped */
};

struct exec_channel {
	int fd;	     /* or -1 */
	int far_end; /* the cVM's, to be emptied between its lives */
	bool full;
	bool serves;  /* its libOS has started something, so needs no more waking */
	bool cut_off; /* its libOS broke the rules in this life */
	uint32_t turn; /* whose messages go first */
	struct exec_session session[EXEC_MAX]; /* by id */
};

struct exec_relay {
	struct pod *pod;
	bool stopped; /* EXEC_STOPPED came, and nothing was done about it yet */
	uint32_t clients;
	struct exec_channel channel[LAUNCH_CVMS_MAX];
};

#define EXEC_POLL_MAX (LAUNCH_CVMS_MAX + EXEC_CLIENTS_MAX)

/* Takes over the descriptors: the command's and the cVMs' ends, or -1. */
void exec_relay_init(struct exec_relay *relay, int (*ends)[2], struct pod *pod);

/* A client of the control socket asks for a program in the cVM. A null pointer: the connection now belongs to the relay, which answers;
 * or what is in the way as a text. */
const char *exec_relay_accept(struct exec_relay *relay, int fd, uint32_t cvm);

/* Fills EXEC_POLL_MAX entries. */
void exec_relay_poll(struct exec_relay *relay, struct pollfd *entries);
void exec_relay_handle(struct exec_relay *relay, const struct pollfd *entries);

/* Does what is due; the time until something can be again, in ms, or -1. */
void exec_relay_tick(struct exec_relay *relay);
int exec_relay_timeout(const struct exec_relay *relay);

/* CHANNEL_EXIT came, and the cVM has not been started again. */
void exec_relay_ended(struct exec_relay *relay, uint32_t cvm);

/* The monitor is gone: tells the clients and closes everything. */
void exec_relay_end(struct exec_relay *relay);

#endif
