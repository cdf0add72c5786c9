/*
 * execve: what a process keeps and what it loses, from its first thread and from another; what is refused, and that the
 * caller is whole then; scripts; programs by descriptor; arguments.
 * Build: gcc musl-static
 * Args: {dir}
 */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "process.h"

static const char *g_dir;

static const char *path(const char *name)
{
	static char text[4][PATH_MAX];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(text[turn], PATH_MAX, "%s/%s", g_dir, name);
	return text[turn];
}

/* Of a process that holds locks on it. */
static const char *locked_name(pid_t pid)
{
	static char text[50];

	snprintf(text, sizeof text, "/tmp/process-exec-%d", (int)pid);
	return text;
}

static void make(const char *name, const char *content, mode_t mode)
{
	int fd = open(path(name), O_CREAT | O_TRUNC | O_WRONLY, 0600);

	if (fd < 0 || write(fd, content, strlen(content)) != (ssize_t)strlen(content) || fchmod(fd, mode))
		say(name, -1);
	close(fd);
}

/* Says what words a program was started with; paths of this run are shortened. */
static void say_words(int argc, char **argv)
{
	printf("words %d:", argc);
	for (int i = 0; i < argc && i < 12; i++)
		if (!strcmp(argv[i], g_self))
			printf(" [SELF]");
		else if (!strncmp(argv[i], "/dev/fd/", 8))
			printf(" [/dev/fd]");
		else if (strlen(argv[i]) > 200)
			printf(" [%c x %zu]", argv[i][0], strlen(argv[i]));
		else
			printf(" [%s]", argv[i]);
	printf("\n");
}

static pid_t exec_child(const char *file, char *const *words, char *const *env)
{
	pid_t pid = vfork();

	if (!pid) {
		execve(file, words, env);
		_exit(errno);
	}
	return pid;
}

/* A child that executes a file; when it cannot, the error is its status. */
static void try(const char *what, const char *file, char *const *words, char *const *env)
{
	int status;
	pid_t pid = exec_child(file, words, env);

	if (pid < 0)
		say("vfork", pid);
	else if (waitpid(pid, &status, 0) != pid)
		say("wait", -1);
	else if (WIFEXITED(status) && WEXITSTATUS(status) && WEXITSTATUS(status) < 100)
		printf("%s: %s\n", what, strerror(WEXITSTATUS(status)));
	else
		say_status(what, status);
}

static void refusals(void)
{
	char *words[] = { "x", "words", NULL }, *empty[] = { NULL }, *broken[] = { "x", (char *)8, NULL };
	char *big, *many[40], name[5000];

	make("text", "not a program\n", 0755);
	make("nothing", "", 0755);
	make("denied", "#!/bin/sh\n", 0644);
	make("short-elf", "\177ELF\2\1\1", 0755);
	make("no-interpreter", "#!/nonexistent/interpreter\n", 0755);
	make("denied-interpreter", "#!/etc/passwd\n", 0755);
	make("only-marks", "#!\n", 0755);
	make("only-spaces", "#!   \t\n", 0755);
	if (symlink(path("loop"), path("loop")) || mkdir(path("folder"), 0755))
		say("symlink, mkdir", -1);
	try("no file", path("none"), words, environ);
	try("no folder", path("none/none"), words, environ);
	try("a file as folder", path("text/none"), words, environ);
	try("a folder", path("folder"), words, environ);
	try("not executable", path("denied"), words, environ);
	try("loop", path("loop"), words, environ);
	try("no name", "", words, environ);
	try("not a program", path("text"), words, environ);
	try("an empty file", path("nothing"), words, environ);
	try("the start of a program", path("short-elf"), words, environ);
	try("no interpreter", path("no-interpreter"), words, environ);
	try("an interpreter without permission", path("denied-interpreter"), words, environ);
	try("no name of the interpreter", path("only-marks"), words, environ);
	try("only spaces", path("only-spaces"), words, environ);
	try("unreadable name", (char *)8, words, environ);
	try("unreadable words", g_self, (char **)8, environ);
	try("an unreadable word", g_self, broken, environ);
	try("an unreadable environment", g_self, words, (char **)8);
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = 0;
	try("a long path", name, words, environ);
	name[300] = 0;
	try("a long name", path(name), words, environ);

	big = malloc(140000);
	memset(big, 'b', 140000);
	big[139999] = 0;
	words[1] = big;
	try("a word of 140,000 bytes", g_self, words, environ);
	big[131072] = 0;
	try("one of 128 KiB and its end", g_self, words, environ);
	big[131071] = 0;
	many[0] = g_self, many[1] = "words", many[2] = big, many[3] = NULL;
	try("one of 128 KiB with its end", g_self, many, environ);
	for (int i = 2; i < 39; i++)
		many[i] = big;
	many[39] = NULL;
	try("words of 5 MB", g_self, many, environ);
	many[10] = NULL;
	try("words of 1 MB", g_self, many, environ);
	free(big);
	try("NULL for words", g_self, NULL, empty);
	try("no words", g_self, empty, empty);
	many[2] = NULL;
	try("NULL for the environment", g_self, many, NULL);
	many[1] = "words", many[2] = "", many[3] = "a b", many[4] = "\n", many[5] = NULL;
	try("odd words", g_self, many, empty);
}

