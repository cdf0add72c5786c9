/*
 * /proc of other processes: one that sleeps, with threads; one that runs, one that is stopped, one that has ended and was not
 * waited for; and what is left to see of one that is gone.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

#define FROM_US 5
#define TO_US 6
#define THREADS 3

static char g_text[1 << 20];
static ssize_t g_size;

/* The text, empty if there is none; errno says why. */
static char *slurp(pid_t pid, const char *name)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	g_size = 0;
	errno = 0;
	fd = open(path, O_RDONLY);
	while (fd >= 0 && (n = read(fd, g_text + g_size, sizeof g_text - 1 - (size_t)g_size)) > 0)
		g_size += n;
	if (fd >= 0) {
		int error = errno;

		close(fd);
		errno = error;
	}
	g_text[g_size] = 0;
	return g_text;
}

/* Field n of stat, from 3 (the state) on, as proc(5) counts. */
static const char *field(pid_t pid, const char *name, int n)
{
	static char word[64];
	char *at = strrchr(slurp(pid, name), ')');

	for (; at && n > 2; n--)
		at = strchr(at + 1, ' ');
	snprintf(word, sizeof word, "%.*s", at ? (int)strcspn(at + 1, " \n") : 0, at ? at + 1 : "");
	return word;
}

static void line(pid_t pid, const char *name, const char *start)
{
	const char *at = strstr(slurp(pid, name), start);

	printf("%s: %.*s\n", name, at ? (int)strcspn(at, "\n") : 4, at ? at : "none");
}

/* Waits for a state that comes soon. */
static void settle(pid_t pid, const char *name, const char *state)
{
	while (strcmp(field(pid, name, 3), state))
		sched_yield();
}

static void numbers(pid_t pid)
{
	unsigned long long start = strtoull(field(pid, "stat", 22), NULL, 10), ours = strtoull(field(getpid(), "stat", 22), NULL, 10);

	printf("state %s\n", field(pid, "stat", 3));
	printf("parent: %s\n", atoi(field(pid, "stat", 4)) == getpid() ? "we" : "another");
	printf("group: %s\n", atoi(field(pid, "stat", 5)) == getpgid(pid) ? "right" : "wrong");
	printf("session: %s\n", atoi(field(pid, "stat", 6)) == getsid(pid) ? "right" : "wrong");
	printf("nice: %s\n", atoi(field(pid, "stat", 19)) == getpriority(PRIO_PROCESS, (id_t)pid) ? "right" : "wrong");
	printf("threads %s\n", field(pid, "stat", 20));
	printf("started %s\n", start >= ours && start < ours + 100 * 3600 ? "after us" : "at another time");
	printf("size %s\n", atoll(field(pid, "stat", 23)) ? "some" : "0");
	printf("exit signal %s\n", field(pid, "stat", 38));
	printf("exit code %s\n", field(pid, "stat", 52));
	slurp(pid, "stat");
	printf("stat: %s, %.*s\n", atoi(g_text) == pid ? "its number" : "another number", (int)strcspn(strchr(g_text, '('), ")"), strchr(g_text, '('));
	printf("statm: %s\n", atoll(slurp(pid, "statm")) ? "some" : "0");
}

static void status(pid_t pid)
{
	static const char *const lines[] = { "Name:", "State:", "Threads:", "SigIgn:", "SigCgt:", "ShdPnd:", "Uid:", "Gid:", "Umask:" };

	for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++)
		line(pid, "status", lines[i]);
	slurp(pid, "status");
	printf("Tgid, Pid, PPid: %s\n", atoi(strstr(g_text, "\nTgid:") + 6) == pid && atoi(strstr(g_text, "\nPid:") + 5) == pid &&
		       atoi(strstr(g_text, "\nPPid:") + 6) == getpid() ? "right" : "wrong");
	printf("VmSize: %s\n", strstr(g_text, "\nVmSize:") ? "there" : "none");
	if (!strstr(g_text, "zombie"))
		line(pid, "status", "SigBlk:");
}

static void words(pid_t pid, const char *name)
{
	slurp(pid, name);
	printf("%s:", name);
	for (char *at = g_text; at < g_text + g_size; at += strlen(at) + 1)
		printf(" %s", strrchr(at, '/') && name[0] == 'c' ? strrchr(at, '/') + 1 : at);
	printf(" (%s)\n", g_size ? "bytes" : "nothing");
}

