/*
 * Children of syscalls_guest.c, which includes this: a copy of the program makes some calls of the same kinds with all that it inherited, and
 * ends, or executes the program again, which tells what is left. Its parent waits, so that what can be seen is determined.
 */
#ifndef TESTS_FUZZ_SYSCALLS_FORK_H
#define TESTS_FUZZ_SYSCALLS_FORK_H

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

static void one_call(const char *kinds);

static void look_at_descriptors(void)
{
	for (int n = FD_FIRST; n < 64; n++) {
		int flags = fcntl(n, F_GETFD);
		struct stat st;
		if (flags < 0 || fstat(n, &st))
			continue;
		say(" %d: %x %o %o", n, (unsigned)flags, (unsigned)fcntl(n, F_GETFL), st.st_mode & S_IFMT);
		if (S_ISREG(st.st_mode))
			say(" at %ld", (long)lseek(n, 0, SEEK_CUR));
	}
}

static void look_at_signals(void)
{
	sigset_t set;

	for (int i = 1; i < 65; i++) {
		struct sigaction action;
		if (!sigaction(i, NULL, &action) && action.sa_handler != SIG_DFL)
			say(" %d %s", i, action.sa_handler == SIG_IGN ? "ignored" : "handled");
	}
	sigprocmask(SIG_BLOCK, NULL, &set);
	say(" blocked");
	show_set(&set);
	sigpending(&set);
	say(" pending");
	show_set(&set);
}

/* The program was executed again by a child: what it finds. */
static int look_again(const char *directory, bool by_name)
{
	char where[4096] = { 0 }, name[17] = { 0 };
	struct itimerval timer = { 0 };
	struct rlimit core = { 0, 0 };
	int death = -1;
	stack_t stack;

	look_at_descriptors();
	look_at_signals();
	getitimer(ITIMER_REAL, &timer);
	getrlimit(RLIMIT_CORE, &core);
	sigaltstack(NULL, &stack);
	prctl(PR_GET_NAME, name);
	prctl(PR_GET_PDEATHSIG, &death);
	say(" timer %d core %ld stack %x name %s death %d dumpable %d keep %d umask %o", timer.it_value.tv_sec != 0, (long)core.rlim_cur, (unsigned)stack.ss_flags & SS_DISABLE, by_name ? name : "", death, /* without one it is a matter of versions */
	    prctl(PR_GET_DUMPABLE), prctl(PR_GET_KEEPCAPS), umask(0));
	long r = syscall(SYS_getcwd, where, sizeof where);
	say(" in %s", r > 0 && strncmp(where, directory, strlen(directory)) == 0 ? where + strlen(directory) : "nowhere");
	flush();
	return 33;
}

static void execute_again(void)
{
	unsigned how = below(3);
	char *const arguments[] = { (char *)g_program, how ? "file" : "again", (char *)g_directory, NULL };
	int n = how ? open(g_program, how == 1 ? O_RDONLY | O_CLOEXEC : O_PATH | O_CLOEXEC) : -1;

	say("\n  execute %u", how);
	if (n > FD_LAST + 40 || (how && n < 0))
		_exit(10);
	flush();
	if (how)
		syscall(SYS_execveat, n, "", arguments, environ, AT_EMPTY_PATH);
	else
		execv(g_program, arguments);
	_exit(11);
}

/* Of files that are mapped privately a fork makes copies: CAVEATS.md. */
static void hide_private_files(void)
{
	char line[300];

	for (unsigned i = 0; i < REGION_PAGES; i++)
		if (maps_line(g_region + i * PAGE, line, sizeof line) && strstr(line, "p ") && strchr(line, '/'))
			reserve(g_region + i * PAGE, PAGE);
}

static void do_fork(void)
{
	unsigned steps = below(12);
	bool executes = rarely(3);
	int status = -1;

	if (g_is_child)
		return;
	if (g_maps)
		hide_private_files();
	say("fork %u", steps);
	flush();
	sigset_t all, before; /* the signals that it sends come together */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t child = fork();
	if (child == 0) {
		g_is_child = true;
		sigprocmask(SIG_SETMASK, &before, NULL);
		for (unsigned i = 0; i < steps; i++) {
			say("\n  ");
			one_call(g_kinds);
		}
		if (executes)
			execute_again();
		flush();
		_exit((int)(next() & 7));
	}
	pid_t ended = waitpid(child, &status, 0);
	say("\n  ended");
	result(ended < 0 ? -1 : 0);
	say(" with %x", (unsigned)status);
	sigprocmask(SIG_SETMASK, &before, NULL);
	g_random ^= 0x5851f42d4c957f2d; /* the child went on from here */
}

#endif
