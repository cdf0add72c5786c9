/*
 * Waiting for many things: poll, select, epoll over libOS objects and host descriptors together.
 * A thread that waits for host handles too sleeps in hostcall poll with its wake_eventfd among them (thread->polling).
 * Each libOS epoll owns one host epoll plus one eventfd through which libOS objects wake it.
 */
#ifndef LIBOS_POLL_H
#define LIBOS_POLL_H

#include "fs/file.h"
#include <linux/eventpoll.h>

/* Called by file_put when the last reference goes: removes the file from every epoll. */
void epoll_forget_file(struct file *f);

#endif
