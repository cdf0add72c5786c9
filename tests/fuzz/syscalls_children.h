/*
 * Random system calls of syscalls_guest.c, which includes this, on children that share its memory: they sleep, end, stop and go on
 * as they are told to; every change is waited for before the next call, so that what can be seen is determined.
 */
#ifndef TESTS_FUZZ_SYSCALLS_CHILDREN_H
#define TESTS_FUZZ_SYSCALLS_CHILDREN_H

#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define CHILDREN 6u
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum child_state { CHILD_NONE, CHILD_RUNS, CHILD_STANDS, CHILD_ENDED };

static struct child {
	pid_t pid; /* 0: none yet; kept when it was waited for */
	enum child_state state;
	uint64_t pending; /* signals that end it, and wait because it stands */
	bool ignores, leads_session;
	int starts_with; /* what it does first */
	atomic_int ready;
	char stack[16384] __attribute__((aligned(16)));
} g_children[CHILDREN];

enum { IN_GROUP, OWN_GROUP, OWN_SESSION, IGNORES, ENDS };

/* Without libc: it would use its parent's thread-local variables. */
static long child_call(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return r;
}

static int child_main(void *arg)
{
	struct child *child = arg;
	struct {
		void (*handler)(int);
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} action = { .handler = SIG_DFL };
	uint64_t none = 0;

	for (int sig = 1; sig <= 64; sig++)
		child_call(SYS_rt_sigaction, sig, (long)&action, 0, 8);
	action.handler = SIG_IGN;
	if (child->starts_with == IGNORES)
		child_call(SYS_rt_sigaction, SIGTERM, (long)&action, 0, 8);
	child_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8);
	if (child->starts_with == OWN_GROUP)
		child_call(SYS_setpgid, 0, 0, 0, 0);
	if (child->starts_with == OWN_SESSION)
		child_call(SYS_setsid, 0, 0, 0, 0);
	if (child->starts_with == ENDS)
		child_call(SYS_exit_group, 77, 0, 0, 0);
	child->ready = 1;
	for (;;)
		child_call(SYS_pause, 0, 0, 0, 0);
	return 0;
}

static const char *child_name(pid_t pid)
{
	static char text[4][12];
	static unsigned turn;

	for (unsigned i = 0; i < CHILDREN; i++)
		if (pid && (g_children[i].pid == pid || g_children[i].pid == -pid)) {
			char *t = text[turn++ % 4];
			snprintf(t, sizeof text[0], "%sc%u", pid < 0 ? "-" : "", i);
			return t;
		}
	if (pid == getpid() || pid == -getpid())
		return pid < 0 ? "-me" : "me";
	return pid == 0 ? "0" : "other";
}

static void child_settle(struct child *child, enum child_state state)
{
	siginfo_t info;
	int what = state == CHILD_ENDED ? WEXITED : state == CHILD_STANDS ? WSTOPPED : WCONTINUED;

	child->state = state;
	if (waitid(P_PID, (id_t)child->pid, &info, what | WNOWAIT))
		say(" unsettled E%d", errno);
}

static void child_start(void)
{
	struct child *child = &g_children[below(CHILDREN)];

	if (child->state != CHILD_NONE)
		return;
	child->starts_with = (int)below(5);
	child->ignores = child->starts_with == IGNORES;
	child->leads_session = child->starts_with == OWN_SESSION;
	child->ready = 0;
	child->pending = 0;
	child->pid = clone(child_main, child->stack + sizeof child->stack, CLONE_VM | SIGCHLD, child);
	say("start %s as %d", child_name(child->pid), child->starts_with);
	if (child->pid < 0) {
		result(child->pid);
		child->pid = 0;
		return;
	}
	if (child->starts_with == ENDS) {
		child_settle(child, CHILD_ENDED);
		return;
	}
	child->state = CHILD_RUNS;
	while (!child->ready)
		sched_yield();
}

/* What the signal does to one of those that it was sent to. */
static void child_signalled(struct child *child, int sig)
{
	bool ends = sig == SIGKILL || sig == SIGUSR1 || sig == SIGRTMIN + 3 || (sig == SIGTERM && !child->ignores);
	bool stops = sig == SIGSTOP || (sig == SIGTSTP && !child->leads_session && getpgid(child->pid) != getpgrp());

	if (child->state == CHILD_ENDED || child->state == CHILD_NONE)
		return;
	if (ends && (child->state == CHILD_RUNS || sig == SIGKILL))
		child_settle(child, CHILD_ENDED);
	else if (ends)
		child->pending |= 1ull << (sig - 1);
	else if (stops && child->state == CHILD_RUNS)
		child_settle(child, CHILD_STANDS);
	else if (sig == SIGCONT && child->state == CHILD_STANDS)
		child_settle(child, child->pending ? CHILD_ENDED : CHILD_RUNS);
}

