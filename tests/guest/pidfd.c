/*
 * A pidfd of the process itself: what it names, readiness, signals sent by it, errors.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t g_code, g_value, g_sender;

static void say(const char *what, long r)
{
	printf("%s: %ld%s%s\n", what, r, r < 0 ? " " : "", r < 0 ? strerrorname_np(errno) : "");
}

static long open_pid(int pid, unsigned flags)
{
	return syscall(SYS_pidfd_open, pid, flags);
}

static long send(int fd, int sig, siginfo_t *info, unsigned flags)
{
	return syscall(SYS_pidfd_send_signal, fd, sig, info, flags);
}

static void caught(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	g_code = info->si_code;
	g_value = info->si_value.sival_int;
	g_sender = info->si_pid == getpid();
}

static void *in_thread(void *arg)
{
	(void)arg;
	printf("a thread %s\n", open_pid(gettid(), 0) < 0 ? "is refused" : "has one"); /* ENOENT since Linux 6.15 */
	return NULL;
}

static void errors(int fd)
{
	int other = open("/dev/null", O_RDONLY);
	siginfo_t info = { .si_signo = SIGUSR2, .si_code = SI_QUEUE };
	pthread_t t;

	say("pid 0", open_pid(0, 0));
	say("pid -1", open_pid(-1, 0));
	say("nobody", open_pid(0x3fffff, 0));
	say("bad flags", open_pid(getpid(), 1));
	pthread_create(&t, NULL, in_thread, NULL);
	pthread_join(t, NULL);
	say("another file", send(other, 0, NULL, 0));
	say("no file", send(999, 0, NULL, 0));
	say("flags before files", send(999, 0, NULL, 8));
	say("two flags", send(fd, 0, NULL, 3));
	say("signal -1", send(fd, -1, NULL, 0));
	say("signal 65", send(fd, 65, NULL, 0));
	say("another signal in the information", send(fd, SIGUSR1, &info, 0));
	say("bad information", send(fd, SIGUSR1, (void *)8, 0));
	close(other);
}

static void signals(int fd)
{
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };
	siginfo_t info = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };

	sigaction(SIGUSR1, &action, NULL);
	say("signal 0", send(fd, 0, NULL, 0));
	say("signal", send(fd, SIGUSR1, NULL, 0));
	printf("code %d from us %d\n", g_code, g_sender);
	info.si_value.sival_int = 42;
	info.si_pid = getpid();
	say("with information", send(fd, SIGUSR1, &info, 0));
	printf("code %d value %d\n", g_code, g_value);
	for (unsigned flags = 1; flags <= 4; flags *= 2) {
		if (flags == 4)
			setpgid(0, 0); /* nobody else is in the group */
		g_code = 99;
		say("to a thread, the process, its group", send(fd, SIGUSR1, NULL, flags));
		printf("code %d\n", g_code);
	}
}

int main(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	char name[64] = "", byte;
	long fd = open_pid(getpid(), O_NONBLOCK);
	struct pollfd p = { (int)fd, POLLIN | POLLOUT, 0 };
	int e = epoll_create1(0);

	setvbuf(stdout, NULL, _IONBF, 0);
	printf("open %d flags %#x cloexec %d\n", fd >= 0, fcntl(p.fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), fcntl(p.fd, F_GETFD));
	snprintf(name, sizeof name, "/proc/self/fd/%ld", fd);
	byte = 0;
	name[readlink(name, name, sizeof name - 1)] = byte;
	printf("is %s\n", name);
	say("poll", poll(&p, 1, 10));
	say("watch", epoll_ctl(e, EPOLL_CTL_ADD, p.fd, &event));
	say("wait", epoll_wait(e, &event, 1, 10));
	say("read", read(p.fd, &byte, 1));
	say("write", write(p.fd, "x", 1));
	errors(p.fd);
	signals(p.fd);
	send(p.fd, SIGTERM, NULL, 0);
	puts("not reached");
}
