/*
 * The libOS's end of the channel of abi/exec.h: programs that the command starts in this cVM (`intravisor exec`), and that the cVM is ready.
 */
#ifndef LIBOS_EXEC_SERVICE_H
#define LIBOS_EXEC_SERVICE_H

/* Outside signal EXEC_WAKE_SIGNAL came: the service starts, unless it runs. Called without locks. */
void exec_service_wake(void);

/* A program listens on "tcp/PORT" or "unix/PATH": the command is told, if it waits for that. Called without locks. */
void exec_service_listens(const char *name);

/* The first program begins. */
void exec_service_loaded(void);

#endif
