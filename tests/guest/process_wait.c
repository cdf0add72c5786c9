/*
 * Waiting for children: what wait4 and waitid report and refuse, groups, zombies, orphans and who inherits them, SIGCHLD
 * ignored, waits that a signal ends, waits of several threads.
 * Build: gcc musl-static
 */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>

#include "process.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef __WALL
#define __WALL 0x40000000
#define __WCLONE 0x80000000
#endif

static volatile sig_atomic_t g_caught;

static void caught(int sig)
{
	(void)sig;
	g_caught++;
}

static long wait4_raw(long pid, int *status, long options)
{
	return syscall(SYS_wait4, pid, status, options, NULL);
}

static long waitid_raw(int type, long id, siginfo_t *info, long options)
{
	return syscall(SYS_waitid, type, id, info, options, NULL);
}

static void statuses(void)
{
	static const char *const how[] = { "0", "1", "255", "256", "259", "-1" };
	char name[40];

	for (unsigned i = 0; i < sizeof how / sizeof *how; i++) {
		snprintf(name, sizeof name, "exit(%s)", how[i]);
		reap(name, start("exit", how[i], NULL));
	}
	reap("SIGKILL", start("raise", "9", NULL));
	reap("SIGTERM", start("raise", "15", NULL));
	reap("SIGSEGV", start("raise", "11", NULL));
	reap("SIGRTMIN+2", start("raise", "36", NULL));
	reap("the thread that exits says how", start("thread-exits", NULL));
	reap("the leader leaves first", start("leader-leaves", NULL));
	reap("all threads leave", start("all-leave", NULL));
}

static void refusals(void)
{
	siginfo_t info;
	int status = 77;

	say("no children", wait4_raw(-1, &status, 0));
	say("none, not waiting", wait4_raw(-1, &status, WNOHANG));
	say("not a child", wait4_raw(getppid(), &status, 0));
	say("itself", wait4_raw(getpid(), &status, 0));
	say("no group", wait4_raw(-0x3fffff, &status, 0));
	say("INT_MIN", wait4_raw(INT_MIN, &status, 0));
	say("bad options", wait4_raw(-1, &status, 0x100));
	say("WNOWAIT is for waitid", wait4_raw(-1, &status, WNOWAIT));
	printf("status untouched %d\n", status == 77);
	say("waitid: no children", waitid_raw(P_ALL, 0, &info, WEXITED));
	say("waitid: waits for nothing", waitid_raw(P_ALL, 0, &info, WNOHANG));
	say("waitid: bad options", waitid_raw(P_ALL, 0, &info, WEXITED | 0x100));
	say("waitid: bad type", waitid_raw(9, 0, &info, WEXITED));
	say("waitid: pid 0", waitid_raw(P_PID, 0, &info, WEXITED));
	say("waitid: pid -1", waitid_raw(P_PID, -1, &info, WEXITED));
	say("waitid: group -1", waitid_raw(P_PGID, -1, &info, WEXITED));
	say("waitid: own group", waitid_raw(P_PGID, 0, &info, WEXITED));
	say("waitid: pidfd -1", waitid_raw(P_PIDFD, -1, &info, WEXITED));
	say("waitid: pidfd that is none", waitid_raw(P_PIDFD, 0, &info, WEXITED));
}