static void links(pid_t pid, const char *ours)
{
	static const char *const names[] = { "exe", "cwd", "root" };

	for (unsigned i = 0; i < 3; i++) {
		char path[64], to[4096];
		ssize_t n;

		snprintf(path, sizeof path, "/proc/%d/%s", pid, names[i]);
		n = readlink(path, to, sizeof to - 1);
		to[n < 0 ? 0 : n] = 0;
		printf("%s: %s\n", names[i], n < 0 ? strerror(errno) : strcmp(to, ours) ? to : "ours");
		T(open(path, O_RDONLY | O_CLOEXEC));
	}
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Sorted; their number. */
static int list(pid_t pid, const char *name, int found[64])
{
	char path[64];
	int n = 0;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	d = opendir(path);
	if (!d) {
		printf("%s: %s\n", name, strerror(errno));
		return 0;
	}
	for (struct dirent *e; (e = readdir(d)) && n < 64;)
		if (e->d_name[0] != '.')
			found[n++] = atoi(e->d_name);
	closedir(d);
	qsort(found, (size_t)n, sizeof *found, compare);
	return n;
}

static void descriptors(pid_t pid)
{
	int found[64], n = list(pid, "fd", found);

	for (int i = 0; i < n; i++) {
		char path[64], to[4096];
		struct stat st;
		ssize_t size;

		printf("fd %d", found[i]);
		snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, found[i]);
		size = readlink(path, to, sizeof to - 1);
		to[size < 0 ? 0 : size] = 0;
		if (found[i] > 2)
			printf(": %.*s, mode %o", to[0] == 'p' ? 5 : 100, to, lstat(path, &st) ? 0 : st.st_mode & 0777);
		printf("\n");
	}
	printf("fdinfo: %d\n", list(pid, "fdinfo", found) == n);
	line(pid, "fdinfo/7", "pos:");
	line(pid, "fdinfo/7", "flags:");
	snprintf(g_text, sizeof g_text, "/proc/%d/fd/7", pid);
	n = open(g_text, O_RDONLY);
	printf("opened again: %zd bytes of it\n", n < 0 ? -1 : read(n, g_text, 4));
	close(n);
}

static void tasks(pid_t pid)
{
	int found[64], n = list(pid, "task", found);

	for (int i = 0; i < n; i++) {
		char name[64], *tgid;

		snprintf(name, sizeof name, "task/%d/comm", found[i]);
		printf("task %d: %s", i, slurp(pid, name));
		snprintf(name, sizeof name, "task/%d/stat", found[i]);
		settle(pid, name, i || n > 1 ? "S" : field(pid, name, 3));
		printf("%s, ppid %s, ", atoi(slurp(pid, name)) == found[i] ? "its number" : "another number",
		       atoi(field(pid, name, 4)) == getpid() ? "right" : "wrong");
		printf("exit signal %s\n", field(pid, name, 38));
		tgid = strstr(slurp(found[i], "status"), "\nTgid:"); /* not listed, but there */
		printf("as /proc/TID: %s\n", tgid && atoi(tgid + 6) == pid ? "the process's" : "another's");
	}
	printf("a task of another process: ");
	snprintf(g_text, sizeof g_text, "/proc/%d/task/%d", pid, getpid());
	T(access(g_text, F_OK));
}

static void listed(pid_t pid)
{
	DIR *d = opendir("/proc");
	int times = 0;

	for (struct dirent *e; (e = readdir(d));)
		times += atoi(e->d_name) == pid;
	closedir(d);
	printf("listed %d times\n", times);
}

static void look(const char *what, pid_t pid, const char *ours)
{
	printf("--- %s\n", what);
	listed(pid);
	numbers(pid);
	status(pid);
	words(pid, "cmdline");
	words(pid, "environ");
	printf("comm: %s", slurp(pid, "comm"));
	slurp(pid, "auxv");
	printf("auxv: %s\n", !g_size ? "nothing" : g_size % (ssize_t)sizeof(Elf64_auxv_t) ? "of a strange size" : "some");
	slurp(pid, "maps");
	printf("maps: %s, %s\n", strstr(g_text, ours) ? "its program" : "no program", strstr(g_text, "[stack]") ? "stack" : "no stack");
	printf("smaps: %s\n", strstr(slurp(pid, "smaps"), "\nRss:") ? "some" : "nothing");
	links(pid, ours);
	descriptors(pid);
	tasks(pid);
	line(pid, "limits", "Max open files");
	printf("io: %s, cgroup: %s, ", *slurp(pid, "io") ? "some" : "nothing", *slurp(pid, "cgroup") ? "some" : "nothing");
	printf("oom_score: %s\n", *slurp(pid, "oom_score") ? "some" : "nothing");
	printf("mounts: %s", *slurp(pid, "mounts") ? "some" : strerror(errno));
	printf(", mountinfo: %s\n", *slurp(pid, "mountinfo") ? "some" : strerror(errno));
}

