/*
 * Signals between processes: kill by process, group and not at all, what SIGCHLD tells, children that stop and go on, groups
 * and sessions, values, threads of others, the signal at the parent's death, pidfds of children.
 * Build: gcc musl-static
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "process.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

static int g_to[2], g_from[2]; /* of the children; they write a byte when they are ready */
static char *g_in, *g_out;

static pid_t ready(const char *role, const char *word)
{
	pid_t pid = start(role, g_in, g_out, word, NULL);

	if (pid > 0 && hear(g_from[0]) != 1)
		say("child is not ready", -1);
	return pid;
}

static const char *code_name(int code)
{
	static const char *const names[] = { "0", "exited", "killed", "dumped", "trapped", "stopped", "continued" };

	return code < 0 || code > 6 ? "?" : names[code];
}

/* The next SIGCHLD, which is blocked. */
static void told(const char *what, pid_t pid)
{
	struct timespec limit = { 60, 0 };
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sigtimedwait(&set, &info, &limit) != SIGCHLD)
		say(what, -1);
	else
		printf("%s: SIGCHLD: %s %d, of it %d, user %d\n", what, code_name(info.si_code), info.si_status, info.si_pid == pid,
		       info.si_uid == getuid());
}

static int pending(int sig)
{
	sigset_t set;

	sigpending(&set);
	return sigismember(&set, sig);
}

/* Where two come after one another it depends on when this runs whether one or two are seen. */
static void no_more_news(void)
{
	struct timespec now = { 0, 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	while (sigtimedwait(&set, NULL, &now) == SIGCHLD)
		;
}

static void by_pid(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGPOLL, SIGVTALRM, SIGPROF, SIGSTKFLT, SIGPWR, 34, 64, SIGKILL };
	static const int nothing[] = { SIGCHLD, SIGURG, SIGWINCH, SIGCONT, 0 };
	char name[30];
	pid_t pid;

	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
		snprintf(name, sizeof name, "signal %d", signals[i]);
		pid = ready("sleep", "");
		if (kill(pid, signals[i]))
			say(name, -1);
		told(name, pid);
		reap(name, pid);
	}
	pid = ready("hear", "");
	for (unsigned i = 0; i < sizeof nothing / sizeof *nothing; i++)
		say("a signal that does nothing", kill(pid, nothing[i]));
	say("signal 65", kill(pid, 65));
	say("signal -1", kill(pid, -1));
	tell(g_to[1]);
	told("not disturbed", pid);
	reap("not disturbed", pid);
	say("nobody", kill(0x7fffffff, SIGTERM));
	say("no group", kill(-0x7fffffff, SIGTERM));
	say("INT_MIN", kill((int)0x80000000, 0));
	pid = ready("ignore", "");
	kill(pid, SIGTERM);
	kill(pid, SIGHUP);
	tell(g_to[1]);
	told("ignores", pid);
	reap("ignores", pid);
	pid = ready("catch", "");
	kill(pid, SIGTERM);
	told("catches", pid);
	reap("catches", pid);
}

/* What a child that printed something was sent. */
static void heard(const char *what, long ret)
{
	hear(g_from[0]);
	say(what, ret);
}

static void values(void)
{
	union sigval value = { .sival_int = 4711 };
	siginfo_t info = { .si_signo = SIGUSR1, .si_code = SI_USER };
	pid_t pid = ready("value", "");

	heard("sigqueue", sigqueue(pid, SIGUSR1, value));
	say("of the kernel", syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info));
	info.si_code = SI_TKILL;
	say("of tkill", syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info));
	heard("tgkill", syscall(SYS_tgkill, pid, pid, SIGUSR1));
	heard("tkill", syscall(SYS_tkill, pid, SIGUSR1));
	say("a thread of another", syscall(SYS_tgkill, getpid(), pid, SIGUSR1));
	heard("kill", kill(pid, SIGUSR1));
	info.si_code = SI_QUEUE;
	info.si_value.sival_int = 12;
	heard("to its thread", syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGUSR1, &info));
	kill(pid, SIGKILL);
	told("value", pid);
	reap("value", pid);
}

