/*
 * How programs start others: posix_spawn with file actions and attributes, vfork, system and popen; what the child has of its
 * parent, that the parent of a vfork waits and finds what the child wrote, clone with CLONE_VM and without CLONE_VFORK.
 * Build: gcc static musl musl-static
 * Args: {dir}
 */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "process.h"

static char g_path[PATH_MAX];

static const char *path(const char *name)
{
	snprintf(g_path, sizeof g_path, "%s/%s", g_word, name);
	return g_path;
}

static void say_error(const char *what, int err)
{
	printf("%s: %s\n", what, err ? strerror(err) : "ok");
}

static void spawn(const char *what, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr, const char *role, const char *word)
{
	char *words[] = { g_self, (char *)role, (char *)word, NULL };
	pid_t pid;
	int err = posix_spawn(&pid, g_self, actions, attr, words, environ);

	if (err)
		say_error(what, err);
	else
		reap(what, pid);
}

static void say_file(const char *name)
{
	char text[300] = "";
	int fd = open(path(name), O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
		say(name, -1);
	close(fd);
	printf("%s holds: %s", name, text);
}

static void files(void)
{
	posix_spawn_file_actions_t actions;
	int ends[2], fd, err;
	char text[100] = "", *word;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, path("out"), O_WRONLY | O_CREAT | O_TRUNC, 0640);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	spawn("to a file", &actions, NULL, "both", "");
	posix_spawn_file_actions_destroy(&actions);
	say_file("out");

	new_pipe(ends);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	posix_spawn_file_actions_addclose(&actions, ends[1]);
	posix_spawn_file_actions_addclose(&actions, 0);
	spawn("to a pipe, without input", &actions, NULL, "descriptors", "3");
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (read(ends[0], text, sizeof text - 1) <= 0)
		say("read", -1);
	printf("through the pipe: %s", text);
	close(ends[0]);

	fd = open(path("out"), O_RDONLY | O_CLOEXEC);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, fd); /* takes close-on-exec away, in the child */
	if (asprintf(&word, "%d", fd) < 0)
		return;
	spawn("dup2 to itself", &actions, NULL, "has", word);
	printf("here it stays %d\n", fcntl(fd, F_GETFD));
	spawn("without", NULL, NULL, "has", word);
	posix_spawn_file_actions_destroy(&actions);
	free(word);

	posix_spawn_file_actions_init(&actions);
	err = posix_spawn_file_actions_addchdir_np(&actions, "/usr");
	posix_spawn_file_actions_addchdir_np(&actions, "bin");
	say_error("addchdir", err);
	spawn("in another folder", &actions, NULL, "folder", "");
	posix_spawn_file_actions_destroy(&actions);
	posix_spawn_file_actions_init(&actions);
	close(fd);
	fd = open("/usr/share", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	posix_spawn_file_actions_addfchdir_np(&actions, fd);
	spawn("by descriptor", &actions, NULL, "folder", "");
	posix_spawn_file_actions_destroy(&actions);
	close(fd);
	spawn("here", NULL, NULL, "folder", "");

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 5, "/nonexistent/file", O_RDONLY, 0);
	spawn("a file that is not there", &actions, NULL, "folder", "");
	posix_spawn_file_actions_destroy(&actions);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, 777, 5);
	spawn("no such descriptor", &actions, NULL, "folder", "");
	posix_spawn_file_actions_destroy(&actions);
}

static void attributes(void)
{
	posix_spawnattr_t attr;
	sigset_t mask, defaults;
	char *words[] = { g_self, "has", "0", NULL };
	pid_t pid;
	int err;

	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	posix_spawnattr_init(&attr);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGRTMAX);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGUSR1);
	posix_spawnattr_setsigmask(&attr, &mask);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	spawn("signals", NULL, &attr, "signals", "");
	spawn("inherited", NULL, NULL, "signals", "");
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	spawn("its own group", NULL, &attr, "group", "");
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	spawn("its own session", NULL, &attr, "group", "");
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_RESETIDS);
	spawn("with its own ids", NULL, &attr, "group", "");
	posix_spawnattr_setpgroup(&attr, 0x3fffff);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	spawn("a group that is not", NULL, &attr, "group", "");
	posix_spawnattr_destroy(&attr);

	say_error("no such program", posix_spawn(&pid, "/nonexistent", NULL, NULL, words, environ));
	say_error("a folder", posix_spawn(&pid, "/usr", NULL, NULL, words, environ));
	say_error("not executable", posix_spawn(&pid, "/etc/passwd", NULL, NULL, words, environ));
	say("none of these is a child", waitpid(-1, NULL, 0));
	setenv("PATH", "/nonexistent:/usr/bin:/bin", 1);
	words[0] = "true", words[1] = NULL;
	err = posix_spawnp(&pid, "true", NULL, NULL, words, environ);
	say_error("in PATH", err);
	if (!err)
		reap("true", pid);
	say_error("not in PATH", posix_spawnp(&pid, "no-such-program", NULL, NULL, words, environ));
}