/* --- the children --- */

static int g_started;

static void *thread(void *name)
{
	char byte;

	prctl(PR_SET_NAME, name);
	__atomic_fetch_add(&g_started, 1, __ATOMIC_SEQ_CST);
	(void)!read(FROM_US, &byte, 1); /* until it is closed */
	return NULL;
}

static int child(const char *what)
{
	static const char *const names[THREADS] = { "one", "two", "three" };
	char bytes[5];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGHUP, SIG_DFL);
	umask(027);
	(void)!read(7, bytes, 5);
	raise(SIGUSR1);
	if (!strcmp(what, "ends"))
		return 7;
	for (int i = 0; i < THREADS && !strcmp(what, "sleeps"); i++) {
		pthread_t t;

		pthread_create(&t, NULL, thread, (void *)(uintptr_t)names[i]);
		while (__atomic_load_n(&g_started, __ATOMIC_SEQ_CST) <= i) /* their numbers are in order */
			sched_yield();
	}
	if (!strcmp(what, "stops")) {
		raise(SIGSTOP);
		return 3;
	}
	(void)!write(TO_US, "r", 1);
	while (!strcmp(what, "runs"))
		;
	return (int)read(FROM_US, bytes, 1);
}

/* FROM_US and TO_US are pipes, 7 a file. */
static pid_t start(const char *program, const char *what, int pipes[4])
{
	char *argv[] = { (char *)(uintptr_t)program, "child", (char *)(uintptr_t)what, "", "last word", NULL };
	char *envp[] = { "HERE=there", "TWO=2", NULL };
	posix_spawn_file_actions_t a;
	posix_spawnattr_t attr;
	sigset_t all;
	pid_t pid = 0;

	if (pipe2(pipes, O_CLOEXEC) || pipe2(pipes + 2, O_CLOEXEC))
		exit(1);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&a);
	posix_spawn_file_actions_adddup2(&a, pipes[0], FROM_US);
	posix_spawn_file_actions_adddup2(&a, pipes[3], TO_US);
	posix_spawn_file_actions_addopen(&a, 7, "/etc/passwd", O_RDONLY, 0);
	posix_spawn_file_actions_addchdir_np(&a, "/usr");
	if (posix_spawn(&pid, program, &a, &attr, argv, envp))
		exit(1);
	posix_spawn_file_actions_destroy(&a);
	close(pipes[0]);
	close(pipes[3]);
	return pid;
}

/* By its directory. */
static void signals(pid_t pid)
{
	static const char *const names[] = { "", "/fd", "/stat" };
	char path[64];
	int fd;

	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "/proc/%d%s", pid, names[i]);
		fd = open(path, O_RDONLY);
		T(syscall(SYS_pidfd_send_signal, fd, SIGURG, NULL, 0));
		close(fd);
	}
	snprintf(path, sizeof path, "/proc/%d", pid);
	fd = open(path, O_PATH);
	T(syscall(SYS_pidfd_send_signal, fd, SIGURG, NULL, 0));
	close(fd);
}

static void end(pid_t pid, const int pipes[4])
{
	close(pipes[1]);
	close(pipes[2]);
	kill(pid, SIGKILL);
	T(waitpid(pid, NULL, 0) == pid ? 0 : -1);
}

/* What was opened while it lived. */
static void after(pid_t pid, const int fd[3], int dir)
{
	static const char *const names[] = { "stat", "cmdline", "fd", "task", "exe", "" };
	char text[64], path[64];
	struct stat st;

	printf("--- gone\n");
	listed(pid);
	for (unsigned i = 0; i < 6; i++)
		T(openat(dir, names[i], O_RDONLY));
	for (unsigned i = 0; i < 6; i++) {
		snprintf(path, sizeof path, "/proc/%d/%s", pid, names[i]);
		T(access(path, F_OK));
	}
	for (int i = 0; i < 3; i++)
		T(read(fd[i], text, sizeof text));
	T(lseek(dir, 0, SEEK_SET));
	T(syscall(SYS_getdents64, dir, text, sizeof text));
	T(fstat(dir, &st));
	T(syscall(SYS_pidfd_send_signal, dir, 0, NULL, 0));
}

