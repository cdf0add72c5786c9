/* Objects that are only counters or queues behind a descriptor: eventfd, timerfd, signalfd, pidfd. */
#ifndef LIBOS_EVENTFD_H
#define LIBOS_EVENTFD_H

#include "fs/file.h"
#include "signal/signal.h"
#include <linux/time.h>

#define EFD_SEMAPHORE 1u
#define EFD_NONBLOCK O_NONBLOCK
#define EFD_CLOEXEC O_CLOEXEC

/* One reference, or NULL with *error negative. flags: O_NONBLOCK and (eventfd) EFD_SEMAPHORE. */
nodiscard struct file *eventfd_create(uint32_t initial, uint32_t flags, int *error);
nodiscard struct file *timerfd_create(int clock, uint32_t flags, int *error);
nodiscard struct file *signalfd_create(sigmask_t mask, uint32_t flags, int *error);
nodiscard struct file *pidfd_create(struct process *p, uint32_t flags); /* takes a reference of its own; NULL: no memory */
struct process *pidfd_process(const struct file *f);			/* borrowed; NULL: no pidfd */
/* -EINVAL if f is of another kind. */
nodiscard int timerfd_settime(struct file *f, int flags, const struct itimerspec *new_value, struct itimerspec *old);
nodiscard int timerfd_gettime(struct file *f, struct itimerspec *now);
nodiscard int signalfd_set_mask(struct file *f, sigmask_t mask);
/* Whose queue file_ops.waitq gives, the calling process: a reference. NULL: no signalfd. */
nodiscard struct process *signalfd_owner(const struct file *f);

#endif