static volatile int g_seen;
static int g_here;

/* Kept from being inlined: it returns in the parent after the child has used its frame. */
__attribute__((noinline)) static pid_t vfork_that(int how)
{
	pid_t pid = vfork();

	if (pid)
		return pid;
	g_seen = 1;
	if (how == 0)
		_exit(50);
	if (how == 1)
		kill(getpid(), SIGKILL);
	if (how == 2) {
		setpgid(0, 0);
		umask(0123);
		if (chdir("/usr") || setpriority(PRIO_PROCESS, 0, 19))
			_exit(51);
		close(g_here);
		signal(SIGUSR1, SIG_IGN);
		alarm(1000);
		_exit(getppid() == getsid(0) && getpid() != getppid() && syscall(SYS_gettid) == getpid() ? 52 : 53);
	}
	if (how == 3)
		syscall(SYS_exit, 54); /* as exit_group, of the child only */
	execl("/nonexistent", "x", NULL);
	_exit(errno == ENOENT ? 55 : 56);
}

static void forks(void)
{
	struct sigaction action;
	char folder[PATH_MAX];
	int mask, nice = getpriority(PRIO_PROCESS, 0);

	g_here = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (chdir("/etc"))
		say("chdir", -1);
	for (int how = 0; how < 5; how++) {
		g_seen = 0;
		pid_t pid = vfork_that(how);
		printf("the child wrote %d\n", g_seen);
		reap("vfork", pid);
	}
	mask = umask(022);
	sigaction(SIGUSR1, NULL, &action);
	printf("nothing of it is here: group %d, mask %o, folder %s, descriptor %d, ignored %d, nice %d, alarm %u\n", getpgrp() == getpid(), mask,
	       getcwd(folder, sizeof folder), fcntl(g_here, F_GETFD), action.sa_handler == SIG_IGN, getpriority(PRIO_PROCESS, 0) == nice, alarm(0));
	close(g_here);
	if (chdir("/"))
		say("chdir", -1);
}

static void shells(void)
{
	char line[200] = "", command[PATH_MAX + 100];
	FILE *f;
	int status;

	printf("a shell %d\n", system(NULL) != 0);
	say_status("system", system("echo one; exit 3"));
	say_status("true", system("true"));
	say_status("no such command", system("/nonexistent/command 2>/dev/null"));
	say_status("killed", system("kill -TERM $$"));
	say_status("several commands", system("/bin/echo first; /bin/echo second; exec /bin/echo third"));
	snprintf(command, sizeof command, "/bin/cat > %s", path("written"));
	f = popen("/bin/echo from popen; exit 4", "r");
	if (!f || !fgets(line, sizeof line, f))
		say("popen", -1);
	printf("read %s", line);
	status = pclose(f);
	say_status("pclose", status);
	f = popen(command, "w");
	fprintf(f, "to popen\n");
	say_status("pclose", pclose(f));
	say_file("written");
	f = popen("read x; read y; echo got $x $y; exit 5", "w");
	fprintf(f, "a\nb\n");
	say_status("pclose", pclose(f));
	f = popen("kill -9 $$", "r");
	printf("nothing %d\n", fgets(line, sizeof line, f) == NULL);
	say_status("pclose", pclose(f));
	signal(SIGCHLD, SIG_IGN);
	say("system while SIGCHLD is ignored", system("exit 6"));
	signal(SIGCHLD, SIG_DFL);
}

/* Processes that share memory and run on: no libc in them but system calls. */
static atomic_int g_go, g_count;
static char g_stack[3][32768] __attribute__((aligned(16)));

static int runs(void *arg)
{
	g_count++;
	while (!g_go)
		syscall(SYS_sched_yield);
	syscall(SYS_exit_group, 60 + (int)(long)arg);
	return 0;
}

