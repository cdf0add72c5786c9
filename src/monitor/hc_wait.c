/*
 * Waiting hostcalls: poll, epoll, eventfd, timerfd, pipes, on host descriptors. Readiness data of epoll goes straight
 * to and from the cVM: it is only the caller's own.
 */
#include <linux/eventpoll.h>
#include <asm/poll.h>
#include <linux/fcntl.h>

#include "host/syscall.h"
#include "monitor/hostcalls.h"

#define POLLABLE                                                                                                      \
	(HANDLE_FILE | HANDLE_STDIO | HANDLE_SOCKET | HANDLE_EPOLL | HANDLE_EVENTFD | HANDLE_TIMERFD | HANDLE_PIPE |    \
	 HANDLE_MEMOBJ | HANDLE_DIR)
#define RIGHTS_ALL (LAUNCH_RIGHT_READ | LAUNCH_RIGHT_WRITE)

/* Nanoseconds to the milliseconds of poll and epoll_wait, rounded up; -1 stays. */
static long to_ms(uint64_t ns)
{
	if ((int64_t)ns < 0)
		return -1;
	uint64_t ms = ns / 1000000 + (ns % 1000000 != 0);
	return ms > 0x7fffffff ? 0x7fffffff : (long)ms;
}

long hc_poll(struct thread *t, const uint64_t *a)
{
	struct pollfd fds[HC_POLL_MAX];
	struct handle *held[HC_POLL_MAX];
	uint64_t count = a[1];
	int error;
	long r = 0;

	if (count > HC_POLL_MAX)
		return -EINVAL_;
	if (user_in(t->cvm, fds, (struct gaddr){ a[0] }, count * sizeof fds[0]))
		return -EFAULT_;
	for (uint64_t i = 0; i < count; i++) {
		held[i] = fds[i].fd < 0 ? NULL : handle_get(t, (uint64_t)fds[i].fd, POLLABLE, &error);
		/* a number that no descriptor has: poll answers POLLNVAL */
		fds[i].fd = held[i] ? held[i]->fd : fds[i].fd < 0 ? -1 : 0x7fffffff;
	}
	r = host_blocking(__NR_poll, fds, count, to_ms(a[2]));
	for (uint64_t i = 0; i < count; i++) {
		if (held[i])
			handle_put(t->cvm, held[i]);
		/* revents only: fd numbers of the host are nobody's business */
		uint64_t at = a[0] + i * sizeof fds[0] + offsetof(struct pollfd, revents);
		if (r >= 0 && user_out(t->cvm, (struct gaddr){ at }, &fds[i].revents, sizeof fds[i].revents))
			r = -EFAULT_;
	}
	return r;
}

long hc_epoll_create(struct thread *t, const uint64_t *a)
{
	long fd = host(__NR_epoll_create1, 02000000 /* EPOLL_CLOEXEC */);

	(void)a;
	return fd < 0 ? fd : handle_add(t->cvm, (int)fd, HANDLE_EPOLL, RIGHTS_ALL);
}

long hc_epoll_ctl(struct thread *t, const uint64_t *a)
{
	struct epoll_event event = { .events = (uint32_t)a[3] & ~(uint32_t)EPOLLWAKEUP, .data = a[4] };
	int error;
	struct handle *ep = handle_get(t, a[0], HANDLE_EPOLL, &error);

	if (!ep)
		return error;
	struct handle *h = handle_get(t, a[2], POLLABLE, &error);
	long r = error;
	if (h) {
		r = host(__NR_epoll_ctl, ep->fd, a[1], h->fd, &event);
		handle_put(t->cvm, h);
	}
	handle_put(t->cvm, ep);
	return r;
}

long hc_epoll_wait(struct thread *t, const uint64_t *a)
{
	int error;

	if (!a[2] || a[2] > 4096)
		return -EINVAL_;
	if (!in_slot(t->cvm, (struct gaddr){ a[1] }, a[2] * sizeof(struct epoll_event)))
		return -EFAULT_;
	struct handle *ep = handle_get(t, a[0], HANDLE_EPOLL, &error);
	if (!ep)
		return error;
	long r = host_blocking(__NR_epoll_wait, ep->fd, a[1], a[2], to_ms(a[3]));
	handle_put(t->cvm, ep);
	return r;
}

long hc_eventfd_create(struct thread *t, const uint64_t *a)
{
	if (a[1] & ~(uint64_t)(1 | 04000)) /* EFD_SEMAPHORE, EFD_NONBLOCK */
		return -EINVAL_;
	long fd = host(__NR_eventfd2, (uint32_t)a[0], a[1] | 02000000);
	return fd < 0 ? fd : handle_add(t->cvm, (int)fd, HANDLE_EVENTFD, RIGHTS_ALL);
}

long hc_timerfd_create(struct thread *t, const uint64_t *a)
{
	if ((a[0] != 0 && a[0] != 1 && a[0] != 7) || a[1] & ~04000ull) /* REALTIME, MONOTONIC, BOOTTIME; TFD_NONBLOCK */
		return -EINVAL_;
	long fd = host(__NR_timerfd_create, a[0], a[1] | 02000000);
	return fd < 0 ? fd : handle_add(t->cvm, (int)fd, HANDLE_TIMERFD, RIGHTS_ALL);
}

long hc_timerfd_settime(struct thread *t, const uint64_t *a)
{
	int64_t new_value[4], old_value[4];
	int error;

	if (user_in(t->cvm, new_value, (struct gaddr){ a[2] }, sizeof new_value))
		return -EFAULT_;
	struct handle *h = handle_get(t, a[0], HANDLE_TIMERFD, &error);
	if (!h)
		return error;
	long r = host(__NR_timerfd_settime, h->fd, a[1], new_value, old_value);
	handle_put(t->cvm, h);
	if (r || !a[3])
		return r;
	return user_out(t->cvm, (struct gaddr){ a[3] }, old_value, sizeof old_value);
}

long hc_timerfd_gettime(struct thread *t, const uint64_t *a)
{
	int64_t value[4];
	int error;
	struct handle *h = handle_get(t, a[0], HANDLE_TIMERFD, &error);

	if (!h)
		return error;
	long r = host(__NR_timerfd_gettime, h->fd, value);
	handle_put(t->cvm, h);
	return r ? r : user_out(t->cvm, (struct gaddr){ a[1] }, value, sizeof value);
}

long hc_pipe_create(struct thread *t, const uint64_t *a)
{
	int32_t fds[2], numbers[2];

	if (a[1] & ~(uint64_t)O_NONBLOCK)
		return -EINVAL_;
	if (!in_slot(t->cvm, (struct gaddr){ a[0] }, sizeof numbers))
		return -EFAULT_;
	long r = host(__NR_pipe2, fds, a[1] | O_CLOEXEC);
	if (r)
		return r;
	long first = handle_add(t->cvm, fds[0], HANDLE_PIPE, LAUNCH_RIGHT_READ);
	long second = handle_add(t->cvm, fds[1], HANDLE_PIPE, LAUNCH_RIGHT_WRITE);
	numbers[0] = (int32_t)first;
	numbers[1] = (int32_t)second;
	r = first < 0 ? first : second < 0 ? second : user_out(t->cvm, (struct gaddr){ a[0] }, numbers, sizeof numbers);
	if (r) {
		if (first >= 0)
			r = handle_close(t->cvm, (uint64_t)first) ? -EBADF_ : r;
		if (second >= 0)
			r = handle_close(t->cvm, (uint64_t)second) ? -EBADF_ : r;
	}
	return r;
}
