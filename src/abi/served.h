/*
 * System calls that another cVM serves (YAML: syscalls_to): what the libOS of the served cVM and the SDK of its server
 * (include/cvm/syscalls.h, for the meaning) say to each other. A CP_Call to the export "syscalls/NAME", NAME being that of
 * the served cVM, carries one system call. Neither side relies on the other for more than the service; the monitor sees
 * ordinary calls and capabilities.
 *
 * A request's words: [0] number, SERVED_AGAIN, and the sixth argument above bit 16; [1] to [5] the first five arguments.
 * Of the calls that can be served none has a sixth argument that needs more than 48 bits: it is an int or an address. A
 * descriptor that the server gave is SERVED_FD + its number; any other is below.
 *
 * The answer's: [0] one of SERVED_RESULT ... and what stands with it.
 */
#ifndef ABI_SERVED_H
#define ABI_SERVED_H

#define SERVED_PREFIX "syscalls/"
#define SERVED_VERSION 1u
#define SERVED_CALLS 512u	/* numbers of system calls are below */
#define SERVED_FD 0x40000000u	/* descriptors of the server, as arguments; also how many there can be */
#define SERVED_RANGES 2u	/* slot and low window */

#define SERVED_NUMBER 0x3ffu	/* of a request's word 0 */
#define SERVED_AGAIN (1u << 15) /* the call was answered with SERVED_AGAIN_LATER before */
#define SERVED_ARG5 16		/* shift */

/* Numbers that are no system calls. */
#define SERVED_ATTACH 1023u /* (base, length, SERVED_VERSION, 1 for the first range of a life), with a capability on that memory
			       of the program. Answer: [1] 0 or -errno, and with the first a capability on a struct served_page */
#define SERVED_POLL 1022u   /* (descriptor): [1] the POLL* bits that are set now, or -ENOSYS: always ready */

/* Verdicts: bits 0 to 7 of an answer's word 0. */
#define SERVED_RESULT 0u      /* [1] the result or -errno */
#define SERVED_LOCAL 1u	      /* the libOS is to execute it */
#define SERVED_AGAIN_LATER 2u /* call again with arguments [1] to [5], when the page changes or after [0] >> 16 microseconds */
#define SERVED_DESCRIPTOR 3u  /* [1] a descriptor of the server: becomes one of the program; [2] close-on-exec */
#define SERVED_PAIR 4u	      /* [1] and [2] two: their numbers go to where pipe and socketpair want them; [3] close-on-exec */
#define SERVED_FOREVER ((1ull << 48) - 1)

#define SERVED_ONLY_OWN 1u /* served_page.flags: of calls with descriptors only those with one of the server's */

#ifndef __ASSEMBLER__
#include <stdint.h>

/* The server's CP_File for one served cVM. Each change tells those who wait that calling again may help. */
struct served_page {
	uint32_t version; /* SERVED_VERSION */
	uint32_t flags;	  /* SERVED_* */
	uint64_t set[SERVED_CALLS / 64]; /* the numbers it wants */
};
#endif
#endif
