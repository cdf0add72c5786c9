/*
 * `run --detach`: the command goes on as a daemon; the process that was started ends when the programs of those
 * cVMs that start at once have begun, or with the reason why none has.
 */
#ifndef CLI_DETACH_H
#define CLI_DETACH_H

struct detach {
	int report;   /* pipe to the process that waits, -1 once it was told; there: from the daemon */
	int messages; /* its standard error */
};

/* -1 in the daemon, which has /dev/null for standard input, output and error, and its messages go to the old one. In the
 * process that was started 0, or the exit status if there is no daemon. */
__attribute__((warn_unused_result)) int detach_start(struct detach *detach);

/* In the process that was started, which has closed all that belongs to the daemon: the exit status. */
int detach_wait(struct detach *detach);

/* The cVMs run: whoever waits ends with 0, and messages go nowhere from now on. */
void detach_ready(struct detach *detach);

/* It is over. Whoever still waits ends with this status. */
void detach_end(struct detach *detach, int status);

#endif
