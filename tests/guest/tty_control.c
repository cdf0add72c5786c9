/*
 * Controlling terminals: how a session gets one and loses it, who is in its foreground, what keys send to whom, what becomes of those in
 * the background, of orphans, and when either end is closed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include "process.h"
#include "say.h"

static int g_master, g_report[2];
static char g_name[32];
static volatile sig_atomic_t g_caught[65];

static void caught(int sig)
{
	g_caught[sig]++;
}

static void catch(int sig)
{
	struct sigaction a = { .sa_handler = caught };

	sigaction(sig, &a, NULL);
}

static void wait_for(int sig)
{
	sigset_t none, all;

	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	sigemptyset(&none);
	sigprocmask(SIG_BLOCK, &all, NULL);
	while (!g_caught[sig])
		sigsuspend(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void new_terminal(void)
{
	g_master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (g_master < 0 || grantpt(g_master) || unlockpt(g_master))
		printf("no pseudo-terminal: %s\n", strerror(errno));
	snprintf(g_name, sizeof(g_name), "%s", ptsname(g_master));
}

/* A child that runs f: in this session, or the leader of one. */
static pid_t child(void (*f)(void))
{
	pid_t pid = fork();

	if (pid)
		return pid;
	f();
	fflush(stdout);
	_exit(0);
}

static void lead(void (*f)(void))
{
	pid_t pid = fork();

	if (!pid) {
		setsid();
		f();
		fflush(stdout);
		_exit(0);
	}
	reap("leader", pid);
}

/* Fields of /proc/PID/stat: that of the terminal, and its foreground group. */
static void show_stat(const char *what)
{
	int device = 0, group = 0, pid, parent, own, session;
	FILE *f = fopen("/proc/self/stat", "r");
	char comm[64], state;

	if (!f || fscanf(f, "%d %63s %c %d %d %d %d %d", &pid, comm, &state, &parent, &own, &session, &device, &group) != 8)
		printf("stat\n");
	if (f)
		fclose(f);
	struct stat st = { 0 };
	stat(g_name, &st);
	printf("%s: terminal %s, foreground %s\n", what, !device ? "none" : device == (int)st.st_rdev ? "this" : "another",
	       group == -1 ? "-1" : group == own ? "own" : "another");
}

static void show_group(const char *what, int fd)
{
	int group = -7, session = -7;
	long a = ioctl(fd, TIOCGPGRP, &group), ae = errno, b = ioctl(fd, TIOCGSID, &session);

	printf("%s: group %s session %s\n", what, a ? strerror((int)ae) : group == getpgrp() ? "own" : group ? "another" : "0",
	       b ? strerror(errno) : session == getsid(0) ? "own" : "another");
}

/* --- getting one --- */

static void not_leader(void)
{
	int fd = open(g_name, O_RDWR);

	T(ioctl(fd, TIOCSCTTY, 0));
	T(open("/dev/tty", O_RDWR));
	show_group("no leader", fd);
}

static void getting(void)
{
	int fd, tty;

	T(open("/dev/tty", O_RDWR));
	show_stat("at first");
	show_group("the master", g_master);
	fd = open(g_name, O_RDWR | O_NOCTTY);
	show_stat("opened with O_NOCTTY");
	show_group("not ours", fd);
	T(tcsetpgrp(fd, getpgrp()));
	T(ioctl(fd, TIOCNOTTY));
	reap("child", child(not_leader));
	close(open(g_name, O_WRONLY));
	show_stat("opened for writing");
	close(open(g_name, O_RDWR));
	show_stat("opened");
	show_group("ours", fd);
	show_group("the master", g_master);
	T(ioctl(fd, TIOCSCTTY, 0));
	tty = open("/dev/tty", O_RDWR);
	printf("/dev/tty %d %s\n", tty >= 0, ttyname(tty) ? ttyname(tty) : strerror(errno));
	printf("name %d\n", ttyname(fd) && !strcmp(ttyname(fd), g_name));
	T(tcsetpgrp(fd, getpgrp()));
	T(tcsetpgrp(fd, 0x7ffffff));
	T(tcsetpgrp(fd, -5));
	T(tcsetpgrp(fd, getppid()));
	catch(SIGHUP);
	catch(SIGCONT);
	T(ioctl(fd, TIOCNOTTY));
	printf("SIGHUP %d SIGCONT %d\n", g_caught[SIGHUP], g_caught[SIGCONT]);
	show_stat("given up");
	T(ioctl(tty, TIOCNOTTY));
	T(ioctl(fd, TIOCSCTTY, 0));
	show_stat("taken");
	int other = posix_openpt(O_RDWR | O_NOCTTY);
	unlockpt(other);
	int slave = open(ptsname(other), O_RDWR);
	show_stat("another one opened");
	T(ioctl(slave, TIOCSCTTY, 0));
}

