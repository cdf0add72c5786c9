/*
 * Random calls of syscalls_guest.c, which includes this, on what waits and what wakes: signal masks of waiting calls, signals with
 * values, epoll's modes, epolls inside epolls, timers that have run out, pidfds, packets in pipes, POSIX message queues.
 */
#ifndef TESTS_FUZZ_SYSCALLS_EVENTS_H
#define TESTS_FUZZ_SYSCALLS_EVENTS_H

#include <mqueue.h>
#include <sys/epoll.h>
#include <sys/select.h>

static void some_signals(sigset_t *set)
{
	sigemptyset(set);
	for (unsigned i = below(4); i; i--)
		sigaddset(set, signal_number());
	show_set(set);
}

/* Calls that put another mask in place while they wait; none waits here, unless a signal that is pending ends it. */
static void do_masked(void)
{
	struct timespec zero = { 0, 0 };
	struct epoll_event events[4];
	sigset_t set, pending, blocked;
	int n = fd();

	if (kept(n))
		return;
	switch (below(5)) {
	case 0: {
		struct pollfd p = { n, POLLIN, 0 };
		say("ppoll %d", n);
		some_signals(&set);
		result(ppoll(&p, 1, &zero, &set));
		break;
	}
	case 1: {
		fd_set in;
		FD_ZERO(&in);
		if (n >= 0 && n < 64)
			FD_SET(n, &in);
		say("pselect %d", n);
		some_signals(&set);
		result(pselect(n >= 0 && n < 64 ? n + 1 : 0, &in, NULL, NULL, &zero, &set));
		break;
	}
	case 2:
		say("epoll_pwait %d", n);
		some_signals(&set);
		result(epoll_pwait(n, events, 4, 0, &set));
		break;
	case 3: /* only if it ends at once */
		say("sigsuspend");
		some_signals(&set);
		sigpending(&pending);
		for (int i = 1; i <= 64; i++)
			if (sigismember(&pending, i) > 0 && sigismember(&set, i) == 0 && (i == SIGUSR1 || i == SIGUSR2 || i == SIGALRM)) {
				struct sigaction action;
				sigaction(i, NULL, &action);
				if (action.sa_flags & SA_SIGINFO) {
					result(sigsuspend(&set));
					break;
				}
			}
		break;
	default: {
		struct sigaction action;
		int number = signal_number();
		siginfo_t info = { .si_code = (int)ONE_OF(SI_QUEUE, SI_USER, SI_TKILL, -60, SI_TIMER, 5) };
		info.si_value.sival_int = (int)below(100);
		if (g_is_child && info.si_code == SI_TIMER) /* Linux's execve takes it for its own */
			info.si_code = SI_QUEUE;
		sigaction(number, NULL, &action);
		sigprocmask(SIG_BLOCK, NULL, &blocked);
		if (!(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_DFL && number != SIGCHLD && number != SIGWINCH)
			return;
		bool thread = rarely(2);
		say("%s %d code %d", thread ? "tgsigqueueinfo" : "sigqueueinfo", number, info.si_code);
		result(thread ? syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), number, &info) : syscall(SYS_rt_sigqueueinfo, getpid(), number, &info));
	}
	}
}

static void do_epoll_more(void)
{
	struct epoll_event events[16];
	int ep = fd(), n = fd();

	if (kept(ep) || kept(n))
		return;
	if (rarely(2)) {
		wait_for_events(ep);
		return;
	}
	int operation = (int)ONE_OF(EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL);
	events[0].events = (uint32_t)ONE_OF(EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT) | (uint32_t)ONE_OF(EPOLLET, EPOLLET, EPOLLONESHOT, EPOLLET | EPOLLONESHOT, EPOLLEXCLUSIVE, EPOLLEXCLUSIVE | EPOLLONESHOT, EPOLLWAKEUP);
	events[0].data.u64 = (uint64_t)n;
	if (events[0].events & EPOLLET && is_kind(n, S_IFSOCK)) /* memory that Linux gives back, even of a send that failed, is an edge */
		events[0].events &= ~(uint32_t)EPOLLOUT;
	say("epoll_ctl %d %d %d %x", ep, operation, n, events[0].events);
	result(epoll_ctl(ep, operation, n, &events[0]));
}

