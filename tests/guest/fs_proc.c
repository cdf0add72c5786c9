/*
 * /proc and /dev: what programs look for is there, says the truth about the cVM, and nothing of the host shows.
 * Native: no
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

static char text[1 << 20];

static const char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = 0, part;

	while (fd >= 0 && (part = read(fd, text + n, sizeof text - 1 - (size_t)n)) > 0)
		n += part;
	close(fd);
	text[n] = 0;
	return fd < 0 ? NULL : text;
}

static const char *linked(const char *path)
{
	static char to[4096];
	ssize_t n = readlink(path, to, sizeof to - 1);

	to[n < 0 ? 0 : n] = 0;
	return to;
}

static void process(char **argv)
{
	char path[64], want[64];
	int fd;

	snprintf(want, sizeof want, "%d", getpid());
	CHECK(strcmp(linked("/proc/self"), want) == 0);
	CHECK(strcmp(linked("/proc/self/exe"), argv[0]) == 0);
	CHECK(strcmp(linked("/proc/self/cwd"), "/") == 0);
	CHECK(strcmp(slurp("/proc/self/cmdline"), argv[0]) == 0);
	CHECK(strstr(slurp("/proc/self/maps"), argv[0]) && strstr(text, "[stack]") && strstr(text, "r-xp"));
	CHECK(strstr(slurp("/proc/self/status"), "\nPid:\t") && strstr(text, "\nThreads:\t1\n"));
	CHECK(strncmp(slurp("/proc/self/stat"), want, strlen(want)) == 0);
	/* the program's name, cut off at 15 bytes */
	CHECK(strncmp(slurp("/proc/self/comm"), program_invocation_short_name, strnlen(program_invocation_short_name, 15)) == 0);
	CHECK(strstr(slurp("/proc/self/limits"), "Max open files"));
	CHECK(strncmp(slurp("/proc/self/mountinfo"), "1 0 ", 4) == 0);
	CHECK(access("/proc/self/exe", X_OK) == 0);
	snprintf(path, sizeof path, "/proc/self/task/%ld/comm", syscall(SYS_gettid));
	CHECK(slurp(path));
	CHECK(!slurp("/proc/2/stat") && !slurp("/proc/99999/stat"));
	fd = open("/proc/self/oom_score_adj", O_WRONLY);
	CHECK(write(fd, "500", 3) == 3);
	close(fd);
	CHECK(open("/proc/self/maps", O_WRONLY) < 0 && errno == EACCES);
	CHECK(open("/proc/new", O_WRONLY | O_CREAT, 0644) < 0);
}

static void descriptors(void)
{
	char path[64];
	DIR *d;
	int fd = open("/tmp/some file", O_RDWR | O_CREAT, 0644), again, n = 0;

	CHECK(write(fd, "bytes", 5) == 5);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	CHECK(strcmp(linked(path), "/tmp/some file") == 0);
	again = open(path, O_RDONLY);
	CHECK(again >= 0 && read(again, text, 9) == 5);
	unlink("/tmp/some file");
	CHECK(strcmp(linked(path), "/tmp/some file (deleted)") == 0);
	CHECK(open(path, O_RDONLY) >= 0);
	d = opendir("/proc/self/fd");
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	CHECK(n == 7); /* 0-2, fd, again, the unnamed one's copy, the directory itself */
	close(fd);
	CHECK(access(path, F_OK) < 0 && errno == ENOENT);
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", again);
	CHECK(strstr(slurp(path), "pos:\t5\n"));
}

static void machine(void)
{
	CHECK(strncmp(slurp("/proc/meminfo"), "MemTotal:", 9) == 0);
	CHECK(strstr(slurp("/proc/cpuinfo"), "model name\t: ") && strstr(text, " sse2 "));
	CHECK(strncmp(slurp("/proc/stat"), "cpu  ", 5) == 0);
	CHECK(strchr(slurp("/proc/uptime"), '.') && atof(text) < 3600);
	CHECK(strlen(slurp("/proc/sys/kernel/random/uuid")) == 37);
	CHECK(strlen(slurp("/proc/sys/kernel/random/boot_id")) == 37);
	CHECK(atoi(slurp("/proc/sys/net/core/somaxconn")) >= 128);
	CHECK(strcmp(slurp("/proc/sys/kernel/domainname"), "(none)\n") == 0);
	CHECK(sethostname("renamed", 7) == 0 && strcmp(slurp("/proc/sys/kernel/hostname"), "renamed\n") == 0);
	CHECK(setdomainname("there", 5) == 0 && strcmp(slurp("/proc/sys/kernel/domainname"), "there\n") == 0);
	CHECK(slurp("/proc/net/tcp") && slurp("/proc/mounts") && slurp("/proc/loadavg") && slurp("/proc/version"));
}