/* What fails leaves everything as it was: threads, descriptors, handlers, memory. */
static atomic_long g_turns;
static atomic_int g_stop;
static volatile sig_atomic_t g_caught;

static void *turns(void *arg)
{
	while (!g_stop)
		g_turns++;
	return arg;
}

static void caught(int sig)
{
	g_caught = sig;
}

static void whole_after_failure(void)
{
	static const char *const files[] = { "none", "text", "nothing", "short-elf", "no-interpreter", "denied", "folder" };
	char *words[] = { "x", NULL };
	pthread_t thread;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	long before;

	signal(SIGUSR1, caught);
	pthread_create(&thread, NULL, turns, NULL);
	for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
		say(files[i], execve(path(files[i]), words, environ));
	before = g_turns;
	while (g_turns == before)
		sched_yield();
	g_stop = 1;
	pthread_join(thread, NULL);
	raise(SIGUSR1);
	printf("whole: descriptor %d, handler %d\n", fcntl(fd, F_GETFD), g_caught);
	signal(SIGUSR1, SIG_DFL);
	close(fd);
}

static void scripts(void)
{
	char text[6000], *words[] = { "called", "a", "b c", NULL }, name[20];

	snprintf(text, sizeof text, "#!%s words\nnever read\n", g_self);
	make("script", text, 0755);
	snprintf(text, sizeof text, "#! \t %s   words two  three \t \n", g_self);
	make("script-spaces", text, 0755);
	snprintf(text, sizeof text, "#!%s", g_self);
	make("script-no-line", text, 0755);
	make("script-sh", "#!/bin/sh -e\necho \"sh: $# $1 $2 $-\"\nexit 103\n", 0755);
	make("script-env", "#!/usr/bin/env sh\necho env: $# \"$2\"\nexit 107\n", 0755);
	snprintf(text, sizeof text, "#!%s x\n", path("script"));
	make("nested2", text, 0755);
	for (int i = 3; i < 8; i++) {
		snprintf(text, sizeof text, "#!%s\n", path(i == 3 ? "nested2" : name));
		snprintf(name, sizeof name, "nested%d", i);
		make(name, text, 0755);
	}
	try("script", path("script"), words, environ);
	try("spaces", path("script-spaces"), words, environ);
	try("without the end of a line", path("script-no-line"), words, environ);
	words[1] = NULL;
	try("without words", path("script"), words, environ);
	words[1] = "a";
	try("sh", path("script-sh"), words, environ);
	try("env", path("script-env"), words, environ);
	for (int i = 2; i < 8; i++) {
		snprintf(name, sizeof name, "nested%d", i);
		try(name, path(name), words, environ);
	}
	if (symlink("script", path("link")))
		say("symlink", -1);
	try("by a link", path("link"), words, environ);
	if (chdir(g_dir))
		say("chdir", -1);
	try("relative", "script", words, environ);
	try("relative with dot", "./folder/../script", words, environ);
	if (chdir("/"))
		say("chdir", -1);
}