static void stops(void)
{
	siginfo_t info;
	int status;
	pid_t pid = ready("hear", "own");

	kill(pid, SIGSTOP);
	told("stopped", pid);
	say("only ended ones", waitpid(pid, &status, WNOHANG));
	memset(&info, 0, sizeof info);
	say("looked at", waitid(P_PID, pid, &info, WSTOPPED | WNOWAIT));
	printf("%s %d\n", code_name(info.si_code), info.si_status);
	printf("WUNTRACED %d", waitpid(pid, &status, WUNTRACED) == pid);
	say_status("", status);
	say("reported once", waitpid(pid, &status, WUNTRACED | WNOHANG));
	kill(pid, SIGSTOP);
	printf("stopping what stands is no news %d\n", !pending(SIGCHLD));
	kill(pid, SIGCONT);
	told("continued", pid);
	memset(&info, 0, sizeof info);
	say("WCONTINUED", waitid(P_PID, pid, &info, WCONTINUED));
	printf("%s %d\n", code_name(info.si_code), info.si_status);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	told("stopped", pid);
	kill(pid, SIGUSR2);
	say("a signal waits with it", waitpid(pid, &status, WNOHANG));
	printf("no news %d\n", !pending(SIGCHLD));
	kill(pid, SIGCONT);
	reap("then it comes", pid);
	no_more_news();
}

static void stopped_by_terminal(void)
{
	static const int stop[] = { SIGTSTP, SIGTTIN, SIGTTOU };
	int status;

	for (int i = 0; i < 3; i++) {
		pid_t pid = ready("hear", "own");

		kill(pid, stop[i]);
		printf("%d ", waitpid(pid, &status, WUNTRACED) == pid);
		say_status("stopped by the terminal", status);
		kill(pid, SIGCONT);
		printf("%d ", waitpid(pid, &status, WCONTINUED) == pid);
		say_status("", status);
		kill(pid, stop[i]);
		printf("%d ", waitpid(pid, &status, WUNTRACED) == pid);
		say_status("again", status);
		kill(pid, SIGKILL);
		reap("killed where it stands", pid);
		while (pending(SIGCHLD))
			told("at last", pid);
	}
}

static void orphaned_group(void)
{
	int status;
	pid_t pid = ready("hear", "session"); /* nobody could continue it */

	kill(pid, SIGTSTP);
	kill(pid, SIGTTIN);
	tell(g_to[1]);
	reap("orphaned group", pid);
	told("orphaned group", pid);
	pid = ready("hear", "session");
	kill(pid, SIGSTOP);
	printf("%d ", waitpid(pid, &status, WUNTRACED) == pid);
	say_status("SIGSTOP holds there too", status);
	kill(pid, SIGCONT);
	tell(g_to[1]);
	reap("and goes on", pid);
	told("last news", pid);
}

static void stopped_in_its_own_code(void)
{
	int status;
	pid_t pid = ready("catch-continue", "own"); /* its handler runs when it goes on */

	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	kill(pid, SIGCONT);
	hear(g_from[0]);
	tell(g_to[1]);
	reap("continued by its handler", pid);
	pid = ready("stops-itself", "own");
	printf("%d ", waitpid(pid, &status, WUNTRACED) == pid);
	say_status("all its threads", status);
	kill(pid, SIGCONT);
	reap("stopped itself", pid);
	while (pending(SIGCHLD))
		told("left over", pid);
}

static void no_news_of_stops(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP };
	int status;
	pid_t pid;

	sigaction(SIGCHLD, &action, NULL);
	pid = ready("hear", "own");
	kill(pid, SIGSTOP);
	printf("%d ", waitpid(pid, &status, WUNTRACED) == pid);
	say_status("SA_NOCLDSTOP", status);
	kill(pid, SIGCONT);
	printf("%d told %d\n", waitpid(pid, &status, WCONTINUED) == pid, pending(SIGCHLD));
	tell(g_to[1]);
	told("its end", pid);
	reap("its end", pid);
	action.sa_flags = 0;
	sigaction(SIGCHLD, &action, NULL);
}