/* What oom_score_adj and oom_adj take and tell, and that a child inherits it. None of it needs a right. */
static void oom_scores(void)
{
	static const char *const files[] = { "oom_score_adj", "oom_adj" };
	static const char *const words[] = { "0", "5\n", "0x10", "010", " 7 ", "+3", "15", "-1001", "1001", "abc", "", " ", "08", "0x", "1 2",
					     "99999999999999" };
	char path[64];
	int fd[2];
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "/proc/self/%s", files[i]);
		fd[i] = open(path, O_WRONLY);
		for (unsigned w = 0; w < sizeof words / sizeof *words; w++) {
			/* back to 0 first: oom_adj may not lower it */
			if (pwrite(fd[0], "0", 1, 0) != 1)
				printf("0: %s\n", strerror(errno));
			errno = 0;
			printf("%s '%s': %zd %s", files[i], words[w], pwrite(fd[i], words[w], strlen(words[w]), 0), strerror(errno));
			printf(" %d", atoi(slurp(getpid(), files[0])));
			printf(" %d\n", atoi(slurp(getpid(), files[1])));
		}
		T(pwrite(fd[i], NULL, 3, 0));
	}
	T(pwrite(fd[0], "300", 3, 0));
	pid = fork();
	if (!pid) {
		printf("inherited: %d\n", atoi(slurp(getpid(), files[0])));
		T(pwrite(open("/proc/self/oom_score_adj", O_WRONLY), "400", 3, 0));
		_exit(0);
	}
	waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
	printf("its own: %d", atoi(slurp(pid, files[0])));
	printf(", ours %d\n", atoi(slurp(getpid(), files[0])));
	waitpid(pid, NULL, 0);
	T(pwrite(fd[0], "0", 1, 0));
	for (int i = 0; i < 2; i++)
		close(fd[i]);
}

int main(int argc, char **argv)
{
	static const char *const states[] = { "sleeps", "runs", "stops", "ends" };
	const struct rlimit few = { 100, 200 };
	char ours[4096] = "", path[64];
	struct sysinfo info;
	int pipes[4], fd[3], dir, running, total;
	pid_t pid;

	if (argc > 2)
		return child(argv[2]);
	(void)!readlink("/proc/self/exe", ours, sizeof ours - 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 3; i < 1024; i++)
		close(i);
	for (unsigned i = 0; i < 4; i++) {
		siginfo_t told;

		pid = start(ours, states[i], pipes);
		if (prlimit(pid, RLIMIT_NOFILE, &few, NULL))
			printf("prlimit: %s\n", strerror(errno));
		if (i < 2)
			(void)!read(pipes[2], path, 1);
		else
			waitid(P_PID, (id_t)pid, &told, (i == 2 ? WSTOPPED : WEXITED) | WNOWAIT);
		settle(pid, "stat", (const char *[]){ "S", "R", "T", "Z" }[i]);
		look(states[i], pid, ours);
		if (i == 0) {
			slurp(getpid(), "../loadavg");
			sscanf(strchr(strchr(strchr(g_text, ' ') + 1, ' ') + 1, ' '), "%d/%d", &running, &total);
			printf("running %d, at least all of ours %d\n", running > 0, total >= 2 + THREADS);
			printf("sysinfo: %d\n", sysinfo(&info) == 0 && info.procs >= 2 + THREADS);
			printf("processes: %d\n", atoi(strstr(slurp(getpid(), "../stat"), "\nprocesses ") + 11) >= 2 + THREADS);
		}
		if (i == 3) {
			snprintf(path, sizeof path, "/proc/%d", pid);
			dir = open(path, O_RDONLY | O_DIRECTORY);
			for (int n = 0; n < 3; n++)
				fd[n] = openat(dir, (const char *[]){ "stat", "cmdline", "status" }[n], O_RDONLY);
		}
		signals(pid);
		end(pid, pipes);
	}
	after(pid, fd, dir);
	oom_scores();
	return 0;
}