static struct child *some_child(void)
{
	return &g_children[below(CHILDREN)];
}

/* A process that can be named: a child of any state, one that was waited for, nobody. */
static pid_t some_pid(void)
{
	return rarely(12) ? (pid_t)ONE_OF(0x7fffffff, -0x7fffffff) : some_child()->pid;
}

static void child_kill(void)
{
	struct child *child = some_child();
	int sig = (int)ONE_OF(0, SIGCONT, SIGCONT, SIGSTOP, SIGSTOP, SIGTSTP, SIGTERM, SIGKILL, SIGUSR1, SIGURG, SIGWINCH, SIGRTMIN + 3, 65, -1);
	bool group = rarely(3);
	pid_t pid = child->pid, to = 0;

	if (!pid || child->state == CHILD_NONE) { /* its number may be somebody's by now */
		say("kill %s 0", child_name(pid));
		if (pid)
			result(kill(pid, 0));
		return;
	}
	if (group && (to = getpgid(pid)) == getpgrp())
		return;
	if (sig == SIGTSTP && getpgid(pid) == getpgrp()) /* nobody sees when it was left alone, and it may be moved before */
		return;
	if (group) {
		say("kill group of %s %d", child_name(to), sig);
		result(kill(-to, sig));
	} else if (rarely(3)) {
		say("tgkill %s %d", child_name(pid), sig);
		result(syscall(SYS_tgkill, pid, pid, sig));
	} else if (rarely(3)) {
		siginfo_t info = { .si_signo = sig, .si_code = SI_QUEUE };
		say("sigqueue %s %d", child_name(pid), sig);
		result(syscall(SYS_rt_sigqueueinfo, pid, sig, &info));
	} else {
		say("kill %s %d", child_name(pid), sig);
		result(kill(pid, sig));
	}
	if (sig <= 0 || sig > 64)
		return;
	for (unsigned i = 0; i < CHILDREN; i++)
		if (group ? g_children[i].state != CHILD_NONE && getpgid(g_children[i].pid) == to : g_children + i == child)
			child_signalled(&g_children[i], sig);
}

static void child_gone(pid_t pid)
{
	for (unsigned i = 0; i < CHILDREN; i++)
		if (g_children[i].pid == pid && g_children[i].state == CHILD_ENDED)
			g_children[i].state = CHILD_NONE;
}

static void child_wait4(void)
{
	int status = 0x7777, options = WNOHANG | (int)ONE_OF(0, 0, WUNTRACED, WCONTINUED, WUNTRACED | WCONTINUED, __WALL, __WCLONE, 0x100, WNOWAIT);
	pid_t pid = some_pid();

	if (rarely(2))
		pid = rarely(2) ? -1 : rarely(2) ? 0 : -getpgid(pid);
	if (pid == 1) /* getpgid() failed */
		pid = -0x7fffffff;
	say("wait4 %s %x", pid == -1 ? "any" : child_name(pid), (unsigned)options);
	long r = wait4(pid, &status, options, NULL);
	if (r > 0)
		say(" -> %s %x", child_name((pid_t)r), (unsigned)status);
	else
		result(r);
	if (r > 0 && (WIFEXITED(status) || WIFSIGNALED(status)))
		child_gone((pid_t)r);
}

static void child_waitid(void)
{
	int options = WNOHANG | (int)ONE_OF(0, WEXITED, WEXITED, WSTOPPED, WCONTINUED, WEXITED | WSTOPPED | WCONTINUED) | (int)ONE_OF(0, 0, WNOWAIT, __WALL, 0x100);
	int type = (int)ONE_OF(P_ALL, P_PID, P_PID, P_PGID, 9);
	pid_t id = some_pid();
	siginfo_t info;

	if (type == P_PGID)
		id = rarely(3) ? 0 : getpgid(id);
	memset(&info, 0, sizeof info);
	say("waitid %d %s %x", type, type == P_ALL ? "" : child_name(id), (unsigned)options);
	if (result(syscall(SYS_waitid, type, id, rarely(20) ? NULL : &info, options, NULL)) == 0 && info.si_signo)
		say(" %s code %d status %d", child_name(info.si_pid), info.si_code, info.si_status);
	if (info.si_code >= CLD_EXITED && info.si_code <= CLD_DUMPED && !(options & WNOWAIT))
		child_gone(info.si_pid);
	for (unsigned i = 0; i < CHILDREN; i++) /* without information nobody said who it was */
		if (g_children[i].state == CHILD_ENDED && kill(g_children[i].pid, 0))
			g_children[i].state = CHILD_NONE;
}