/* A child that joins a group before it is another program. */
static pid_t joins(pid_t group)
{
	pid_t pid = vfork();

	if (!pid) {
		if (setpgid(0, group))
			_exit(99);
		execl(g_self, g_self, "sleep", g_in, g_out, "", NULL);
		_exit(126);
	}
	return pid;
}

static void groups(void)
{
	int status, ended = 0, killed = 0;
	pid_t pid[4];

	pid[0] = ready("sleep", "own");
	printf("leads its group %d, not its session %d\n", getpgid(pid[0]) == pid[0], getsid(pid[0]) == getsid(0));
	say("after exec it is too late", setpgid(pid[0], 0));
	say("not a child", setpgid(getppid(), 0));
	say("nobody", setpgid(0x3fffff, 0));
	say("a leader of a session", setpgid(0, 0));
	say("a group of nobody", setpgid(0, 0x3fffff));
	say("group -1", setpgid(0, -1));
	say("pid -1", setpgid(-1, 0));
	say("nobody's group", getpgid(0x3fffff));
	say("nobody's session", getsid(0x3fffff));
	for (int i = 1; i < 4; i++) {
		pid[i] = joins(i < 3 ? pid[0] : 0);
		hear(g_from[0]);
	}
	printf("groups %d %d %d\n", getpgid(pid[1]) == pid[0], getpgid(pid[2]) == pid[0], getpgid(pid[3]) == pid[3]);
	say("to the group", kill(-pid[0], SIGUSR1));
	for (int i = 0; i < 3; i++) {
		pid_t got = waitpid(-pid[0], &status, 0);
		killed += got > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1;
	}
	printf("killed %d\n", killed);
	say("the group is gone", kill(-pid[0], 0));
	say("the other stands", waitpid(pid[3], &status, WNOHANG));
	kill(pid[3], SIGTERM);
	reap("the other", pid[3]);
	while (pending(SIGCHLD))
		told("of the group", -1);

	pid[0] = ready("session", "");
	printf("a session of its own %d %d\n", getsid(pid[0]) == pid[0], getpgid(pid[0]) == pid[0]);
	say("is not moved", setpgid(pid[0], getpgrp()));
	tell(g_to[1]);
	reap("session", pid[0]);
	told("session", pid[0]);

	struct sigaction ignore = { .sa_handler = SIG_IGN }, was; /* kill(0) reaches the caller too */
	sigaction(SIGUSR1, &ignore, &was);
	for (int i = 0; i < 3; i++)
		pid[i] = ready("default", "");
	say("to the own group", kill(0, SIGUSR1));
	for (int i = 0; i < 3; i++)
		ended += waitpid(pid[i], &status, 0) == pid[i] && WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1;
	printf("ended %d\n", ended);
	sigaction(SIGUSR1, &was, NULL);
	while (pending(SIGCHLD))
		told("of the own group", -1);
}

/* A child that is to get a signal when its parent ends, which is a child of ours. */
static void parent_death(void)
{
	static const char *const how[] = { "exit", "exec", "lost" };
	pid_t middle, child;

	for (int i = 0; i < 3; i++) {
		middle = start("pdeath", g_in, g_out, how[i], NULL);
		if (read(g_from[0], &child, sizeof child) != sizeof child)
			say("read", -1);
		if (i == 1) { /* the parent is another program and lives on */
			hear(g_from[0]);
			say("lives", kill(child, 0));
			tell(g_to[1]);
		}
		reap("parent", middle);
		if (i == 2)
			tell(g_to[1]);
		reap(how[i], child);
	}
	no_more_news();
}

static int silent(void *arg)
{
	syscall(SYS_exit, (int)(long)arg);
	return 0;
}