/* execveat and what stands on it. */
static long at(int dir, const char *file, char *const *words, int flags)
{
	long pid = vfork(), got;
	int status;

	if (!pid) {
		syscall(SYS_execveat, dir, file, words, environ, flags);
		_exit(errno);
	}
	got = waitpid((pid_t)pid, &status, 0);
	if (got != pid || !WIFEXITED(status))
		return -2;
	return WEXITSTATUS(status);
}

static void say_at(const char *what, long got)
{
	printf("%s: %s\n", what, got > 0 && got < 100 ? strerror((int)got) : got == 100 ? "ran" : "?");
}

static void by_descriptor(void)
{
	char *words[] = { g_self, "words", "by descriptor", NULL };
	int dir = open(g_dir, O_RDONLY | O_DIRECTORY), self = open(g_self, O_RDONLY | O_CLOEXEC);
	int only_path = open(g_self, O_PATH | O_CLOEXEC), script = open(path("script"), O_RDONLY);
	int text = open(path("text"), O_RDONLY | O_CLOEXEC);

	if (symlink(g_self, path("link-self")))
		say("symlink", -1);
	say_at("empty path", at(self, "", words, AT_EMPTY_PATH));
	say_at("O_PATH", at(only_path, "", words, AT_EMPTY_PATH));
	say_at("empty path without the flag", at(self, "", words, 0));
	say_at("a folder", at(dir, "", words, AT_EMPTY_PATH));
	say_at("below a folder", at(dir, "script", words, 0));
	say_at("a link", at(dir, "link-self", words, 0));
	say_at("a link not followed", at(dir, "link-self", words, AT_SYMLINK_NOFOLLOW));
	say_at("no link not followed", at(dir, "script", words, AT_SYMLINK_NOFOLLOW));
	say_at("absolute", at(-1, g_self, words, 0));
	say_at("no folder", at(self, "script", words, 0));
	say_at("no descriptor", at(999, "", words, AT_EMPTY_PATH));
	say_at("bad flags", at(-1, g_self, words, 1));
	say_at("not a program", at(text, "", words, AT_EMPTY_PATH));
	say_at("a script", at(script, "", words, AT_EMPTY_PATH));
	pid_t pid = vfork();
	if (!pid) {
		fexecve(self, words, environ);
		_exit(126);
	}
	reap("fexecve", pid);
	close(dir), close(self), close(only_path), close(script), close(text);
}

/* What survives: set up in one program, looked at by the next. */

static void *in_thread(void *arg)
{
	char **words = arg;

	prctl(PR_SET_PDEATHSIG, SIGWINCH);
	execve(g_self, words, environ);
	say("execve", -1);
	return NULL;
}

static void *waits(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void before(char **argv)
{
	struct itimerval timer = { { 0, 0 }, { 1000, 0 } };
	struct rlimit limit;
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	struct itimerspec spec = { .it_value = { 1000, 0 } };
	static char stack[65536];
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof stack };
	char pid[20], parent[20], fds[200], *words[] = { g_self, "after", argv[2], pid, parent, fds, NULL };
	sigset_t set;
	timer_t id;
	pthread_t thread[3];
	int kept = open(path("data"), O_RDWR | O_CREAT | O_TRUNC, 0600), closed = open("/dev/null", O_RDONLY | O_CLOEXEC), event_fd = eventfd(5, 0);
	int epoll = epoll_create1(0), later = dup(0), pair[2], locked = open(locked_name(getpid()), O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct epoll_event watch = { .events = EPOLLIN, .data.u64 = 4711 };
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5 };

	setpgid(0, 0);
	umask(027);
	if (chdir(g_dir) || write(kept, "0123456789", 10) != 10 || lseek(kept, 4, SEEK_SET) != 4 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		say("set up", -1);
	epoll_ctl(epoll, EPOLL_CTL_ADD, event_fd, &watch);
	fcntl(later, F_SETFD, FD_CLOEXEC);
	fcntl(locked, F_SETLK, &lock);
	flock(locked, LOCK_EX);
	if (write(pair[1], "hello", 5) != 5)
		say("write", -1);
	setpriority(PRIO_PROCESS, 0, 19);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 77;
	setrlimit(RLIMIT_NOFILE, &limit);
	prctl(PR_SET_NAME, "before");
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_KEEPCAPS, 1);
	prctl(PR_SET_TIMERSLACK, 123456);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGUSR1, caught);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_SETMASK, &set, NULL);
	raise(SIGTERM);
	raise(SIGRTMIN), raise(SIGRTMIN);
	kill(getpid(), SIGUSR1);
	sigaltstack(&alt, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	timer_create(CLOCK_MONOTONIC, &event, &id);
	timer_settime(id, 0, &spec, NULL);
	snprintf(pid, sizeof pid, "%d", getpid());
	snprintf(parent, sizeof parent, "%d", getppid());
	snprintf(fds, sizeof fds, "%d %d %d %d %d %d %d %d", kept, closed, event_fd, epoll, later, pair[0], pair[1], locked);
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, i ? waits : turns, NULL);
	while (!g_turns)
		sched_yield();
	if (!strcmp(argv[3], "leader"))
		in_thread(words);
	pthread_create(&thread[0], NULL, in_thread, words);
	if (!strcmp(argv[3], "thread"))
		pthread_exit(NULL);
	if (!strcmp(argv[3], "thread-joins"))
		pthread_join(thread[0], NULL);
	for (;;)
		g_turns++;
}