static void devices(void)
{
	char a[64], b[64];
	struct stat st;
	int fd;

	fd = open("/dev/null", O_RDWR);
	CHECK(write(fd, a, 64) == 64 && read(fd, a, 64) == 0);
	CHECK(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0x103);
	fd = open("/dev/zero", O_RDWR);
	memset(a, 1, sizeof a);
	CHECK(read(fd, a, 64) == 64 && a[0] == 0 && a[63] == 0);
	fd = open("/dev/full", O_RDWR);
	CHECK(write(fd, a, 1) < 0 && errno == ENOSPC);
	fd = open("/dev/urandom", O_RDONLY);
	CHECK(read(fd, a, 64) == 64 && read(fd, b, 64) == 64 && memcmp(a, b, 64) != 0);
	CHECK(access("/dev/shm", W_OK) == 0);
	CHECK(access("/dev/sda", F_OK) < 0 && access("/dev/mem", F_OK) < 0 && access("/dev/kvm", F_OK) < 0);
	CHECK(access("/proc/1/root/proc/kcore", F_OK) < 0 && access("/sys/kernel", F_OK) < 0);
}

static void *own_number(void *to)
{
	*(pid_t *)to = (pid_t)syscall(SYS_gettid);
	return NULL;
}

static pid_t child(char **argv, char *word)
{
	char *words[] = { argv[0], word, NULL };
	pid_t pid = -1;

	posix_spawn(&pid, argv[0], NULL, NULL, words, environ);
	return pid;
}

/* Numbers are used again after some 32,000 threads and processes: that of one that is gone is then another one's. */
static void used_again(char **argv)
{
	pid_t before = child(argv, "before"), pid = child(argv, "first"), number = 0, again;
	int dir, file, fds;
	char path[64], byte;
	struct stat st, now;

	snprintf(path, sizeof path, "/proc/%d", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY);
	file = openat(dir, "stat", O_RDONLY);
	fds = openat(dir, "fd", O_RDONLY | O_DIRECTORY);
	CHECK(waitpid(before, NULL, 0) == before && waitpid(pid, NULL, 0) == pid && fstat(dir, &st) == 0);
	CHECK(access(path, F_OK) < 0 && errno == ENOENT);
	for (int n = 0; n < 40000 && number != pid - 1; n++) {
		pthread_t t;

		if (pthread_create(&t, NULL, own_number, &number))
			n--, sched_yield(); /* those that have ended are still being given back */
		else
			pthread_join(t, NULL);
	}
	again = child(argv, "second");
	CHECK(again == pid);
	CHECK(waitid(P_PID, (id_t)again, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) == 0);
	CHECK(stat(path, &now) == 0 && now.st_ino != st.st_ino);
	CHECK(read(file, &byte, 1) < 0 && errno == ESRCH);
	CHECK(openat(dir, "stat", O_RDONLY) < 0 && openat(fds, "0", O_RDONLY) < 0);
	CHECK(readlinkat(dir, "exe", text, sizeof text) < 0);
	strcat(path, "/status");
	CHECK(strstr(slurp(path), "State:\tZ (zombie)"));
	CHECK(waitpid(pid, NULL, 0) == pid);
	close(dir), close(file), close(fds);
}

/* Programs that write over their arguments, and further. */
static void title(int argc, char **argv)
{
	char *end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
	size_t size = (size_t)(end - argv[0]), longer = size + 4;
	char seen[4096];
	int fd;

	CHECK(environ[0] == end && strlen(environ[0]) >= 4);
	memset(argv[0], 'x', longer);
	argv[0][longer] = 0;
	fd = open("/proc/self/cmdline", O_RDONLY);
	CHECK(read(fd, seen, sizeof seen) == (ssize_t)longer + 1 && !memcmp(seen, argv[0], longer + 1));
	close(fd);
	argv[0][size - 1] = 0;
	fd = open("/proc/self/cmdline", O_RDONLY);
	CHECK(read(fd, seen, sizeof seen) == (ssize_t)size && !memcmp(seen, argv[0], size));
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return 0;
	process(argv);
	used_again(argv);
	descriptors();
	machine();
	devices();
	title(argc, argv);
	printf(g_failures ? "%d failures\n" : "ok\n", g_failures);
	return g_failures != 0;
}
