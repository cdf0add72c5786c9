/*
 * With --init nobody has to wait for processes whose parent has ended: they are not the first process's children, say that pid 1 is their
 * parent, and go when they end, whether that comes before or after their parent's end. Who asks for orphans (PR_SET_CHILD_SUBREAPER)
 * still gets them, and one's own children are waited for as ever.
 * Build: gcc
 * Options: --init
 * Native: no
 */
#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

#define ORPHANS 300

static volatile sig_atomic_t g_signals;

static void count(int sig)
{
	(void)sig;
	g_signals++;
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static int processes(void)
{
	DIR *dir = opendir("/proc");
	int n = 0;

	for (struct dirent *e; dir && (e = readdir(dir));)
		n += isdigit((unsigned char)e->d_name[0]) != 0;
	closedir(dir);
	return n;
}

static void wait_until_alone(void)
{
	while (processes() > 1)
		pause_a_little();
}

static char state_of(pid_t pid)
{
	char path[64], text[512] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	fgets(text, sizeof text, f);
	fclose(f);
	char *at = strrchr(text, ')');
	return at ? at[2] : '?';
}

/* Its parent ends, and then it does, when it is told. */
static void outlives_its_parent(void)
{
	int go[2], tells[2], status;
	pid_t pid, orphan, parent;

	CHECK(pipe(go) == 0 && pipe(tells) == 0);
	pid = fork();
	if (!pid) {
		pid_t before = getpid();

		if (fork())
			_exit(7);
		close(go[1]);
		while (getppid() == before)
			pause_a_little();
		pid_t words[2] = {getpid(), getppid()};
		char byte;
		write(tells[1], words, sizeof words);
		read(go[0], &byte, 1);
		_exit(3);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
	CHECK(read(tells[0], &orphan, sizeof orphan) == sizeof orphan && read(tells[0], &parent, sizeof parent) == sizeof parent);
	CHECK(parent == 1 && kill(orphan, 0) == 0);
	CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
	CHECK(waitpid(orphan, NULL, WNOHANG) == -1 && errno == ECHILD);
	close(go[1]);
	wait_until_alone();
	CHECK(kill(orphan, 0) == -1 && errno == ESRCH);
	close(go[0]), close(tells[0]), close(tells[1]);
}

/* It has ended before its parent does, who does not wait for it. */
static void zombie_of_who_ends(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		pid_t child = fork();

		if (!child)
			_exit(3);
		while (state_of(child) != 'Z')
			pause_a_little();
		_exit(7);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
	CHECK(processes() == 1);
	CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

static void stopped_and_killed(void)
{
	int tells[2], status;
	pid_t pid, orphan;

	CHECK(pipe(tells) == 0);
	pid = fork();
	if (!pid) {
		orphan = fork();
		if (orphan) {
			write(tells[1], &orphan, sizeof orphan);
			_exit(0);
		}
		for (;;)
			pause();
	}
	CHECK(waitpid(pid, &status, 0) == pid && read(tells[0], &orphan, sizeof orphan) == sizeof orphan);
	CHECK(kill(orphan, SIGSTOP) == 0);
	while (state_of(orphan) != 'T')
		pause_a_little();
	CHECK(kill(orphan, SIGCONT) == 0);
	while (state_of(orphan) != 'S')
		pause_a_little();
	CHECK(kill(orphan, SIGTERM) == 0);
	wait_until_alone();
	close(tells[0]), close(tells[1]);
}

/* More than there may be threads, one after the other. */
static void many(void)
{
	int status;

	for (int i = 0; i < ORPHANS; i++) {
		pid_t pid = vfork();

		if (!pid) {
			if (vfork())
				_exit(0);
			_exit(0);
		}
		CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	}
	wait_until_alone();
}

static void told_that_the_parent_ended(void)
{
	int tells[2], status;
	char byte = 0;
	pid_t pid;

	CHECK(pipe(tells) == 0);
	pid = fork();
	if (!pid) {
		int up[2];

		pipe(up);
		if (fork()) {
			read(up[0], &byte, 1);
			_exit(0);
		}
		signal(SIGUSR1, count);
		prctl(PR_SET_PDEATHSIG, SIGUSR1);
		write(up[1], "u", 1);
		while (!g_signals)
			pause_a_little();
		write(tells[1], "t", 1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && read(tells[0], &byte, 1) == 1 && byte == 't');
	wait_until_alone();
	close(tells[0]), close(tells[1]);
}

/* `deep`: not pid 1, but a child of it that asks. */
static void who_asks_gets_them(int deep)
{
	int status, kinds = 0;
	pid_t self = deep ? fork() : 0, pid;

	if (!self) {
		pid_t asks = getpid();

		CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
		pid = fork();
		if (!pid) {
			if (!fork()) {
				while (getppid() != asks)
					pause_a_little();
				_exit(3);
			}
			_exit(7);
		}
		for (int i = 0; i < 2; i++) {
			CHECK(wait(&status) > 0);
			kinds |= WEXITSTATUS(status) == 7 ? 1 : WEXITSTATUS(status) == 3 ? 2 : 4;
		}
		CHECK(kinds == 3 && wait(NULL) == -1 && errno == ECHILD);
		CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
		if (deep)
			_exit(g_failures != 0);
	} else {
		CHECK(waitpid(self, &status, 0) == self && status == 0);
	}
	wait_until_alone();
}

int main(void)
{
	pid_t pid;
	int status;

	CHECK(getpid() == 1);
	signal(SIGCHLD, count);
	pid = fork();
	if (!pid)
		_exit(9);
	while (state_of(pid) != 'Z')
		pause_a_little();
	CHECK(g_signals == 1);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 9);
	outlives_its_parent();
	zombie_of_who_ends();
	stopped_and_killed();
	CHECK(g_signals == 4); /* for the children, not for the orphans */
	signal(SIGCHLD, SIG_DFL);
	g_signals = 0;
	many();
	told_that_the_parent_ended();
	who_asks_gets_them(0);
	who_asks_gets_them(1);
	puts(g_failures ? "failed" : "ok");
	return g_failures != 0;
}