static int returns(void *arg)
{
	*(pid_t *)arg = (pid_t)syscall(SYS_getpid);
	return 63;
}

static void shares_memory(void)
{
	pid_t pid[3], seen = 0;

	for (long i = 0; i < 3; i++) {
		pid[i] = clone(runs, g_stack[i] + sizeof *g_stack, CLONE_VM | SIGCHLD, (void *)i);
		if (pid[i] < 0)
			say("clone", pid[i]);
	}
	while (g_count < 3)
		sched_yield();
	printf("run beside %d\n", waitpid(-1, NULL, WNOHANG));
	g_go = 1;
	for (int i = 0; i < 3; i++)
		reap("cloned", pid[i]);
	pid[0] = clone(returns, g_stack[0] + sizeof *g_stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &seen);
	printf("its number %d\n", seen == pid[0]);
	reap("returned", pid[0]);
	say("clear signals without memory of its own", clone(returns, g_stack[0] + sizeof *g_stack, CLONE_SIGHAND | SIGCHLD, &seen));
	say("a thread without handlers", clone(returns, g_stack[0] + sizeof *g_stack, CLONE_VM | CLONE_THREAD, &seen));
}

/* The other threads of who calls vfork run on while it waits. */
static struct counter g_other_thread;

static void threads_run_on(void)
{
	pid_t pid;

	counter_start(&g_other_thread);
	while (!g_other_thread.count)
		sched_yield();
	pid = vfork();
	if (!pid) {
		long before = g_other_thread.count;
		while (g_other_thread.count < before + 1000)
			syscall(SYS_sched_yield);
		_exit(70);
	}
	reap("others run on", pid);
	counter_end(&g_other_thread);
}

static void *spawns(void *arg)
{
	long sum = 0;

	for (int i = 0; i < 10; i++) {
		char *words[] = { g_self, "exit", (char *)arg, NULL };
		int status = 0;
		pid_t pid;

		if (posix_spawn(&pid, g_self, NULL, NULL, words, environ) || waitpid(pid, &status, 0) != pid)
			return (void *)-1;
		sum += WEXITSTATUS(status);
	}
	return (void *)sum;
}

static void at_once(void)
{
	static char *const word[] = { "1", "2", "3", "4" };
	pthread_t thread[4];
	void *sum;

	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, spawns, word[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(thread[i], &sum);
		printf("thread %d: %ld\n", i, (long)sum);
	}
}

static void tests(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	umask(022);
	files();
	attributes();
	forks();
	shells();
	shares_memory();
	threads_run_on();
	at_once();
	say("none left", waitpid(-1, NULL, 0));
}

static int role(char **argv)
{
	const char *name = argv[1];
	char text[PATH_MAX];
	struct sigaction action;
	struct stat st;
	sigset_t mask;

	if (!strcmp(name, "exit"))
		return atoi(argv[2]);
	if (!strcmp(name, "both")) {
		printf("standard output\n");
		fprintf(stderr, "standard error, mode %o\n", fstat(1, &st) ? 0 : st.st_mode & 0777);
	} else if (!strcmp(name, "descriptors")) {
		printf("open:");
		for (int fd = 0; fd < atoi(argv[2]); fd++)
			printf(" %d", fcntl(fd, F_GETFD));
		printf("\n");
	} else if (!strcmp(name, "has")) {
		printf("has it %d\n", fcntl(atoi(argv[2]), F_GETFD));
	} else if (!strcmp(name, "folder")) {
		printf("in %s\n", getcwd(text, sizeof text));
	} else if (!strcmp(name, "group")) {
		printf("group %d of the parent %d, session %d of the parent %d\n", getpgrp() == getpid(), getpgrp() == getpgid(getppid()), getsid(0) == getpid(),
		       getsid(0) == getsid(getppid()));
	} else if (!strcmp(name, "signals")) {
		sigprocmask(SIG_BLOCK, NULL, &mask);
		printf("blocked");
		for (int i = 1; i <= 64; i++)
			if (sigismember(&mask, i) == 1)
				printf(" %d", i);
		printf(", ignored");
		for (int i = 1; i <= 64; i++)
			if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
				printf(" %d", i);
		printf("\n");
	}
	return 0;
}

int main(int argc, char **argv)
{
	return play(argc, argv, role, tests);
}
