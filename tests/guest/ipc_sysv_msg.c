/*
 * System V message queues: rules, errors, types, who waits, removal, permissions.
 * Args: {name}
 */
#define _GNU_SOURCE
#include "process.h"
#include "say.h"

#include <limits.h>
#include <sys/msg.h>
#include <sys/time.h>
#include <time.h>

static int g_id;
static struct {
	long type;
	char text[9000];
} g_out, g_in;

static int put(long type, const char *text, int flags)
{
	g_out.type = type;
	strcpy(g_out.text, text);
	return msgsnd(g_id, &g_out, strlen(text), flags);
}

static void get(long type, size_t size, int flags)
{
	ssize_t n = msgrcv(g_id, &g_in, size, type, flags);

	if (n < 0)
		printf("receive %ld: %s\n", type, strerror(errno));
	else
		printf("receive %ld: %ld %.*s\n", type, g_in.type, (int)n, g_in.text);
	fflush(stdout);
}

static void show(const char *what)
{
	struct msqid_ds ds;
	int ret = msgctl(g_id, IPC_STAT, &ds);

	if (ret)
		say(what, ret);
	else
		printf("%s: %lu messages, %lu of %lu bytes, mode %o, last %s %s, times %d %d %d\n", what, ds.msg_qnum, ds.__msg_cbytes,
		       ds.msg_qbytes, ds.msg_perm.mode, ds.msg_lspid == getpid() ? "me" : ds.msg_lspid ? "other" : "none",
		       ds.msg_lrpid == getpid() ? "me" : ds.msg_lrpid ? "other" : "none", ds.msg_stime != 0, ds.msg_rtime != 0, ds.msg_ctime != 0);
}

static void errors(void)
{
	struct msqid_ds ds;

	show("new");
	g_out.type = 1;
	T(msgsnd(-1, &g_out, 1, 0));
	T(msgsnd(g_id + (1 << 20), &g_out, 1, 0));
	T(msgsnd(g_id, NULL, 1, 0));
	T(msgsnd(g_id, &g_out, 8193, 0));
	T(msgsnd(g_id, &g_out, (size_t)-1, 0));
	T(put(0, "a", 0));
	T(put(-1, "a", 0));
	T(msgrcv(-1, &g_in, 1, 0, 0));
	T(msgrcv(g_id, &g_in, (size_t)-1, 0, 0));
	T(msgrcv(g_id + (1 << 20), &g_in, 1, 0, 0));
	T(msgrcv(g_id, &g_in, 1, 0, MSG_COPY));
	T(msgrcv(g_id, &g_in, 1, 0, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT));
	get(0, 10, IPC_NOWAIT);
	get(5, 10, IPC_NOWAIT);
	T(put(1, "too long", 0));
	get(0, 3, 0);
	get(0, 3, MSG_NOERROR);
	get(0, 3, IPC_NOWAIT);
	T(put(1, "lost", 0));
	T(msgrcv(g_id, NULL, 10, 0, 0));
	get(0, 10, IPC_NOWAIT);
	T(put(7, "", 0));
	get(7, 0, 0);
	T(msgctl(g_id, 99, NULL));
	T(msgctl(-1, IPC_STAT, &ds));
	T(msgctl(g_id, IPC_STAT, NULL));
	T(msgctl(g_id, IPC_SET, NULL));
	T(msgctl(INT_MAX, MSG_STAT, &ds));
	T(msgctl(g_id + (1 << 20), IPC_RMID, NULL));
	show("used");
}

static void types(void)
{
	put(3, "three", 0), put(1, "one", 0), put(2, "two", 0), put(1, "another one", 0), put(9, "nine", 0);
	show("five");
	get(0, 99, MSG_COPY | IPC_NOWAIT);
	get(4, 99, MSG_COPY | IPC_NOWAIT);
	get(5, 99, MSG_COPY | IPC_NOWAIT);
	get(2, 99, 0);
	get(3, 99, MSG_EXCEPT);
	get(-2, 99, 0);
	get(-2, 99, IPC_NOWAIT);
	get(LONG_MIN, 99, 0);
	get(0, 99, 0);
	show("none");
}

static void full(void)
{
	static char big[8192 + sizeof(long)];
	struct msqid_ds ds;
	pid_t pid;

	*(long *)big = 1;
	T(msgsnd(g_id, big, 8192, IPC_NOWAIT));
	T(msgsnd(g_id, big, 8192, IPC_NOWAIT));
	T(msgsnd(g_id, big, 1, IPC_NOWAIT));
	T(msgsnd(g_id, big, 0, IPC_NOWAIT));
	show("full");
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(put(2, "waited", 0));
	T(msgrcv(g_id, &g_in, 8192, 1, 0));
	get(2, 99, 0);
	reap("sender", pid);
	msgctl(g_id, IPC_STAT, &ds);
	ds.msg_qbytes = 3;
	ds.msg_perm.mode = 0640;
	T(msgctl(g_id, IPC_SET, &ds));
	show("narrow");
	T(put(1, "x", IPC_NOWAIT));
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(put(2, "xyz", 0));
	ds.msg_qbytes = 16384;
	T(msgctl(g_id, IPC_SET, &ds));
	get(2, 99, 0);
	reap("sender", pid);
	while (msgrcv(g_id, &g_in, 8192, 0, IPC_NOWAIT) >= 0)
		;
	show("empty");
}