static void reports(void)
{
	siginfo_t info;
	struct rusage usage;
	int status, ends[2];
	pid_t pid;

	new_pipe(ends);
	pid = start("hear", keep(ends[0]), NULL);
	say("runs", wait4_raw(pid, &status, WNOHANG));
	memset(&info, 0x55, sizeof info);
	say("waitid: runs", waitid_raw(P_PID, pid, &info, WEXITED | WNOHANG));
	printf("then signal %d, pid %d\n", info.si_signo, info.si_pid);
	tell(ends[1]);
	memset(&info, 0x55, sizeof info);
	say("looked at", waitid_raw(P_ALL, 0, &info, WEXITED | WNOWAIT));
	printf("child %d, signal %d, code %d, status %d, user %d, errno %d\n", info.si_pid == pid, info.si_signo, info.si_code,
	       info.si_status, info.si_uid == getuid(), info.si_errno);
	say("a zombie gets signals", kill(pid, 0));
	say("and SIGKILL", kill(pid, SIGKILL));
	printf("its group %d, session %d\n", getpgid(pid) == getpgrp(), getsid(pid) == getsid(0));
	memset(&usage, 0x55, sizeof usage);
	printf("waited for %d\n", wait4(pid, &status, 0, &usage) == pid);
	say_status("so", status);
	printf("usage %d\n", usage.ru_utime.tv_sec < 60 && usage.ru_utime.tv_usec < 1000000 && usage.ru_stime.tv_sec < 60);
	say("now it is gone", kill(pid, 0));
	say("waited for twice", wait4_raw(pid, &status, 0));
	close(ends[0]);
	close(ends[1]);

	pid = start("raise", "15", NULL);
	say("waitid", waitid_raw(P_PID, pid, &info, WEXITED));
	printf("code %d, status %d\n", info.si_code, info.si_status);
	pid = start("exit", "300", NULL);
	say("waitid without information", waitid_raw(P_PID, pid, NULL, WEXITED));
	pid = start("exit", "3", NULL);
	printf("without status %d\n", wait4_raw(pid, NULL, 0) == pid);
	pid = start("exit", "3", NULL);
	printf("any child %d", wait4_raw(-1, &status, 0) == pid);
	say_status("", status);
	pid = start("exit", "4", NULL);
	say("unreadable status", wait4_raw(pid, (int *)8, 0));
	say("and it is reaped", wait4_raw(pid, &status, 0));
}

static void groups(void)
{
	int ends[2], status;
	siginfo_t info;
	char *in;
	pid_t pid[3];

	new_pipe(ends);
	in = keep(ends[0]);
	for (int i = 0; i < 3; i++) {
		pid[i] = start("group", in, i == 1 ? "own" : "", NULL);
		while (i == 1 && getpgid(pid[1]) != pid[1])
			sched_yield();
	}
	printf("groups %d %d %d\n", getpgid(pid[0]) == getpgrp(), getpgid(pid[1]) == pid[1], getpgid(pid[2]) == getpgrp());
	for (int i = 0; i < 3; i++)
		tell(ends[1]);
	printf("of the other group %d", wait4_raw(-pid[1], &status, 0) == pid[1]);
	say_status("", status);
	say("none is left in it", wait4_raw(-pid[1], &status, 0));
	say("waitid: none either", waitid_raw(P_PGID, pid[1], &info, WEXITED));
	pid[1] = wait4_raw(0, &status, 0);
	printf("of the own group %d", pid[1] == pid[0] || pid[1] == pid[2]);
	say_status("", status);
	say("waitid: own group", waitid_raw(P_PGID, getpgrp(), &info, WEXITED));
	printf("the other %d\n", info.si_pid == pid[0] + pid[2] - pid[1]);
	close(ends[0]);
	close(ends[1]);
}

/* A program that starts another and ends first: whoever is nearest and said that it reaps has it then. */
static void orphans(void)
{
	int ends[2], back[2], status;
	char *in, *out;
	pid_t middle, orphan;

	new_pipe(ends);
	new_pipe(back);
	in = keep(ends[0]), out = keep(back[1]);
	middle = start("middle", in, out, NULL);
	if (read(back[0], &orphan, sizeof orphan) != sizeof orphan)
		say("read", -1);
	reap("middle", middle);
	say("the orphan runs", wait4_raw(orphan, &status, WNOHANG));
	tell(ends[1]);
	reap("orphan", orphan);

	in = keep(ends[0]), out = keep(back[1]);
	middle = start("reaper", in, out, NULL);
	if (read(back[0], &orphan, sizeof orphan) != sizeof orphan)
		say("read", -1);
	hear(back[0]); /* it has reaped the one in the middle and said so */
	say("not ours", wait4_raw(orphan, &status, WNOHANG));
	tell(ends[1]);
	reap("reaper", middle);

	prctl(PR_SET_CHILD_SUBREAPER, 0);
	prctl(PR_GET_CHILD_SUBREAPER, &status);
	printf("reaps %d", status);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_GET_CHILD_SUBREAPER, &status);
	printf(" %d\n", status);
	for (int i = 0; i < 2; i++)
		close(ends[i]), close(back[i]);
}