static void stolen(void)
{
	int fd = open(g_name, O_RDWR);

	show_stat("another session's");
	T(ioctl(fd, TIOCSCTTY, 0));
	T(open("/dev/tty", O_RDWR));
}

static void busy(void)
{
	open(g_name, O_RDWR);
	lead(stolen);
}

/* --- keys --- */

static void default_action(void)
{
	tell(g_report[1]);
	pause();
}

static void keys(void)
{
	static const struct {
		const char *key;
		int sig;
	} all[] = { { "\003", SIGINT }, { "\034", SIGQUIT }, { "\032", SIGTSTP } };
	int fd = open(g_name, O_RDWR), status;

	signal(SIGTTOU, SIG_IGN);
	for (int i = 0; i < 3; i++) {
		pid_t pid = child(default_action);

		setpgid(pid, pid);
		hear(g_report[0]);
		T(tcsetpgrp(fd, pid));
		show_stat("child in the foreground");
		if (write(g_master, all[i].key, 1) != 1)
			printf("not typed\n");
		waitpid(pid, &status, WUNTRACED);
		say_status("child", status & 0x80 ? status & ~0x80 : status);
		T(tcsetpgrp(fd, getpgrp()));
		if (WIFSTOPPED(status)) {
			kill(-pid, SIGCONT);
			waitpid(pid, &status, WCONTINUED);
			say_status("child", status);
			kill(pid, SIGKILL);
			reap("child", pid);
		}
	}
	catch(SIGINT);
	catch(SIGWINCH);
	if (write(g_master, "forgotten\003kept\n", 16) != 16)
		printf("not typed\n");
	wait_for(SIGINT);
	char line[100];
	printf("%.*s", (int)read(fd, line, sizeof(line)), line);
	struct winsize w = { 10, 20, 0, 0 };
	T(ioctl(g_master, TIOCSWINSZ, &w));
	wait_for(SIGWINCH);
	T(ioctl(g_master, TIOCSWINSZ, &w));
	printf("SIGWINCH %d\n", g_caught[SIGWINCH]);
	g_caught[SIGINT] = 0;
	T(ioctl(g_master, TIOCSIG, SIGINT));
	wait_for(SIGINT);
	T(ioctl(g_master, TIOCSIG, SIGTERM));
	if (write(g_master, "x", 1) == 1) /* ECHO of nothing at all is left behind */
		printf("typed\n");
}

/* --- the background --- */

static int g_fd;
static const char *g_what;

static void in_background(void)
{
	char c;
	struct termios t;

	setpgid(0, 0);
	tell(g_report[1]);
	tcgetattr(g_fd, &t);
	if (g_what[0] == 'i')
		signal(SIGTTIN, SIG_IGN), signal(SIGTTOU, SIG_IGN);
	if (strstr(g_what, "read"))
		T(read(g_fd, &c, 1));
	else if (strstr(g_what, "write"))
		T(write(g_fd, "w", 1));
	else if (strstr(g_what, "tcsetattr"))
		T(tcsetattr(g_fd, TCSANOW, &t));
	else if (strstr(g_what, "tcflush"))
		T(tcflush(g_fd, TCIFLUSH));
	else
		T(tcsetpgrp(g_fd, getpgrp()));
}

static void background(void)
{
	static const char *const what[] = { "read", "ignoring read", "write", "tcsetattr", "ignoring tcsetattr", "tcsetpgrp", "tcflush",
					    "ignoring tcsetpgrp" };
	struct termios t;
	int status;

	g_fd = open(g_name, O_RDWR);
	signal(SIGTTOU, SIG_IGN);
	for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		g_what = what[i];
		printf("in the background: %s\n", g_what);
		fflush(stdout);
		signal(SIGTTOU, SIG_DFL);
		pid_t pid = child(in_background);
		hear(g_report[0]);
		waitpid(pid, &status, WUNTRACED);
		say_status("child", status);
		signal(SIGTTOU, SIG_IGN);
		if (WIFSTOPPED(status)) {
			T(tcsetpgrp(g_fd, pid));
			if (write(g_master, "\n", 1) != 1)
				printf("not typed\n");
			kill(-pid, SIGCONT);
			reap("child", pid);
		}
		T(tcsetpgrp(g_fd, getpgrp()));
		tcflush(g_fd, TCIFLUSH);
	}
	tcgetattr(g_fd, &t);
	t.c_lflag |= TOSTOP;
	tcsetattr(g_fd, TCSANOW, &t);
	signal(SIGTTOU, SIG_DFL);
	g_what = "write";
	printf("with TOSTOP\n");
	fflush(stdout);
	pid_t pid = child(in_background);
	hear(g_report[0]);
	waitpid(pid, &status, WUNTRACED);
	say_status("child", status);
	kill(pid, SIGKILL);
	reap("child", pid);
}

