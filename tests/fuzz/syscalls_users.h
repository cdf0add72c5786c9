/*
 * Random calls of syscalls_guest.c, which includes this, on who a process is and what it may use: user and group numbers, limits of
 * descriptors and of file sizes. In children of some calls each, for what is given up does not come back.
 */
#ifndef TESTS_FUZZ_SYSCALLS_USERS_H
#define TESTS_FUZZ_SYSCALLS_USERS_H

#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int g_user_file;

static long user_number(void)
{
	return ONE_OF(0, 0, 0, 1000, 1000, 2000, -1);
}

static void user_show(void)
{
	uid_t u[3] = { 9, 9, 9 };
	gid_t g[3] = { 9, 9, 9 };

	getresuid(&u[0], &u[1], &u[2]);
	getresgid(&g[0], &g[1], &g[2]);
	say(" now %d %d %d, %d %d %d", (int)u[0], (int)u[1], (int)u[2], (int)g[0], (int)g[1], (int)g[2]);
}

static void user_change(void)
{
	long a = user_number(), b = user_number(), c = user_number();

	switch (below(8)) {
	case 0: say("setuid %ld", a); result(syscall(SYS_setuid, a)); break;
	case 1: say("setgid %ld", a); result(syscall(SYS_setgid, a)); break;
	case 2: say("setreuid %ld %ld", a, b); result(syscall(SYS_setreuid, a, b)); break;
	case 3: say("setregid %ld %ld", a, b); result(syscall(SYS_setregid, a, b)); break;
	case 4:
	case 5: say("setresuid %ld %ld %ld", a, b, c); result(syscall(SYS_setresuid, a, b, c)); break;
	default: say("setresgid %ld %ld %ld", a, b, c); result(syscall(SYS_setresgid, a, b, c));
	}
	user_show();
}

static void user_groups(void)
{
	gid_t list[6] = { 5, (gid_t)below(9), 1000, 2, 2, 7 };
	long count = ONE_OF(0, 1, 3, 6, -1, 65537);

	if (rarely(2)) {
		say("setgroups %ld %d", count, (int)list[1]);
		result(syscall(SYS_setgroups, count, rarely(12) ? (void *)8 : list));
		return;
	}
	say("getgroups %ld", count);
	memset(list, 0, sizeof list);
	long n = result(syscall(SYS_getgroups, count, list));
	for (long i = 0; count > 0 && i < n && i < 6; i++)
		say(" %d", (int)list[i]);
}

/* How many descriptors there may be, and how large a file. */
static void user_limits(void)
{
	struct rlimit limit;
	int which = (int)ONE_OF(RLIMIT_NOFILE, RLIMIT_FSIZE);
	rlim_t wanted = which == RLIMIT_NOFILE ? (rlim_t)ONE_OF(0, 5, 20, 64, 100) : (rlim_t)ONE_OF(0, 100, 5000, 20000, -1);
	int n;

	switch (below(7)) {
	case 0:
		getrlimit(which, &limit);
		limit.rlim_cur = wanted;
		say("setrlimit %d %ld", which, (long)wanted);
		if (wanted > limit.rlim_max)
			limit.rlim_cur = limit.rlim_max;
		result(setrlimit(which, &limit));
		break;
	case 1:
		say("dup");
		n = (int)result(dup(g_probe));
		if (n >= 0)
			close(n);
		break;
	case 2: {
		int from = (int)ONE_OF(0, 30, 63, 64, 99, 200);
		say("F_DUPFD %d", from);
		n = (int)result(fcntl(g_probe, F_DUPFD, from));
		if (n >= 0)
			close(n);
		break;
	}
	case 3: {
		int to = (int)ONE_OF(20, 63, 64, 99);
		say("dup2 %d", to);
		if (result(dup2(g_probe, to)) >= 0)
			close(to);
		break;
	}
	case 4: {
		size_t size = (size_t)ONE_OF(1, 100, 4000, 9000);
		long where = ONE_OF(0, 0, 99, 100, 4900, 30000);
		fill(9000);
		say("pwrite %zu %ld", size, where);
		result(pwrite(g_user_file, g_buffer, size, where));
		break;
	}
	case 5: {
		long size = ONE_OF(0, 50, 101, 6000, 40000);
		say("ftruncate %ld", size);
		result(ftruncate(g_user_file, size));
		break;
	}
	default: {
		long size = ONE_OF(50, 101, 6000, 40000);
		say("fallocate %ld", size);
		result(fallocate(g_user_file, 0, 0, size));
	}
	}
	struct stat st;
	if (fstat(g_user_file, &st) == 0)
		say(" size %ld", (long)st.st_size);
}

static void do_user(void)
{
	flush();
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
		sigaction(SIGXFSZ, &action, NULL);
		g_user_file = memfd_create("limited", 0);
		for (unsigned i = 0; i < 30; i++) {
			say("\n  ");
			switch (below(4)) {
			case 0: user_groups(); break;
			case 1: user_limits(); break;
			default: user_change();
			}
		}
		struct rlimit limit;
		getrlimit(RLIMIT_FSIZE, &limit); /* the lines go to a file */
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_FSIZE, &limit);
		flush();
		_exit(0);
	}
	for (unsigned i = 0; i < 30; i++)
		next();
	say("child");
	waitpid(child, &status, 0);
	say(" ended with %x", (unsigned)status);
}

#endif
