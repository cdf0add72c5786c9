/*
 * epoll inside a cVM. Host-backed files are registered in the host epoll that every libOS epoll owns, with the
 * program's own data word, so an epoll of host files only costs exactly one hostcall a wait. libOS objects are watched
 * through their wait queues: a change puts the item on `ready`, and if a thread may be asleep in the host epoll, writes
 * an eventfd that is registered there too; `cookie` tells its event from the program's.
 *
 * Locks: g_epolls (pins epolls while files and epolls go away) -> epoll->items_lock -> an object's own locks;
 * wait queue -> epoll->ready_lock; items_lock -> file->epolls_lock.
 */
#ifndef LIBOS_EPOLL_H
#define LIBOS_EPOLL_H

#include "core/waitq.h"
#include "fs/poll.h"

struct epoll;

struct epoll_item {
	struct list by_file;	 /* file->epolls; file->epolls_lock */
	struct list ready;	 /* epoll->ready or a scan's own list; ready_lock */
	struct epoll_item *next; /* same descriptor number; items_lock */
	struct epoll *epoll;
	struct file *file; /* borrowed: epoll_forget_file removes the item before the file goes */
	int fd;
	int handle;	    /* host handle registered in epoll->host, -1 for a libOS object */
	bool owns_handle;   /* a duplicate: the file is in this epoll more than once */
	uint32_t events;    /* as the program gave it; 0 after EPOLLONESHOT fired; atomic */
	uint64_t data;	    /* items_lock */
	struct waiter waiter;
	struct process *owner; /* of the queue that `waiter` is in: a reference; NULL: it is the file's */
};

struct epoll {
	struct mutex items_lock; /* items, counts; held through a scan of the ready list */
	struct epoll_item **by_fd;
	unsigned by_fd_count;
	unsigned host_count, nested_count;
	unsigned local_count; /* atomic: poll looks without the lock */
	unsigned sleepers;    /* threads in, or about to enter, hostcall epoll_wait; atomic */

	struct mutex ready_lock; /* what follows */
	struct list ready;
	bool signaled;	   /* the eventfd was written and nobody took note yet */
	bool observed;	   /* the host epoll is watched by others (poll, an outer epoll): always write, level-triggered */

	bool host_turn;	  /* one-event waits alternate between libOS and host when both are ready */
	int host;	  /* handle of the host epoll */
	int eventfd;	  /* handle, -1 until the first libOS object */
	uint64_t cookie;  /* data word of the eventfd in the host epoll: random; the doorbell's is one more */
	bool doorbell;	  /* of connections to other cVMs: in the host epoll (net/loop.h) */
	uint8_t busy;	  /* waits that found only libOS objects since the host was last asked */
};

nodiscard struct file *epoll_create_file(int *error);
nodiscard struct epoll *epoll_of(struct file *f); /* NULL if f is no epoll */
nodiscard int epoll_control(struct file *epf, int op, int fd, struct file *f, const struct epoll_event *event);
/* Waits; events go to the program's array. Count, 0 on timeout, -ERESTARTNOHAND on a signal. */
nodiscard long epoll_wait_events(struct epoll *ep, struct epoll_event *user, int max, int64_t timeout_ns);

/* Between epoll.c and epoll_wait.c. Put an item on the ready list and wake a sleeper. */
void epoll_item_ready(struct epoll_item *item);
uint32_t epoll_item_poll(struct epoll_item *item); /* events that are ready and wanted */
/* Drops items that are no longer ready; is one left? items_lock held. */
bool epoll_refresh(struct epoll *ep);
void epoll_clear_signal(struct epoll *ep); /* the eventfd was noticed */

#endif
