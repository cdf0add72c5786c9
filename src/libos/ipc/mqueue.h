/*
 * POSIX message queues, mq_overview(7). They are the cVM's: all its processes see the same ones, nobody else any.
 */
#ifndef LIBOS_MQUEUE_H
#define LIBOS_MQUEUE_H

#include "fs/file.h"

struct attr;
struct mq_attr;
struct process;

/* System calls; strings and buffers are the program's, attributes are not. Deadlines: CLOCK_REALTIME, -1: none. */
nodiscard long mqueue_open(const char *name, uint32_t flags, uint32_t mode, const struct mq_attr *attr); /* attr: or NULL */
nodiscard long mqueue_unlink(const char *name);
nodiscard long mqueue_send(int fd, const void *text, uint64_t size, uint32_t priority, int64_t deadline);
nodiscard long mqueue_receive(int fd, void *text, uint64_t size, uint32_t *priority, int64_t deadline);
nodiscard long mqueue_notify(int fd, const void *sigevent);
nodiscard long mqueue_attributes(int fd, const struct mq_attr *set, struct mq_attr *old); /* set: or NULL */

extern const struct file_ops g_mqueue_ops;
nodiscard int mqueue_setattr(struct file *f, const struct attr *a); /* fchmod, fchown and the like */
void mqueue_exec(struct process *p); /* its new program is not sent the signals that the old one asked for */

#endif