static void child_groups(void)
{
	struct child *child = some_child();
	pid_t pid = child->state == CHILD_NONE ? 0x7fffffff : child->pid, group = rarely(4) ? getpgrp() : rarely(6) ? 0 : some_pid();

	switch (below(4)) {
	case 0:
	case 1:
		if (group > 0 && kill(group, 0)) /* as above */
			group = 0x7fffffff;
		say("setpgid %s %s", child_name(pid), child_name(group));
		result(setpgid(pid, group));
		break;
	case 2:
		say("getpgid %s", child_name(pid));
		say(" -> %s", child_name(getpgid(pid)));
		break;
	default:
		say("getsid %s", child_name(pid));
		say(" -> %s", child_name(getsid(pid)));
	}
}

static void child_more(void)
{
	struct child *child = some_child();
	pid_t pid = child->state == CHILD_NONE ? 0x7fffffff : child->pid;

	switch (below(5)) {
	case 0: {
		siginfo_t info = { 0 };
		int fd = (int)syscall(SYS_pidfd_open, pid, 0);
		struct pollfd p = { fd, POLLIN, 0 };
		say("pidfd_open %s", child_name(pid));
		if (result(fd < 0 ? -1 : 0))
			break;
		result(poll(&p, 1, 0));
		result(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG | WNOWAIT));
		say(" %s code %d", child_name(info.si_pid), info.si_code);
		result(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
		close(fd);
		break;
	}
	case 1:
		say("getpriority %s", child_name(pid));
		result(syscall(SYS_getpriority, PRIO_PROCESS, pid) < 0 ? -1 : 0);
		break;
	case 2: {
		struct rlimit limit;
		say("prlimit %s", child_name(pid));
		result(syscall(SYS_prlimit64, pid, RLIMIT_CORE, NULL, &limit));
		break;
	}
	case 3:
		say("sched_getscheduler %s", child_name(pid));
		result(sched_getscheduler(pid));
		break;
	default: {
		int to = (int)below(2), now = 0;
		say("subreaper %d", to);
		result(prctl(PR_SET_CHILD_SUBREAPER, to));
		prctl(PR_GET_CHILD_SUBREAPER, &now);
		say(" %d", now);
	}
	}
}

/* The numbers of /proc/PID/stat that are determined. */
static void child_numbers(const char *text)
{
	char state = 0;
	int parent = 0, group = 0, session = 0, threads = 0, exit_signal = 0, exit_code = -1;
	const char *at = strrchr(text, ')');

	if (!at || sscanf(at, ") %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d", &state, &parent, &group, &session, &threads) != 5) {
		say(" strange");
		return;
	}
	for (int i = 2; at && i < 38; i++)
		at = strchr(at + 1, ' ');
	if (at)
		sscanf(at, " %d %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %d", &exit_signal, &exit_code);
	say(" %c parent %s", strchr("RSD", state) ? 'R' : state, child_name(parent));
	say(" group %s session %s threads %d %d code %d", child_name(group), child_name(session), threads, exit_signal, exit_code);
}

/* What /proc says of one. */
static void child_look(void)
{
	struct child *child = some_child();
	pid_t pid = child->state == CHILD_NONE ? 0x7fffffff : child->pid;
	const char *name = rarely(2) ? "stat" : WORD_OF("", "status", "cmdline", "comm", "statm", "limits", "io", "cgroup", "fd", "fdinfo", "task", "exe", "cwd", "none", "fd/63");
	char where[64], text[4096];
	ssize_t n;
	int fd;

	snprintf(where, sizeof where, "/proc/%d/%s", pid, name);
	fd = open(where, O_RDONLY | O_CLOEXEC);
	say("look at %s of %s", name, child_name(pid));
	if (result(fd < 0 ? -1 : 0))
		return;
	n = read(fd, text, sizeof text - 1);
	result(n < 0 ? n : n > 0);
	text[n < 0 ? 0 : n] = 0;
	if (!strcmp(name, "stat"))
		child_numbers(text);
	if (!*name)
		result(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	if (!strncmp(name, "fd", 2)) {
		n = syscall(SYS_getdents64, fd, text, sizeof text);
		say(" %s", n > 64 ? "some" : "none");
	}
	close(fd);
}

/* Goes on in a child with a session of its own, never as pid 1, which is special, and ends as it does. */
static void apart(char **argv)
{
	int status;
	pid_t pid;

	if (getenv("APART")) {
		setsid();
		return;
	}
	setenv("APART", "1", 1);
	pid = vfork();
	if (!pid) {
		execv(argv[0], argv);
		_exit(7);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		_exit(6);
	_exit(WEXITSTATUS(status));
}

/* The end of the run: nothing stays behind. */
static void end_children(void)
{
	for (unsigned i = 0; i < CHILDREN; i++)
		if (g_children[i].state != CHILD_NONE) {
			kill(g_children[i].pid, SIGKILL);
			waitpid(g_children[i].pid, NULL, 0);
		}
	say("no children");
	result(waitpid(-1, NULL, WNOHANG));
	say("\n");
}

#endif
