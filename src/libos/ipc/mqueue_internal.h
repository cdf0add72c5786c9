/*
 * What the files of POSIX message queues share: ipc/mqueue.c (queues and messages), mqueue_notify.c (who is told of them) and mqueue_file.c
 * (their descriptors).
 *
 * One lock guards all queues. It is held for memory operations only: who is to be told of a change is told when it is free again
 * (struct news), since that takes locks of processes, sockets and epolls, which may look at a queue with theirs held.
 */
#ifndef LIBOS_MQUEUE_INTERNAL_H
#define LIBOS_MQUEUE_INTERNAL_H

#include "core/list.h"
#include "core/waitq.h"
#include "ipc/mqueue.h"
#include "signal/signal.h"
#include <linux/eventpoll.h>
#include <linux/mqueue.h>

struct netlink_note;

/* Whom mq_notify has asked to be told. */
struct notice {
	struct process *owner; /* a reference; NULL: nobody */
	int how;	       /* SIGEV_* */
	int signal;	       /* 0: none */
	sigval_t value;
	bool deaf;	       /* the owner has executed another program */
	struct file *socket;   /* SIGEV_THREAD: a reference, and what it will be sent */
	struct netlink_note *note;
};

struct mqueue {
	struct list link; /* g_mqueues */
	uint32_t refs;	  /* open files, and the name */
	char *name;	  /* also behind unlink, for /proc */
	bool named;
	uint32_t mode, uid, gid;
	uint32_t payer;	   /* real user whose RLIMIT_MSGQUEUE it counts to, */
	uint64_t cost;	   /* with so many bytes */
	uint64_t inode;
	int64_t atime, mtime, ctime; /* ns */
	struct mq_attr attr;
	uint64_t bytes;
	struct list messages;		/* of higher priority first, then older ones */
	struct list senders, receivers; /* struct mq_sleeper by sleeper.link, oldest first */
	struct notice notice;
	struct waitq wait;
};

/* What is to be said of a change when the lock is free. */
struct news {
	uint32_t events;      /* EPOLL* that may be ready now */
	struct notice notice; /* taken from the queue */
	uint8_t code;	      /* NOTIFY_* */
};

extern struct mutex g_mqueue_lock;
extern struct list g_mqueues; /* struct mqueue */

struct mqueue *mqueue_of(const struct file *f); /* NULL: another kind of file */
/* The time of a change, now: *c, and *a and *b if there are any. */
void mqueue_stamp(int64_t *a, int64_t *b, int64_t *c);
void mqueue_take_notice(struct mqueue *q, uint8_t code, struct news *n); /* lock held */
void mqueue_tell(struct mqueue *q, struct news *n); /* lock not held */

/* file_ops */
void mqueue_on_close(struct file *f);
void mqueue_release(struct file *f);

#endif
