/*
 * Programs started in a running cVM (`intravisor exec`): messages between the command and a cVM's libOS, over a SOCK_SEQPACKET
 * socket pair whose far end is one of the cVM's handles (libos_boot.exec, boot.h). It does not block. One datagram is one message:
 * struct exec_message and `size` bytes of payload. Client and command speak the same over the control socket, where messages
 * follow one another, and `id` means nothing.
 *
 * One channel serves several programs. The command chooses the id of each, below EXEC_MAX, which is free again after EXEC_ENDED.
 * The libOS looks at the channel after outside signal EXEC_WAKE_SIGNAL, which nobody else may send, and from then on by itself.
 *
 * Who reads a channel always takes what comes, so one program cannot hold up another: input and output have room for EXEC_ROOM bytes
 * of messages (heads included) that the other side has not passed on yet. EXEC_MORE says what was.
 */
#ifndef ABI_EXEC_H
#define ABI_EXEC_H

#include <stdint.h>

#define EXEC_MAX 16u	      /* programs at a time in one cVM */
#define EXEC_DATA_MAX 16384u  /* payload of input and output */
#define EXEC_START_MAX 98304u /* of EXEC_START */
#define EXEC_WHY_MAX 256u
#define EXEC_ROOM 65536u
#define EXEC_MORE_LEAST (EXEC_ROOM / 4) /* EXEC_MORE is not sent for less */
#define EXEC_WAKE_SIGNAL 32 /* glibc keeps it for itself, so programs cannot even name it */

enum exec_type {
	/* to the cVM */
	EXEC_START = 1,	 /* struct exec_start, then its strings */
	EXEC_INPUT = 2,	 /* bytes; none: end of file, and of a terminal the hanging up */
	EXEC_SIGNAL = 3, /* int32_t: as kill(2) from outside */
	EXEC_WINDOW = 4, /* struct exec_window: the size of its terminal now; only if it has one */
	/* to the command only */
	EXEC_DETACH = 5, /* the client goes and its program stays, as if nobody typed or read. Answered by the end of the connection */
	/* both ways */
	EXEC_MORE = 8, /* uint32_t: bytes of messages that were passed on; to the cVM of output, from it of input */
	/* from the cVM */
	EXEC_STARTED = 16, /* comes before output; for the command only */
	EXEC_OUTPUT = 17,  /* bytes, at least one */
	EXEC_ERRORS = 18,
	EXEC_STOPPED = 20, /* with BOOT_FLAG_JOB, about no program: the cVM's first process has been stopped. No payload, id 0 */
	EXEC_LISTENS = 21, /* about no program: one of the cVM listens where libos_boot.ready says. No payload, id 0; perhaps again */
	EXEC_LOADED = 22, /* with BOOT_FLAG_DETACHED, about no program of exec: the cVM's own now begins. No payload, id 0 */
	EXEC_ENDED = 19, /* struct exec_ended, then the sentence, if any, that says why it did not start. The last message */
};

struct exec_message {
	uint32_t type;
	uint32_t id;
	uint32_t size;
};

struct exec_window {
	uint16_t rows, columns;
};

#define EXEC_START_INPUT 1u    /* else standard input is empty */
#define EXEC_START_TERMINAL 2u /* its standard streams are a terminal, whose hanging up is the end of input; no EXEC_ERRORS come */
#define EXEC_START_USER 4u     /* `uid` and `gid` are its own, else the cVM's (boot.h) */
#define EXEC_START_DETACHED 8u /* alone or with a user: its streams are /dev/null, and EXEC_ENDED comes, with status 0, when it begins */
#define EXEC_START_FLAGS 15u

/* Strings, each with its NUL: the directory (absolute, or empty: the cVM's), arguments, variables "NAME=VALUE" that are added to
 * the cVM's environment. */
struct exec_start {
	uint32_t argc, envc;
	uint32_t flags;
	struct exec_window window; /* if it gets a terminal */
	uint32_t uid, gid;
};

struct exec_ended {
	int32_t status; /* as wait4 gives it */
};

#define EXEC_MESSAGE_MAX (sizeof(struct exec_message) + EXEC_START_MAX)

/* A libOS that cannot serve says so with this status, and why. */
#define EXEC_STATUS_FAILED (125 << 8)

#endif