static void do_sources(void)
{
	int n = fd();
	uint64_t value = 0;

	if (kept(n))
		return;
	switch (below(8)) {
	case 0: { /* over before it is read */
		struct itimerspec t = { { 0, 0 }, { 0, 1 } };
		int timer = timerfd_create((int)ONE_OF(CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME), TFD_NONBLOCK), flags = (int)ONE_OF(0, TFD_TIMER_ABSTIME);
		say("timer that ran out");
		result(timerfd_settime(timer, flags, &t, NULL));
		poll(&(struct pollfd){ timer, POLLIN, 0 }, 1, -1);
		opened(timer);
		break;
	}
	case 1: {
		size_t size = (size_t)ONE_OF(8, 8, 4, 16);
		say("read %d %zu", n, size);
		memset(g_buffer, 0x12, 32);
		if (result(read(n, g_buffer, size)) > 0)
			say(" #%x", hash(g_buffer, 32));
		break;
	}
	case 2:
		value = (uint64_t)ONE_OF(0, 1, -1, -2);
		memset(g_buffer, 0, 16);
		memcpy(g_buffer, &value, sizeof value);
		say("write %d %lld", n, (long long)value);
		result(write(n, g_buffer, (size_t)ONE_OF(8, 8, 4, 9)));
		break;
	case 3: {
		unsigned flags = (unsigned)ONE_OF(EFD_NONBLOCK, EFD_NONBLOCK | EFD_SEMAPHORE | EFD_CLOEXEC, 2);
		say("eventfd2 %x", flags);
		opened(eventfd(below(3), (int)flags));
		break;
	}
	case 4: {
		int pair[2] = { -1, -1 }, flags = O_NONBLOCK | (int)ONE_OF(0, O_CLOEXEC, 1);
		say("pipe2 %o", (unsigned)flags);
		if (result(pipe2(pair, flags)) == 0)
			say(" %d %d %o %o", pair[0], pair[1], (unsigned)fcntl(pair[0], F_GETFL), (unsigned)fcntl(pair[1], F_GETFL));
		beyond(pair);
		break;
	}
	case 5: {
		unsigned flags = (unsigned)ONE_OF(0, O_NONBLOCK, 1);
		pid_t who = (pid_t)(rarely(4) ? ONE_OF(0, -1, 99999999) : getpid());
		say("pidfd_open %s %x", who == getpid() ? "me" : "other", flags);
		int pidfd = (int)syscall(SYS_pidfd_open, who, flags), number = (int)ONE_OF(0, 0, 65, -1);
		result(pidfd);
		if (pidfd < 0)
			break;
		say(" signal %d", number);
		result(syscall(SYS_pidfd_send_signal, pidfd, number, NULL, (long)ONE_OF(0, 0, 1 << 20)));
		close(pidfd); /* what kind of file it is, is a matter of versions */
		break;
	}
	case 6:
		say("pidfd_send_signal %d", n);
		result(syscall(SYS_pidfd_send_signal, n, 0, NULL, 0));
		break;
	default: {
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, signal_number());
		say("signalfd %d", n);
		show_set(&set);
		result(signalfd(n, &set, rarely(6) ? 1 : SFD_NONBLOCK));
	}
	}
}

/* POSIX message queues: descriptors as all others. */

static const char *queue_name(void)
{
	return rarely(15) ? WORD_OF("/", "", "noslash", "/a/b") : WORD_OF("/q1", "/q2", "/q3");
}

static void queue_open(void)
{
	struct mq_attr attr = { .mq_maxmsg = ONE_OF(3, 3, 5, 1, 0, -1), .mq_msgsize = ONE_OF(40, 40, 8, 0, -1) };
	const char *name = queue_name();
	int flags = (int)ONE_OF(O_RDONLY, O_WRONLY, O_RDWR, O_RDWR) | (int)ONE_OF(O_CREAT, O_CREAT, O_CREAT | O_EXCL, 0) | O_NONBLOCK | (int)ONE_OF(0, 0, O_CLOEXEC);

	say("mq_open %s %o %ld %ld", name, (unsigned)flags, attr.mq_maxmsg, attr.mq_msgsize);
	opened(syscall(SYS_mq_open, name[0] == '/' ? name + 1 : name, flags, 0600, &attr));
}

static void do_queue(void)
{
	struct timespec when = { ONE_OF(0, 0, -1), rarely(10) ? 1000000000 : 0 };
	unsigned priority = (unsigned)ONE_OF(0, 1, 2, 2, 31, 32767, 32768);
	size_t size = (size_t)ONE_OF(0, 8, 20, 40, 40, 41, 8192);
	int n = fd();

	if (kept(n))
		return;
	switch (below(8)) {
	case 0:
		queue_open();
		break;
	case 1: {
		const char *name = queue_name();
		say("mq_unlink %s", name);
		result(syscall(SYS_mq_unlink, name[0] == '/' ? name + 1 : name));
		break;
	}
	case 2:
	case 3:
		fill(40);
		say("mq_timedsend %d %zu %u", n, size, priority);
		result(syscall(SYS_mq_timedsend, n, rarely(30) ? g_guard : g_buffer, size, priority, rarely(2) ? &when : NULL));
		break;
	case 4:
	case 5: {
		unsigned got = 77;
		memset(g_buffer, 0x19, 100);
		say("mq_timedreceive %d %zu", n, size);
		if (result(syscall(SYS_mq_timedreceive, n, g_buffer, size, &got, rarely(2) ? &when : NULL)) >= 0)
			say(" #%x priority %u", hash(g_buffer, 100), got);
		break;
	}
	case 6: {
		struct mq_attr attr = { .mq_flags = ONE_OF(O_NONBLOCK, O_NONBLOCK, O_NONBLOCK | 1), .mq_maxmsg = 99 }, old = { 0 };
		bool set = rarely(2);
		say("mq_getsetattr %d %lx", n, set ? (unsigned long)attr.mq_flags : 0);
		if (result(syscall(SYS_mq_getsetattr, n, set ? &attr : NULL, &old)) == 0)
			say(" %lo %ld %ld %ld", old.mq_flags, old.mq_maxmsg, old.mq_msgsize, old.mq_curmsgs);
		break;
	}
	default: {
		struct sigevent event = { .sigev_notify = (int)ONE_OF(SIGEV_NONE, SIGEV_SIGNAL, SIGEV_SIGNAL, 9), .sigev_signo = (int)ONE_OF(SIGUSR1, SIGUSR2, 0, 65) };
		bool set = !rarely(4);
		say("mq_notify %d %s %d %d", n, set ? "set" : "none", event.sigev_notify, event.sigev_signo);
		result(syscall(SYS_mq_notify, n, set ? &event : NULL));
	}
	}
}

#endif
