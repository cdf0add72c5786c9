/*
 * Serves the code channels: a request names a segment of a file, the answer is its translated code, from the disk cache
 * or from a translator process. One request at a time per cVM, several cVMs at once, never blocking on a translator.
 * The monitor asks anew only when it has its answer or has given up waiting for it: so of several requests of a cVM only
 * the last is answered, and what a cVM gives up fills its channel in neither direction.
 */
#ifndef CLI_CODE_SERVICE_H
#define CLI_CODE_SERVICE_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "abi/channel.h"
#include "abi/launch.h"
#include "cli/cache.h"
#include "cli/prefetch.h"

#define CODE_IMAGES_EACH 315 /* that the monitor keeps for a cVM: its share of CODE_IMAGES_MAX */

struct code_job {
	pid_t pid; /* of the translator; 0: no job */
	int source, image, output; /* descriptors: the file, the memory file to fill, what the translator says */
	bool cacheable;
	bool once; /* the file may change while its times do not */
	struct stat source_stat;
	struct cache_key key;
	int64_t deadline_ms; /* CLOCK_MONOTONIC */
};

struct code_service {
	const char *translator; /* path */
	sigset_t blocked;	/* signals that translators do not react to */
	struct cache cache;
	struct prefetch prefetch;
	int64_t prefetch_end_ms; /* CLOCK_MONOTONIC: what was not asked for until then is given up */
	uint32_t channels;
	int channel[LAUNCH_CVMS_MAX]; /* -1 once the monitor has closed it */
	uint32_t request[LAUNCH_CVMS_MAX]; /* number of the one to be answered */
	struct code_waiting {
		bool any;
		int source;
		struct channel_code_request request;
	} waiting[LAUNCH_CVMS_MAX]; /* came while a translator was at work for one that is given up */
	struct code_share {
		uint64_t memory; /* limit of the cVM, which holds for its images too */
		int nice;	 /* of its translators */
		uint32_t images; /* that it got, in all its lives */
		uint64_t bytes;	 /* of these */
		uint64_t stored; /* bytes of these that were added to the cache */
	} share[LAUNCH_CVMS_MAX]; /* memory and nice are set before the first request */
	bool unlimited;
	struct code_job job[LAUNCH_CVMS_MAX];
	bool verbose, cache_warned;
	struct stat translator_stat;
	bool translator_known;
	uint64_t loaded, translated, failed; /* for --verbose */
};

/* Takes over the channels and opens the cache. `programs` says what runs (cli/prefetch.h). */
void code_service_init(struct code_service *service, const char *translator, const int *channels, uint32_t count,
		       const char *programs, const sigset_t *blocked, bool verbose);

/* One entry per channel. */
void code_service_poll(const struct code_service *service, struct pollfd *entries);

/* After poll: handles the requests. */
void code_service_handle(struct code_service *service, const struct pollfd *entries);

/* poll's time ran out: something is done ahead of its time. */
void code_service_idle(struct code_service *service);

/* A child has ended, whatever it was. */
void code_service_reaped(struct code_service *service, pid_t pid, int status);

/* Kills translators that take too long; returns milliseconds until the next deadline, or -1. */
int code_service_timeout(struct code_service *service);

/* Ends translators, closes everything, trims the cache. */
void code_service_end(struct code_service *service);

#endif