static void ignored(void)
{
	struct sigaction action = { .sa_handler = SIG_IGN }, was;
	int status;
	pid_t pid;

	sigaction(SIGCHLD, &action, &was);
	start("exit", "1", NULL);
	start("exit", "2", NULL);
	say("all waited for, none reported", wait4_raw(-1, &status, 0));
	pid = start("exit", "3", NULL);
	say("the same for one", wait4_raw(pid, &status, 0));
	say("it is gone", kill(pid, 0));
	action.sa_handler = caught;
	action.sa_flags = SA_NOCLDWAIT | SA_RESTART;
	sigaction(SIGCHLD, &action, NULL);
	g_caught = 0;
	pid = start("exit", "4", NULL);
	say("SA_NOCLDWAIT", wait4_raw(pid, &status, 0));
	printf("told %d\n", g_caught);
	sigaction(SIGCHLD, &was, NULL);
	pid = start("exit", "5", NULL);
	reap("as before", pid);
}

static int g_tell;

static void tells(int sig)
{
	(void)sig;
	if (!g_caught++)
		tell(g_tell);
}

static void interrupted(void)
{
	struct sigaction action = { .sa_handler = caught };
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, never = { 0 };
	int ends[2], status;
	pid_t pid;

	sigaction(SIGALRM, &action, NULL);
	new_pipe(ends);
	pid = start("hear", keep(ends[0]), NULL);
	g_caught = 0;
	setitimer(ITIMER_REAL, &often, NULL);
	say("interrupted", wait4_raw(pid, &status, 0));
	printf("caught %d\n", g_caught > 0);
	action.sa_flags = SA_RESTART;
	action.sa_handler = tells;
	g_caught = 0;
	g_tell = ends[1];
	sigaction(SIGALRM, &action, NULL);
	printf("restarted %d", wait4_raw(pid, &status, 0) == pid);
	say_status("", status);
	setitimer(ITIMER_REAL, &never, NULL);
	printf("caught %d\n", g_caught > 0);
	close(ends[0]);
	close(ends[1]);
}

static atomic_int g_ready;

static void *wait_any(void *pid)
{
	int status;
	long got;

	g_ready++;
	got = wait4_raw(*(pid_t *)pid, &status, 0);
	return (void *)(got == *(pid_t *)pid ? 1 : errno == ECHILD ? 10 : 100L);
}

static void *starts(void *arg)
{
	return (void *)(long)start("exit", (const char *)arg, NULL);
}

static int clone_child(void *arg)
{
	syscall(SYS_exit, (int)(long)arg);
	return 0;
}

static void threads(void)
{
	static char stack[16384] __attribute__((aligned(16)));
	pthread_t thread[3];
	void *result;
	long sum = 0, pid_of;
	int ends[2], status;
	pid_t pid;

	new_pipe(ends);
	pid = start("hear", keep(ends[0]), NULL);
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, wait_any, &pid);
	while (g_ready < 3)
		sched_yield();
	tell(ends[1]);
	for (int i = 0; i < 3; i++) {
		pthread_join(thread[i], &result);
		sum += (long)result;
	}
	printf("one got it, two not: %ld\n", sum);
	pthread_create(&thread[0], NULL, starts, "6");
	pthread_join(thread[0], &result);
	pid_of = (long)result;
	printf("another thread's child %d", wait4_raw(pid_of, &status, 0) == pid_of);
	say_status("", status);
	pid = clone(clone_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK, (void *)9);
	say("a child without a signal", wait4_raw(pid, &status, WNOHANG));
	printf("__WCLONE %d", wait4_raw(pid, &status, __WCLONE) == pid);
	say_status("", status);
	pid = clone(clone_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGUSR2, (void *)10);
	signal(SIGUSR2, caught);
	printf("__WALL %d", wait4_raw(pid, &status, __WALL) == pid);
	say_status("", status);
	close(ends[0]);
	close(ends[1]);
}

