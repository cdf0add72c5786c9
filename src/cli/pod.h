/*
 * The cVMs of one run: which wait, run, are being stopped, start again, have ended; and what follows from that.
 *
 * cVMs without `after` run from the start; the others when all they come after are ready. Nothing here blocks: the
 * event loop calls pod_tick, and pod_timeout says when next.
 */
#ifndef CLI_POD_H
#define CLI_POD_H

#include "abi/channel.h"
#include "cli/link.h"
#include "config/config.h"

enum pod_state {
	POD_WAITING = 0, /* for those it comes after */
	POD_RUNNING,
	POD_STOPPING,	/* got SIGTERM by pod_stop; gets SIGKILL when due */
	POD_RESTARTING, /* has ended and starts again when due */
	POD_ENDED,
};

struct pod_cvm {
	enum pod_state state;
	uint32_t starts; /* so far */
	bool loaded;	 /* its libOS says that its program began; if the run is detached */
	bool ready;	 /* its condition was met */
	bool never_ready; /* it cannot be met any more, or was not in time */
	bool stopped;	 /* by pod_stop: no restart by itself */
	bool again;	 /* pod_restart: start when it has ended */
	bool has_exit;
	struct channel_exit exit; /* the last one */
	struct cvm_stats stats;	  /* the last that are known */
	uint64_t log_dropped;	  /* bytes over the output rate, since its last start */
	uint32_t restarts, delay_ms;
	int64_t started_ms, due_ms, ready_deadline_ms; /* CLOCK_MONOTONIC; 0: none */
};

struct pod {
	const struct config *config;
	struct link *link;
	bool ending; /* nothing starts any more */
	struct pod_cvm cvm[LAUNCH_CVMS_MAX];
};

/* Does the configuration need a monitor that waits for CHANNEL_START? */
bool pod_needs_stay(const struct config *config);

void pod_init(struct pod *pod, const struct config *config, struct link *link);

/* CHANNEL_EXIT came. */
void pod_ended(struct pod *pod, uint32_t i, const struct channel_exit *exit);

/* The programs of the cVMs that start at once have begun; who could not leaves others that go on. */
bool pod_begun(const struct pod *pod);

/* Its libOS says that it listens where its condition says. false: its condition is another one. */
bool pod_listens(struct pod *pod, uint32_t i);

/* Does what is due; the time until something can be again, in ms, or -1. */
void pod_tick(struct pod *pod);
int pod_timeout(const struct pod *pod);

/* No cVM runs or will run. */
bool pod_over(const struct pod *pod);

/* Nothing starts any more; what waits to start has ended. */
void pod_end(struct pod *pod);

/* The command got this signal: to all, and if it is one that ends programs, nothing starts any more. */
void pod_signal(struct pod *pod, int signal);

/* 0, or what is in the way as a text. stop and restart are done when the state says so. */
const char *pod_kill(struct pod *pod, uint32_t i, int signal);
const char *pod_start(struct pod *pod, uint32_t i);
const char *pod_stop(struct pod *pod, uint32_t i, uint32_t timeout_ms);
const char *pod_restart(struct pod *pod, uint32_t i, uint32_t timeout_ms);

/* The first status that is not 0, in the order of the configuration. */
int pod_status(const struct pod *pod);

#endif