/* Nobody of its session is the parent of anybody in its group. */
static void orphan(void)
{
	struct termios t;
	char c;

	setpgid(0, 0);
	while (getppid() != getsid(getppid()) || getsid(0) == getsid(getppid()))
		usleep(1000);
	T(read(g_fd, &c, 1));
	tcgetattr(g_fd, &t);
	T(tcsetattr(g_fd, TCSANOW, &t));
	T(tcsetpgrp(g_fd, getpgrp()));
	kill(getpid(), SIGTSTP);
	printf("not stopped\n");
	fflush(stdout);
	tell(g_report[1]);
}

static void parent_of_orphan(void)
{
	child(orphan);
}

static void orphans(void)
{
	g_fd = open(g_name, O_RDWR);
	pid_t pid = child(parent_of_orphan);
	hear(g_report[0]);
	reap("its parent", pid);
}

/* --- hanging up --- */

static void quiet(void)
{
	close(g_master);
	catch(SIGHUP);
	tell(g_report[1]);
	wait_for(SIGHUP);
	_exit(7);
}

static void hung_up(void)
{
	int fd = open(g_name, O_RDWR);
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	char c;
	int n;

	catch(SIGHUP);
	catch(SIGCONT);
	signal(SIGTTOU, SIG_IGN);
	fflush(stdout);
	pid_t pid = child(quiet);
	setpgid(pid, pid);
	hear(g_report[0]);
	tcsetpgrp(fd, pid);
	if (write(g_master, "unread\n", 7) != 7)
		printf("not typed\n");
	close(g_master);
	wait_for(SIGHUP);
	wait_for(SIGCONT);
	T(read(fd, &c, 1));
	printf("read %zd\n", read(fd, &c, 1));
	T(write(fd, &c, 1));
	T(tcsetpgrp(fd, getpgrp()));
	T(tcgetpgrp(fd));
	T(isatty(fd) ? 0 : -1);
	n = poll(&p, 1, 0);
	printf("poll %d %x\n", (int)n, p.revents);
	T(open(g_name, O_RDWR));
	T(open("/dev/tty", O_RDWR));
	show_stat("afterwards");
}

static void reader(void)
{
	char c;
	int fd = open(g_name, O_RDWR | O_NOCTTY);

	close(g_master);
	tell(g_report[1]);
	T(read(fd, &c, 1));
	printf("then %zd\n", read(fd, &c, 1));
}

static void blocked_reader(void)
{
	pid_t pid = child(reader);

	hear(g_report[0]);
	usleep(100000); /* in either case it says the same, if it has not gone to sleep yet then by luck */
	close(g_master);
	reap("reader", pid);
}

static void leaves(void)
{
	int fd = open(g_name, O_RDWR);
	pid_t pid;

	signal(SIGTTOU, SIG_IGN);
	fflush(stdout);
	pid = child(quiet);
	setpgid(pid, pid);
	hear(g_report[0]);
	tcsetpgrp(fd, pid);
}

/* --- both ends --- */

static void ends(void)
{
	struct pollfd p = { .fd = g_master, .events = POLLIN };
	struct epoll_event e = { .events = EPOLLIN }, got;
	int ep = epoll_create1(0);
	char bytes[100];
	ssize_t n;
	int fd;

	fd = open(g_name, O_RDWR | O_NOCTTY);
	fcntl(g_master, F_SETFL, O_RDWR | O_NONBLOCK);
	T(read(g_master, bytes, 1));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, g_master, &e));
	printf("epoll %d\n", epoll_wait(ep, &got, 1, 0));
	T(write(fd, "last words\n", 11));
	printf("epoll %d\n", epoll_wait(ep, &got, 1, -1));
	close(fd);
	n = poll(&p, 1, -1);
	printf("poll %d %x\n", (int)n, p.revents & POLLHUP);
	n = read(g_master, bytes, sizeof(bytes));
	printf("%.*s\n", (int)n, bytes);
	T(read(g_master, bytes, 1));
	fd = open(g_name, O_RDWR | O_NOCTTY);
	printf("poll %d\n", poll(&p, 1, 0));
	T(read(g_master, bytes, 1));
	int again = dup(fd);
	close(fd);
	T(read(g_master, bytes, 1));
	close(again);
	T(read(g_master, bytes, 1));
	n = poll(&p, 1, 0);
	printf("poll %d %x\n", (int)n, p.revents & POLLHUP);
	T(write(g_master, "typed to nobody\n", 16));
	fd = open(g_name, O_RDWR | O_NOCTTY);
	n = read(fd, bytes, sizeof(bytes));
	printf("%.*s", (int)n, bytes);
	T(ioctl(fd, TIOCEXCL));
	T(ioctl(fd, TIOCNXCL));
}