static void times_of(void)
{
	struct rusage before, after;
	struct tms tms;

	getrusage(RUSAGE_CHILDREN, &before);
	reap("busy", start("busy", NULL));
	getrusage(RUSAGE_CHILDREN, &after);
	timersub(&after.ru_utime, &before.ru_utime, &after.ru_utime);
	timersub(&after.ru_stime, &before.ru_stime, &after.ru_stime);
	timeradd(&after.ru_utime, &after.ru_stime, &after.ru_utime);
	printf("children's time counts %d", after.ru_utime.tv_sec || after.ru_utime.tv_usec >= 40000);
	times(&tms);
	printf(" %d\n", tms.tms_cutime + tms.tms_cstime >= 4);
}

static void tests(void)
{
	signal(SIGCHLD, SIG_DFL);
	signal(SIGUSR2, SIG_IGN);
	statuses();
	refusals();
	reports();
	groups();
	orphans();
	ignored();
	interrupted();
	threads();
	times_of();
	say("none are left", wait4_raw(-1, NULL, __WALL));
}

/* What the children do. */

static void *exit_9(void *arg)
{
	(void)arg;
	exit(9);
}

static pthread_t g_leader;

static void *after_leader(void *arg)
{
	pthread_join(g_leader, NULL);
	if (arg)
		exit(11);
	return NULL;
}

static void *sleeps(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static int role(char **argv)
{
	const char *name = argv[1];
	pthread_t thread;

	if (!strcmp(name, "exit"))
		exit(atoi(argv[2]));
	if (!strcmp(name, "raise")) {
		prctl(PR_SET_DUMPABLE, 0);
		signal(atoi(argv[2]), SIG_DFL);
		raise(atoi(argv[2]));
	} else if (!strcmp(name, "thread-exits")) {
		pthread_create(&thread, NULL, sleeps, NULL);
		pthread_create(&thread, NULL, exit_9, NULL);
		pause();
	} else if (!strcmp(name, "leader-leaves") || !strcmp(name, "all-leave")) {
		g_leader = pthread_self();
		pthread_create(&thread, NULL, after_leader, *name == 'l' ? argv : NULL);
		pthread_exit(NULL);
	} else if (!strcmp(name, "hear")) {
		exit(hear(atoi(argv[2])) == 1 ? 20 : 21);
	} else if (!strcmp(name, "group")) {
		if (*argv[3])
			setpgid(0, 0);
		exit(hear(atoi(argv[2])) == 1 ? 22 : 23);
	} else if (!strcmp(name, "middle") || !strcmp(name, "reaper")) {
		pid_t child;

		if (*name == 'r')
			prctl(PR_SET_CHILD_SUBREAPER, 1);
		child = *name == 'r' ? start("middle", argv[2], argv[3], NULL) : start("hear", argv[2], NULL);
		if (*name == 'm')
			return write(atoi(argv[3]), &child, sizeof child) == sizeof child ? 24 : 25;
		reap("middle of the reaper", child);
		tell(atoi(argv[3]));
		reap("its orphan", -1);
		return 26;
	} else if (!strcmp(name, "busy")) {
		struct rusage usage;
		do
			getrusage(RUSAGE_THREAD, &usage);
		while (!usage.ru_utime.tv_sec && !usage.ru_stime.tv_sec && usage.ru_utime.tv_usec + usage.ru_stime.tv_usec < 60000);
	}
	return 0;
}

int main(int argc, char **argv)
{
	return play(argc, argv, role, tests);
}