static void say_signals(void)
{
	sigset_t mask, pending, none;
	struct sigaction action;
	siginfo_t info;
	struct timespec now = { 0, 0 };

	sigprocmask(SIG_BLOCK, NULL, &mask);
	sigpending(&pending);
	printf("blocked");
	for (int i = 1; i <= 64; i++)
		if (sigismember(&mask, i) == 1)
			printf(" %d", i);
	printf(", pending");
	for (int i = 1; i <= 64; i++)
		if (sigismember(&pending, i) == 1)
			printf(" %d", i);
	printf(", ignored");
	for (int i = 1; i <= 64; i++)
		if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			printf(" %d", i);
	printf(", caught");
	for (int i = 1; i <= 64; i++)
		if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL)
			printf(" %d", i);
	sigemptyset(&none);
	sigaddset(&none, SIGRTMIN);
	printf(", queued");
	while (sigtimedwait(&none, &info, &now) > 0)
		printf(" %d", info.si_signo);
	printf("\n");
}

static void say_descriptors(const char *list)
{
	int fd[8] = { 0 };
	char text[11] = "";
	struct epoll_event event;
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 100 };
	unsigned long value = 0;
	long got;

	sscanf(list, "%d %d %d %d %d %d %d %d", &fd[0], &fd[1], &fd[2], &fd[3], &fd[4], &fd[5], &fd[6], &fd[7]);
	printf("position %ld", (long)lseek(fd[0], 0, SEEK_CUR));
	got = read(fd[0], text, 3);
	printf(", read %ld %s\n", got, text);
	say("closed", fcntl(fd[1], F_GETFD));
	say("closed by fcntl", fcntl(fd[4], F_GETFD));
	got = epoll_wait(fd[3], &event, 1, 0);
	printf("epoll %ld, its data %d", got, event.data.u64 == 4711);
	got = read(fd[2], &value, sizeof value);
	printf(", event %ld %lu\n", got, value);
	memset(text, 0, sizeof text);
	got = read(fd[5], text, 10);
	printf("socket %ld %s\n", got, text);
	say("own record lock", fcntl(fd[7], F_SETLK, &lock));
	reap("record lock, seen by a child", start("sees-lock", g_dir, NULL));
	reap("flock, seen by a child", start("sees-flock", g_dir, NULL));
	unlink(locked_name(getpid()));
}

