/*
 * The control socket's server, part of the event loop beside the monitor.
 *
 * Protocol: the client sends one JSON object and a newline, {"command": "stop", "cvm": "web"}, and gets one back,
 * {"ok": true, ...} or {"ok": false, "error": "..."}; then the connection ends. `logs` is followed by the bytes
 * themselves, until the connection ends; `exec` by messages of abi/exec.h, of which the client sends the first. Commands: status, stats;
 * signal (signal); start, stop, restart (timeout_ms); logs (follow, tail: so many lines of what is kept); exec.
 * Without "cvm" signal and stop mean the whole pod.
 *
 * Peers are this user or root. They are bounded in number, in what they send and in time; none is ever waited for.
 */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/control_socket.h"
#include "cli/exec_relay.h"
#include "cli/logs.h"
#include "cli/pod.h"

#define CONTROL_CLIENTS_MAX 16u
#define CONTROL_REQUEST_MAX 4096u
#define CONTROL_POLL_MAX (1 + CONTROL_CLIENTS_MAX)

enum control_phase {
	CONTROL_FREE = 0,
	CONTROL_READING,
	CONTROL_WAIT_STATS, /* for the monitor's numbers of the cVMs in `waiting` */
	CONTROL_WAIT_CVM,   /* until the cVMs in `waiting` have ended or started again */
	CONTROL_WAIT_POD,   /* until the run is over */
	CONTROL_SENDING,    /* what is in `out`, then log bytes if `log_until` says so */
};

struct control_client {
	enum control_phase phase;
	int fd;
	int64_t deadline_ms; /* 0: none */
	size_t in_size;
	char in[CONTROL_REQUEST_MAX];
	char *out;
	size_t out_size, out_sent;
	uint32_t waiting; /* bits of cVMs */
	uint32_t starts[LAUNCH_CVMS_MAX]; /* when the request came */
	uint32_t log_cvm;
	bool log_follow;
	uint64_t log_at, log_until;
};

struct control {
	struct control_socket *socket;
	struct pod *pod;
	struct logs *logs;
	struct exec_relay *exec;
	int64_t accept_again_ms; /* 0: now */
	struct control_client client[CONTROL_CLIENTS_MAX];
};

/* `socket` may have no listener: then nothing happens here. */
void control_init(struct control *control, struct control_socket *socket, struct pod *pod, struct logs *logs,
		  struct exec_relay *exec);

/* Fills CONTROL_POLL_MAX entries. */
void control_poll(const struct control *control, struct pollfd *entries);
void control_handle(struct control *control, const struct pollfd *entries);

/* CHANNEL_STATS_NOW of a cVM came, or it has ended. */
void control_stats(struct control *control, uint32_t i);

/* Answers what is done or late; the time until something can be late, in ms, or -1. */
void control_tick(struct control *control);
int control_timeout(const struct control *control);

/* The run is over and the monitor gone: removes the socket, answers who waits for that, sends what can be sent. */
void control_end(struct control *control);

#endif
