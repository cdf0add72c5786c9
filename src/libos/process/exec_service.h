/*
 * Programs that the command starts in this cVM (`intravisor exec`): the libOS's end of the channel of abi/exec.h.
 */
#ifndef LIBOS_EXEC_SERVICE_H
#define LIBOS_EXEC_SERVICE_H

/* Outside signal EXEC_WAKE_SIGNAL came: the service starts, unless it runs. Called without locks. */
void exec_service_wake(void);

#endif