static int after(char **argv)
{
	struct itimerval timer;
	struct itimerspec spec;
	struct rlimit limit;
	struct stat st;
	stack_t alt;
	char name[17] = "", cwd[PATH_MAX];
	int value = 0, fd;

	printf("the same process %d, its first thread %d, parent %d\n", getpid() == atoi(argv[3]), syscall(SYS_gettid) == getpid(), getppid() == atoi(argv[4]));
	printf("group %d, session %d\n", getpgrp() == getpid(), getsid(0) == getsid(getppid()));
	printf("folder %d\n", getcwd(cwd, sizeof cwd) && !strcmp(cwd, g_dir));
	fd = open("made", O_CREAT | O_WRONLY, 0666);
	fstat(fd, &st);
	printf("mode %o\n", st.st_mode & 0777);
	close(fd);
	unlink("made");
	errno = 0;
	printf("nice %d\n", getpriority(PRIO_PROCESS, 0));
	getrlimit(RLIMIT_NOFILE, &limit);
	printf("limit %d\n", (int)limit.rlim_cur);
	prctl(PR_GET_NAME, name);
	printf("name %s\n", name);
	prctl(PR_GET_PDEATHSIG, &value);
	printf("pdeath %d, no_new_privs %d, keepcaps %d, slack %d", value, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_KEEPCAPS), prctl(PR_GET_TIMERSLACK));
	prctl(PR_GET_CHILD_SUBREAPER, &value);
	printf(", reaps %d, dumpable %d\n", value, prctl(PR_GET_DUMPABLE));
	say_signals();
	sigaltstack(NULL, &alt);
	printf("alternate stack %s\n", alt.ss_flags & SS_DISABLE ? "none" : "kept");
	getitimer(ITIMER_REAL, &timer);
	printf("alarm runs %d\n", timer.it_value.tv_sec > 500);
	timer.it_value.tv_sec = 0, timer.it_value.tv_usec = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
	say("timer", syscall(SYS_timer_gettime, 0, &spec));
	signal(SIGCHLD, SIG_DFL);
	say_descriptors(argv[5]);
	return 0;
}

static void survives(void)
{
	reap("from the first thread", start("before", g_dir, "leader", NULL));
	reap("from another, the first spins", start("before", g_dir, "thread-spins", NULL));
	reap("from another, the first waits", start("before", g_dir, "thread-joins", NULL));
	reap("from another, the first has left", start("before", g_dir, "thread", NULL));
	reap("children stay", start("parent", g_dir, NULL));
	reap("a hundred times", start("again", g_dir, "100", NULL));
}

static void tests(void)
{
	struct rlimit limit;

	g_dir = g_word;
	signal(SIGCHLD, SIG_DFL);
	getrlimit(RLIMIT_STACK, &limit);
	limit.rlim_cur = 8 << 20; /* of which words may take a quarter */
	setrlimit(RLIMIT_STACK, &limit);
	refusals();
	whole_after_failure();
	scripts();
	by_descriptor();
	survives();
	say("none left", waitpid(-1, NULL, 0));
}

static int role(int argc, char **argv)
{
	const char *name = argv[1];
	char number[20];

	g_dir = argc > 2 ? argv[2] : "";
	if (!strcmp(name, "before"))
		before(argv);
	else if (!strcmp(name, "after"))
		return after(argv);
	else if (!strcmp(name, "sees-lock")) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 200 };
		int fd = open(locked_name(getppid()), O_RDWR);
		fcntl(fd, F_GETLK, &lock);
		printf("type %d from %ld for %ld by the parent %d\n", lock.l_type, (long)lock.l_start, (long)lock.l_len, lock.l_pid == getppid());
	} else if (!strcmp(name, "sees-flock")) {
		say("flock", flock(open(locked_name(getppid()), O_RDWR), LOCK_EX | LOCK_NB));
	} else if (!strcmp(name, "parent")) { /* becomes another program that waits for the child of the first */
		pid_t child = start("exits", argv[2], NULL);
		snprintf(number, sizeof number, "%d", child);
		execl(g_self, g_self, "waits", argv[2], number, NULL);
	} else if (!strcmp(name, "waits")) {
		reap("the child from before", atoi(argv[3]));
	} else if (!strcmp(name, "exits")) {
		return 42;
	} else if (!strcmp(name, "again") && atoi(argv[3])) {
		snprintf(number, sizeof number, "%d", atoi(argv[3]) - 1);
		execl(g_self, g_self, "again", argv[2], number, NULL);
		say("again", -1);
	}
	return 0;
}

static int is_folder(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 && S_ISDIR(st.st_mode);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	g_self = argv[0];
	if (argc > 1 && (is_folder(argv[1]) || !strcmp(argv[1], "tests")))
		return apart(argc, argv, tests);
	if (argc > 2 && is_folder(argv[2]))
		return role(argc, argv);
	say_words(argc, argv);
	return 100;
}
