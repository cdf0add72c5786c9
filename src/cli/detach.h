/*
 * `run --detach`: the command goes on as a daemon; the process that was started ends when the cVMs run, or with the
 * reason why they do not.
 */
#ifndef CLI_DETACH_H
#define CLI_DETACH_H

struct detach {
	int report;   /* pipe to the process that waits, -1 once it was told */
	int messages; /* its standard error */
};

/* -1 in the daemon, which has /dev/null for standard input, output and error, and its messages go to the old one. In the
 * process that was started: the exit status. */
__attribute__((warn_unused_result)) int detach_start(struct detach *detach);

/* The cVMs run: whoever waits ends with 0, and messages go nowhere from now on. */
void detach_ready(struct detach *detach);

/* It is over. Whoever still waits ends with this status. */
void detach_end(struct detach *detach, int status);

#endif
