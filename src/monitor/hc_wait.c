/*
 * Hostcalls on more than one host descriptor: poll, epoll_ctl. epoll_wait, eventfds and timerfds are rows
 * (hc_rows.c). Readiness data of epoll is only the caller's own.
 */
#include <linux/eventpoll.h>
#include <asm/poll.h>

#include "host/syscall.h"
#include "monitor/hostcalls.h"

#define POLLABLE                                                                                                      \
	(HANDLE_FILE | HANDLE_STDIO | HANDLE_SOCKET | HANDLE_EPOLL | HANDLE_EVENTFD | HANDLE_TIMERFD | HANDLE_MEMOBJ | \
	 HANDLE_DIR)

long hc_poll(struct thread *t, const uint64_t *a)
{
	struct pollfd fds[HC_POLL_MAX];
	struct handle *held[HC_POLL_MAX];
	uint64_t count = a[1];
	long r = 0;

	if (count > HC_POLL_MAX)
		return -EINVAL;
	if (user_in(t->cvm, fds, (struct gaddr){ a[0] }, count * sizeof fds[0]))
		return -EFAULT;
	for (uint64_t i = 0; i < count; i++) {
		held[i] = handle_get(t, (uint32_t)fds[i].fd, POLLABLE); /* none has a negative one */
		/* a number that no descriptor has: poll answers POLLNVAL */
		fds[i].fd = !error_in(held[i]) ? held[i]->fd : fds[i].fd < 0 ? -1 : 0x7fffffff;
	}
	r = host_blocking(__NR_poll, fds, count, to_ms(a[2]));
	for (uint64_t i = 0; i < count; i++) {
		if (!error_in(held[i]))
			handle_put(held[i]);
		/* revents only: fd numbers of the host are nobody's business */
		uint64_t at = a[0] + i * sizeof fds[0] + offsetof(struct pollfd, revents);
		if (r >= 0 && user_out(t->cvm, (struct gaddr){ at }, &fds[i].revents, sizeof fds[i].revents))
			r = -EFAULT;
	}
	return r;
}

long hc_epoll_ctl(struct thread *t, const uint64_t *a)
{
	struct epoll_event event = { .events = (uint32_t)a[3] & ~(uint32_t)EPOLLWAKEUP, .data = a[4] };
	struct handle *ep PINNED = handle_get(t, a[0], HANDLE_EPOLL);
	struct handle *h PINNED = error_in(ep) ? ep : handle_get(t, a[2], POLLABLE);

	return error_in(h) ?: host(__NR_epoll_ctl, ep->fd, a[1], h->fd, &event);
}