static void pidfds(void)
{
	static char stack[16384] __attribute__((aligned(16)));
	siginfo_t info;
	pid_t pid = ready("hear", "");
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), made = -1;
	struct pollfd p = { fd, POLLIN, 0 };
	struct epoll_event event = { .events = EPOLLIN };
	int e = epoll_create1(EPOLL_CLOEXEC);

	say("watched", epoll_ctl(e, EPOLL_CTL_ADD, fd, &event));
	say("running", poll(&p, 1, 0));
	say("running", waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG));
	say("signal 0", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	tell(g_to[1]);
	say("ended", poll(&p, 1, 60000));
	printf("events %#x\n", p.revents);
	say("and told", epoll_wait(e, &event, 1, 60000));
	say("a zombie", syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
	say("by its pidfd", waitid(P_PIDFD, fd, &info, WEXITED));
	printf("%s %d\n", code_name(info.si_code), info.si_status);
	say("gone", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	say("gone", waitid(P_PIDFD, fd, &info, WEXITED));
	say("still ready", poll(&p, 1, 0));
	say("nobody's", syscall(SYS_pidfd_open, pid, 0));
	close(fd);
	told("pidfd", pid);

	pid = ready("sleep", "");
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	say("by pidfd", syscall(SYS_pidfd_send_signal, fd, SIGUSR2, NULL, 0));
	reap("by pidfd", pid);
	told("by pidfd", pid);
	close(fd);

	pid = clone(silent, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, (void *)5, &made);
	printf("CLONE_PIDFD %d, closed at exec %d\n", pid > 0 && made > 2, fcntl(made, F_GETFD));
	p.fd = made;
	say("ready", poll(&p, 1, 60000));
	say("waited", waitid(P_PIDFD, made, &info, WEXITED));
	printf("%s %d of it %d\n", code_name(info.si_code), info.si_status, info.si_pid == pid);
	told("cloned", pid);
	close(made);
	close(e);

	pid = ready("hear", "");
	fd = (int)syscall(SYS_pidfd_open, pid, O_NONBLOCK);
	p.fd = fd;
	say("does not wait", waitid(P_PIDFD, fd, &info, WEXITED));
	kill(pid, SIGKILL);
	poll(&p, 1, 60000);
	say("needs not wait", waitid(P_PIDFD, fd, &info, WEXITED));
	printf("%s %d\n", code_name(info.si_code), info.si_status);
	told("not waiting", pid);
	close(fd);
}

/* SIGCHLD through a descriptor. */
static void by_descriptor(void)
{
	struct signalfd_siginfo info;
	sigset_t set;
	int fd;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	pid = ready("sleep", "");
	kill(pid, SIGTERM);
	printf("read %ld", (long)read(fd, &info, sizeof info));
	printf(", signal %d, %s %d, of it %d\n", info.ssi_signo, code_name(info.ssi_code), info.ssi_status, (pid_t)info.ssi_pid == pid);
	reap("by descriptor", pid);
	close(fd);
}

static volatile sig_atomic_t g_reaped;

static void reaps(int sig)
{
	int was = errno;

	(void)sig;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		g_reaped++;
	errno = was;
}

/* Many at once: SIGCHLD does not queue, but none is lost to who waits in a loop. */
static void many(void)
{
	struct sigaction action = { .sa_handler = reaps, .sa_flags = SA_RESTART };
	sigset_t set, was;

	sigaction(SIGCHLD, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_UNBLOCK, &set, &was);
	for (int i = 0; i < 60; i++)
		start("exit", NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigemptyset(&set);
	while (g_reaped < 60)
		sigsuspend(&set);
	printf("reaped %d\n", g_reaped);
	sigprocmask(SIG_SETMASK, &was, NULL);
	signal(SIGCHLD, SIG_DFL);
}

static void tests(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	new_pipe(g_to);
	new_pipe(g_from);
	g_in = keep(g_to[0]), g_out = keep(g_from[1]);
	by_pid();
	values();
	stops();
	stopped_by_terminal();
	orphaned_group();
	stopped_in_its_own_code();
	no_news_of_stops();
	groups();
	parent_death();
	pidfds();
	by_descriptor();
	many();
	say("nobody left", waitpid(-1, NULL, 0));
}

/* What the children do: role, descriptors to read and write, a word. */

static int g_write;

static void caught(int sig)
{
	_exit(sig + 100);
}

static void goes_on(int sig)
{
	(void)sig;
	tell(g_write);
}

static void with_value(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	printf("got code %d from the parent %d, value %d\n", info->si_code, info->si_pid == getppid(), info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
	tell(g_write);
}

static void *spins(void *count)
{
	for (;;)
		++*(volatile long *)count;
	return NULL;
}

/* --- what children do: argv is role, pipe end to hear, pipe end to tell, and a word that says more --- */

static int until_heard(char **argv, int otherwise)
{
	tell(g_write);
	return hear(atoi(argv[2])) == 1 ? otherwise - 1 : otherwise;
}

_Noreturn static void tells_and_waits(void)
{
	tell(g_write);
	for (;;)
		pause();
}

static int sleeps(char **argv)
{
	(void)argv;
	signal(SIGUSR1, SIG_DFL);
	tells_and_waits();
}

static int hears(char **argv)
{
	return until_heard(argv, 31);
}

static int ignores(char **argv)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	return until_heard(argv, 33);
}

static int catches(char **argv)
{
	(void)argv;
	signal(SIGTERM, caught);
	tells_and_waits();
}

static int catches_continue(char **argv)
{
	signal(SIGCONT, goes_on);
	return until_heard(argv, 35);
}

static int catches_value(char **argv)
{
	struct sigaction action = { .sa_sigaction = with_value, .sa_flags = SA_SIGINFO };

	(void)argv;
	sigaction(SIGUSR1, &action, NULL);
	tells_and_waits();
}

static int stops_itself(char **argv)
{
	static long count;
	long stood;
	pthread_t thread;

	(void)argv;
	pthread_create(&thread, NULL, spins, &count);
	while (!*(volatile long *)&count)
		sched_yield();
	tell(g_write);
	raise(SIGSTOP);
	stood = *(volatile long *)&count;
	while (*(volatile long *)&count == stood)
		sched_yield();
	return 36;
}

/* Starts the child that dies of its parent's end. */
static int starts_dependant(char **argv)
{
	int ends[2];
	pid_t pid;

	new_pipe(ends);
	pid = start("dies-with", argv[2], argv[3], argv[4], keep(ends[1]), NULL);
	hear(ends[0]);
	close(ends[0]);
	close(ends[1]);
	if (write(g_write, &pid, sizeof pid) != sizeof pid)
		say("write", -1);
	if (!strcmp(argv[4], "exec"))
		execl(g_self, g_self, "hear", argv[2], argv[3], "", NULL);
	return 37;
}

static int dies_with_parent(char **argv)
{
	bool lost = !strcmp(argv[4], "lost");
	int sig = 0;

	prctl(PR_SET_PDEATHSIG, lost ? SIGUSR2 : SIGTERM);
	prctl(PR_GET_PDEATHSIG, &sig);
	printf("dies by %d\n", sig);
	if (lost)
		prctl(PR_SET_PDEATHSIG, 0);
	tell(atoi(argv[5]));
	if (lost)
		return hear(atoi(argv[2])) == 1 ? 38 : 39;
	for (;;)
		pause();
}

static const struct {
	const char *name;
	int (*play)(char **argv);
} g_roles[] = {
	{ "sleep", sleeps }, { "default", sleeps }, { "hear", hears }, { "session", hears }, { "ignore", ignores }, { "catch", catches },
	{ "catch-continue", catches_continue }, { "value", catches_value }, { "stops-itself", stops_itself },
	{ "pdeath", starts_dependant }, { "dies-with", dies_with_parent },
};

static int role(char **argv)
{
	sigset_t none;

	if (!strcmp(argv[1], "exit")) /* with no other words */
		return 0;
	g_write = atoi(argv[3]);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!strcmp(argv[4], "own"))
		setpgid(0, 0);
	if (!strcmp(argv[4], "session") || !strcmp(argv[1], "session"))
		setsid();
	for (size_t i = 0; i < sizeof g_roles / sizeof g_roles[0]; i++)
		if (!strcmp(argv[1], g_roles[i].name))
			return g_roles[i].play(argv);
	return 1;
}

int main(int argc, char **argv)
{
	return play(argc, argv, role, tests);
}