static pid_t receiver(long type, size_t size)
{
	pid_t pid = fork();

	if (!pid) {
		ssize_t n = msgrcv(g_id, &g_in, size, type, 0);

		_exit(n < 0 ? 100 + errno : (int)(g_in.type * 10 + n));
	}
	return pid;
}

static void until_asleep(pid_t pid)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (state != 'S') {
		FILE *f = fopen(path, "r");

		if (f && fscanf(f, "%*d %*s %c", &state) != 1)
			state = 0;
		if (f)
			fclose(f);
		usleep(2000);
	}
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void waiting(void)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval t = { .it_value.tv_usec = 20000, .it_interval.tv_usec = 20000 }, off = { 0 };
	pid_t a = receiver(5, 99), b, c;

	until_asleep(a);
	put(4, "for nobody", 0);
	put(5, "for one", 0);
	reap("one", a);
	show("left");
	get(4, 99, 0);
	a = receiver(0, 2); /* has too little room: the next one gets it */
	until_asleep(a);
	b = receiver(-9, 99);
	until_asleep(b);
	put(6, "long", 0);
	reap("little room", a);
	reap("the next", b);
	show("handed over");
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
	get(0, 9, 0);
	setitimer(ITIMER_REAL, &off, NULL);
	c = receiver(1, 9);
	until_asleep(c);
	T(msgctl(g_id, IPC_RMID, NULL));
	reap("removed", c);
	show("removed");
	T(put(1, "a", 0));
}

static void others(void)
{
	key_t key = (key_t)strtoul(g_word, NULL, 16) | 1;
	struct msqid_ds ds;
	int old = g_id;

	g_id = msgget(key, IPC_CREAT | IPC_EXCL | 0644);
	T(g_id);
	T(msgget(key, IPC_CREAT | IPC_EXCL | 0644));
	T(msgget(key ^ 0x40000000, 0));
	printf("the same %d %d\n", msgget(key, 0) == g_id, msgget(key, IPC_CREAT | 0600) == g_id);
	fflush(stdout);
	if (!fork()) {
		msgctl(g_id, IPC_STAT, &ds);
		if (setgid(4321) || setuid(4321))
			printf("cannot be another user\n");
		T(msgget(key, 0600));
		T(put(1, "a", 0));
		get(1, 9, IPC_NOWAIT);
		T(msgctl(g_id, IPC_STAT, &ds));
		T(msgctl(g_id, IPC_SET, &ds));
		T(msgctl(g_id, IPC_RMID, NULL));
		g_id = msgget(IPC_PRIVATE, 0600);
		msgctl(g_id, IPC_STAT, &ds);
		ds.msg_qbytes++;
		T(msgctl(g_id, IPC_SET, &ds));
		msgctl(g_id, IPC_RMID, NULL);
		_exit(0);
	}
	wait(NULL);
	T(msgctl(g_id, IPC_RMID, NULL));
	g_id = old;
}

static void listed(void)
{
	int last, found = 0, in_proc = 0;
	struct msginfo info;
	struct msqid_ds ds;
	char line[512];
	FILE *f = fopen("/proc/sysvipc/msg", "r");

	put(1, "text", 0);
	last = msgctl(0, MSG_INFO, (struct msqid_ds *)&info);
	printf("used %d %d %d\n", info.msgpool > 0, info.msgmap > 0, info.msgtql >= 4);
	for (int i = 0; i <= last; i++)
		found += msgctl(i, MSG_STAT, &ds) == g_id && ds.msg_qnum == 1;
	if (f && fgets(line, sizeof(line), f))
		printf("%s", line);
	while (f && fgets(line, sizeof(line), f)) {
		int key, id, mode, bytes, count, pid;

		if (sscanf(line, "%d %d %o %d %d %d", &key, &id, &mode, &bytes, &count, &pid) == 6 && id == g_id)
			in_proc += key == 0 && mode == 0600 && bytes == 4 && count == 1 && pid == getpid();
	}
	if (f)
		fclose(f);
	printf("by index %d, in /proc %d\n", found, in_proc);
	get(0, 9, 0);
	msgctl(0, IPC_INFO, (struct msqid_ds *)&info);
	printf("%d %d %d %d %d %d %d %d\n", info.msgpool, info.msgmap, info.msgmax, info.msgmnb, info.msgmni, info.msgssz, info.msgtql, info.msgseg);
}

static void tests(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	g_id = msgget(IPC_PRIVATE, 0600);
	T(g_id);
	errors();
	types();
	full();
	listed();
	others();
	waiting();
}

int main(int argc, char **argv)
{
	g_self = argv[0];
	return apart(argc, argv, tests);
}
