/*
 * Messages between the monitor and the command beside it (src/cli), over SOCK_SEQPACKET Unix sockets made by the
 * command before it starts the monitor: one *event channel* for the process and one *code channel* per cVM.
 * One message is one datagram: struct channel_message, then `size` bytes of payload. Little-endian, same machine.
 * The monitor trusts nothing it reads here but liveness; the command prints whatever cVMs caused only after escaping.
 */
#ifndef ABI_CHANNEL_H
#define ABI_CHANNEL_H

#include <stdint.h>

#define CHANNEL_PAYLOAD_MAX 2048u
#define CHANNEL_CODE_ONCE 1 /* an image not to be found again by the times of its file */

enum channel_type {
	/* code channel; request carries the source file's descriptor, reply a code image: a
	 * writable memfd, or a file of the cache on disk that nobody writes to (with anything behind the image) */
	CHANNEL_CODE_REQUEST = 1, /* payload: struct channel_code_request */
	CHANNEL_CODE_REPLY = 2,	  /* payload: int32_t status (0, CHANNEL_CODE_ONCE or negative errno), then a text reason */
	/* event channel, monitor to command */
	CHANNEL_READY = 16,   /* all cVMs were created and run; no payload */
	CHANNEL_EXIT = 18,    /* a cVM has ended and is gone. payload: struct channel_exit */
	CHANNEL_FATAL = 20,   /* the monitor could not start or found itself broken: struct channel_report; the process ends next */
	CHANNEL_STATS_NOW = 21, /* answer to CHANNEL_STATS: struct cvm_stats of a running cVM */
	CHANNEL_REPORT = 22,  /* struct channel_report of a cVM that could not start, or had to end */
	/* event channel, command to monitor */
	CHANNEL_SIGNAL = 32,  /* payload: int32_t signal: deliver to the cVM's program (cvm == UINT32_MAX: to all) */
	CHANNEL_KILL = 33,    /* end this cVM at once, status 137 */
	CHANNEL_START = 34,   /* start this cVM, which must not be running, from the launch description; if that fails,
				 CHANNEL_REPORT says why and CHANNEL_EXIT follows with status 125 */
	CHANNEL_STATS = 35,   /* ask for CHANNEL_STATS_NOW; no answer if it is not running */
};

struct channel_message {
	uint32_t type;
	uint32_t cvm; /* index in the launch description */
	uint32_t size; /* payload bytes that follow */
	uint32_t request; /* code channel: a number, which the reply repeats */
};

/* What the monitor itself has to say of a cVM, or of the process (cvm == UINT32_MAX): the words, and numbers for the command
 * to print. */
struct channel_report {
	int32_t error;	/* negative errno, or 0 */
	int32_t signal; /* at `rip`, about `address`; or 0 */
	uint64_t rip, address;
	char what[200]; /* NUL-terminated unless full */
};

struct channel_code_request {
	uint64_t offset; /* of the segment in the file, bytes, page-aligned */
	uint64_t size;	 /* bytes wanted; the image's text_size is this rounded up to pages */
	uint32_t stubs;	 /* 1: stubs at SLOT_STUB_DELTA are possible; 0: only replace what must be, in place */
	uint32_t reserved;
};

/* Accounting of one cVM, sent when it ends (--stats). Times in nanoseconds, memory in bytes. */
struct cvm_stats {
	uint64_t wall_ns, cpu_ns;
	uint64_t memory_peak, memory_now;
	uint64_t hostcalls;	    /* gate crossings */
	uint64_t trapped_syscalls;  /* unrewritten `syscall` sites: SIGSYS path */
	uint64_t faults;	    /* other signals bounced to the libOS */
	uint64_t fast_syscalls;	    /* rewritten path, as the libOS counted it (untrusted) */
	uint32_t threads_peak, handles_peak;
	uint64_t code_images, code_bytes; /* mapped from the code cache */
};

struct channel_exit {
	int32_t status; /* exit code 0..255, or the signal's number when `signaled` */
	uint32_t signaled;
	struct cvm_stats stats;
};

#endif
