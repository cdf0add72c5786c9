/* Arguments that the system calls which wait have in common: times, and the mask while they wait. */
#ifndef LIBOS_WAIT_ARGS_H
#define LIBOS_WAIT_ARGS_H

#include "core/types.h"

/* A timeout in ns, of no more than centuries; -1 for NULL. */
nodiscard int wait_timeout(const struct timespec *user, int64_t *ns);
/* The time at which to stop waiting, also when the call is restarted; INT64_MAX for what lies beyond. */
nodiscard int wait_deadline(const struct timespec *user, int clock, bool absolute, int64_t *deadline);
/* Sets the mask of ppoll(2) and its like, if there is one. */
nodiscard int wait_mask(const void *user, size_t size);
/* Behind the wait, with its result, which it returns: only a signal that ended it is handled before the old mask is back. */
long wait_mask_end(long ret);
long poll_mask_end(long ret); /* of poll and select: also when there was nothing and no time to wait */

#endif
