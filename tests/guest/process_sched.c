/*
 * How a thread is scheduled is its own: affinity, policy and I/O priority as they were set for it, by itself or by another one, and as
 * those that it starts inherit them.
 * Build: gcc musl
 */
#define _GNU_SOURCE
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

#define NOBODY 4194304 /* above all process numbers */
#ifndef SCHED_RESET_ON_FORK
#define SCHED_RESET_ON_FORK 0x40000000
#endif

struct attr { /* struct sched_attr's first version */
	unsigned size, policy;
	unsigned long long flags;
	int nice;
	unsigned priority;
	unsigned long long runtime, deadline, period;
};

static int policy_of(pid_t tid)
{
	return (int)syscall(SYS_sched_getscheduler, tid);
}

static long set_policy(pid_t tid, int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	return syscall(SYS_sched_setscheduler, tid, policy, &param);
}

static long ioprio_of(pid_t tid)
{
	return syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid);
}

static long set_ioprio(pid_t tid, int class, int level)
{
	return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, tid, IOPRIO_PRIO_VALUE(class, level));
}

static void say(const char *who, pid_t tid)
{
	struct attr a = { 0 };
	unsigned char mask[128] = { 0 };
	long size = syscall(SYS_sched_getaffinity, tid, sizeof mask, mask);
	int cpus = 0;

	for (long i = 0; i < size * 8; i++)
		cpus += mask[i / 8] >> (i % 8) & 1;
	syscall(SYS_sched_getattr, tid, &a, sizeof a, 0);
	printf("%s: policy %#x, of its attributes %#x and flags %#llx, I/O %#lx, processor 0 %s\n", who, policy_of(tid), a.policy, a.flags,
	       ioprio_of(tid), cpus == 1 && mask[0] & 1 ? "only" : "and all");
	fflush(stdout);
}

static long only_first(pid_t tid)
{
	unsigned long mask[16] = { 1 };

	return syscall(SYS_sched_setaffinity, tid, sizeof mask, mask);
}

static int g_pipe[2];

static void *stays(void *arg)
{
	*(pid_t *)arg = (pid_t)syscall(SYS_gettid);
	say("a thread", 0);
	T(set_policy(0, SCHED_IDLE, 0));
	T(set_ioprio(0, IOPRIO_CLASS_IDLE, 0));
	write(g_pipe[1], "x", 1);
	pause();
	return NULL;
}

/* What another one may do, as a question: whether there is anybody of this number. */
static long capabilities_of(pid_t tid)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, tid };
	struct __user_cap_data_struct data[2];

	return syscall(SYS_capget, &head, data);
}

static void children(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		say("child", 0);
		T(capabilities_of(getppid()));
		fflush(stdout);
		_exit(set_policy(getppid(), SCHED_BATCH, 0) || set_ioprio(getppid(), IOPRIO_CLASS_BE, 7));
	}
	T(waitpid(pid, &status, 0) == pid && !status);
	say("what the child set for its parent", 0);
	say("what the parent set for itself, by number", getpid());
}

static void refused(void)
{
	struct attr a = { .size = sizeof a, .policy = 77 };
	unsigned long none[16] = { 0 };

	T(set_policy(0, 77, 0));
	T(set_policy(0, -1, 0));
	T(set_policy(0, SCHED_BATCH, 1));
	T(set_policy(0, SCHED_FIFO, 0));
	T(set_policy(-1, SCHED_BATCH, 0));
	T(set_policy(NOBODY, SCHED_BATCH, 0));
	T(policy_of(-1));
	T(policy_of(NOBODY));
	T(syscall(SYS_sched_setattr, 0, &a, 0));
	T(syscall(SYS_sched_setaffinity, 0, sizeof none, none));
	T(set_ioprio(0, IOPRIO_CLASS_BE, 0));
	T(set_ioprio(0, IOPRIO_CLASS_NONE, 1));
	T(set_ioprio(0, 5, 0));
	T(set_ioprio(NOBODY, IOPRIO_CLASS_BE, 0));
	T(ioprio_of(NOBODY));
	T(capabilities_of(NOBODY));
	T(capabilities_of(-1));
	T(syscall(SYS_ioprio_get, 0, 0));
	T(syscall(SYS_ioprio_get, 4, 0));
	T(syscall(SYS_ioprio_set, 4, 0, 0));
	T(syscall(SYS_capget, &(struct __user_cap_header_struct){ _LINUX_CAPABILITY_VERSION_3, NOBODY }, NULL));
	T(syscall(SYS_sched_setattr, -1, &a, 0));
	T(syscall(SYS_sched_getattr, -1, &a, sizeof a, 0));
	T(syscall(SYS_sched_rr_get_interval, -1, none));
	a.policy = SCHED_OTHER, a.flags = 1ull << 40;
	T(syscall(SYS_sched_setattr, 0, &a, 0));
	a.size = 8;
	T(syscall(SYS_sched_setattr, 0, &a, 0));
	printf("known: %u bytes\n", a.size);
	T(setpriority(PRIO_PGRP, NOBODY, 0));
	T(setpriority(PRIO_USER, NOBODY, 0));
	T(syscall(SYS_getpriority, PRIO_PGRP, NOBODY));
	T(syscall(SYS_getpriority, PRIO_PGRP, 0));
	T(syscall(SYS_getpriority, PRIO_USER, 0));
	say("after what was refused", 0);
}

int main(int argc, char **argv)
{
	struct attr a = { .size = sizeof a, .policy = SCHED_OTHER };
	pid_t tid = 0;
	pthread_t thread;
	char byte;

	if (argc > 1) {
		say("executed", 0);
		return 0;
	}
	say("at first", 0);
	T(set_policy(0, SCHED_BATCH | SCHED_RESET_ON_FORK, 0));
	T(set_ioprio(0, IOPRIO_CLASS_BE, 3));
	pipe(g_pipe);
	pthread_create(&thread, NULL, stays, &tid);
	read(g_pipe[0], &byte, 1);
	T(only_first(tid));
	say("the thread from outside", tid);
	say("who started it", 0);
	T(capabilities_of(tid));
	children();
	refused();
	T(syscall(SYS_sched_setattr, 0, &a, 0));
	T(only_first(0));
	say("at the end", 0);
	execl("/proc/self/exe", argv[0], "again", (char *)NULL);
	return 1;
}