static bool listed(void)
{
	DIR *d = opendir("/dev/pts");
	bool found = false;

	for (struct dirent *e; d && (e = readdir(d));)
		found |= !strcmp(e->d_name, g_name + strlen("/dev/pts/"));
	if (d)
		closedir(d);
	return found;
}

static void show_master(const char *what, int master)
{
	struct pollfd p = { .fd = master, .events = POLLIN };
	int packets = -1;
	char byte;

	T(ioctl(master, TIOCGPKT, &packets));
	printf("%s: packets %d, events %d %x\n", what, packets, poll(&p, 1, 0), p.revents);
	T(read(master, &byte, 1));
}

/* Who was refused has not been there. */
static void refused(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK), on = 1, fd;
	char name[32];

	snprintf(name, sizeof(name), "%s", ptsname(master));
	T(ioctl(master, TIOCPKT, &on));
	T(open(name, O_RDWR | O_NOCTTY));
	T(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
	show_master("refused", master);
	T(unlockpt(master));
	fd = open(name, O_RDWR | O_NOCTTY);
	show_master("opened", master);
	T(tcflush(fd, TCIFLUSH));
	T(close(fd));
	show_master("closed", master);
	show_master("closed and read", master);
	T(ioctl(master, TIOCSPTLCK, &on));
	T(open(name, O_RDWR | O_NOCTTY));
	show_master("refused again", master);
	T(close(master));
}

static void names(void)
{
	struct stat st, of;
	int fd, path, lock = 1;

	printf("listed %d\n", listed());
	T(stat(g_name, &st));
	printf("%x %u %d\n", st.st_mode & S_IFMT, major(st.st_rdev), st.st_uid == geteuid());
	T(fstat(g_master, &of));
	printf("%x %u %u\n", of.st_mode & S_IFMT, major(of.st_rdev), minor(of.st_rdev));
	T(ioctl(g_master, TIOCSPTLCK, &lock));
	T(open(g_name, O_RDWR | O_NOCTTY));
	T(ioctl(g_master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
	lock = 0;
	T(ioctl(g_master, TIOCSPTLCK, &lock));
	fd = ioctl(g_master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	printf("peer %d %s %x\n", fd >= 0, !strcmp(ttyname(fd), g_name) ? "of that name" : "?", fcntl(fd, F_GETFD));
	T(fchmod(fd, 0600));
	T(stat(g_name, &st));
	printf("%o\n", st.st_mode & 07777);
	T(open("/dev/pts/new", O_RDWR | O_CREAT, 0600));
	T(mkdir("/dev/pts/new", 0700));
	T(unlink(g_name));
	T(rename(g_name, "/dev/pts/new"));
	T(open(g_name, O_RDWR | O_DIRECTORY));
	path = open(g_name, O_PATH);
	close(g_master);
	printf("listed %d\n", listed());
	T(stat(g_name, &st));
	snprintf(g_name, sizeof(g_name), "/proc/self/fd/%d", path);
	T(open(g_name, O_RDWR | O_NOCTTY));
	T(ioctl(fd, TIOCGWINSZ, &st));
}

static void sides(void (*f)(void), const char *title)
{
	printf("--- %s\n", title);
	fflush(stdout);
	new_terminal();
	lead(f);
	close(g_master);
}

static void tests(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	new_pipe(g_report);
	sides(getting, "getting one");
	sides(busy, "another session's");
	sides(keys, "keys");
	sides(background, "the background");
	sides(orphans, "orphans");
	reap("orphan", -1);
	printf("--- the master closes\n");
	new_terminal();
	int master = g_master;
	pid_t pid = fork();
	if (!pid) {
		setsid();
		hung_up();
		fflush(stdout);
		_exit(0);
	}
	close(master);
	reap("leader", pid);
	reap("foreground", -1);
	printf("--- a blocked reader\n");
	fflush(stdout);
	new_terminal();
	blocked_reader();
	sides(leaves, "the leader ends");
	reap("foreground", -1);
	sides(ends, "both ends");
	printf("--- refused\n");
	refused();
	printf("--- names\n");
	new_terminal();
	names();
	for (int i = 0; i < 600; i++) { /* more than there may be at a time */
		new_terminal();
		close(g_master);
	}
	printf("all are given back\n");
}

int main(int argc, char **argv)
{
	g_self = argv[0];
	return apart(argc, argv, tests);
}
