/*
 * chroot: what names mean below another root, absolute links, "..", what lies outside and stays open, children, threads,
 * programs, sockets; who may and what is refused.
 * Build: gcc musl-static
 * Args: {dir}
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

static const char *g_dir, *g_self;

static void child(const char *what, void (*run)(void))
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		printf("--- %s\n", what);
		run();
		exit(0);
	}
	waitpid(pid, &status, 0);
	printf("--- %s: status %d\n", what, status);
}

static void say_cwd(const char *when)
{
	char text[PATH_MAX];
	const char *shown = text;

	if (syscall(SYS_getcwd, text, sizeof text) < 0)
		shown = strerror(errno);
	if (!strncmp(shown, "(unreachable)", 13) && !strncmp(shown + 13, g_dir, strlen(g_dir)))
		printf("%s: in (unreachable)DIR%s\n", when, shown + 13 + strlen(g_dir));
	else
		printf("%s: in %s\n", when, shown);
}

static void say_file(const char *name)
{
	char text[64] = "";
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	printf("%s: %s\n", name, n < 0 ? strerror(errno) : text);
	if (fd >= 0)
		close(fd);
}

static void make(const char *name, const char *text)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0755);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		exit(1);
	close(fd);
}

static void prepare(void)
{
	T(chdir(g_dir));
	T(mkdir("root", 0755));
	T(mkdir("root/sub", 0755));
	T(mkdir("root/sub/low", 0755));
	make("a", "outside");
	make("root/a", "inside");
	make("root/sub/a", "below");
	T(symlink("/a", "root/absolute"));
	T(symlink("../../../../../../a", "root/sub/up"));
	T(symlink("/sub", "root/to-sub"));
}

static bool same(const char *one, const char *other)
{
	struct stat a, b;

	return !stat(one, &a) && !stat(other, &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static void names(void)
{
	struct open_how how = { .flags = O_PATH, .resolve = RESOLVE_IN_ROOT };
	struct stat st;
	struct open_how beneath = { .flags = O_RDWR | O_CREAT, .mode = 0600, .resolve = RESOLVE_BENEATH }, plain = { .resolve = RESOLVE_NO_MAGICLINKS };
	int outside = open(".", O_RDONLY | O_DIRECTORY), file = open("a", O_RDONLY);

	T(syscall(SYS_openat2, file, "/", &how, sizeof how));
	T(syscall(SYS_openat2, AT_FDCWD, "..", &beneath, sizeof beneath));
	T(syscall(SYS_openat2, AT_FDCWD, "/proc/self/fd/99", &plain, sizeof plain));
	dup2(file, 99);
	T(syscall(SYS_openat2, AT_FDCWD, "/proc/self/fd/99", &plain, sizeof plain));
	close(99), close(file);
	T(chroot("root"));
	say_cwd("the working directory stays");
	say_file("/a");
	say_file("a");
	say_file("/absolute");
	say_file("/sub/up");
	say_file("/to-sub/a");
	say_file("/../../a");
	say_file("/sub/../../a");
	T(chdir("/"));
	say_cwd("at the root");
	printf("its parent: %s\n", same("..", "/") ? "itself" : "another");
	T(chdir("to-sub/low"));
	say_cwd("below a link");
	T(rename("/sub/a", "/sub/b"));
	T(rename("/sub/b", "/sub/a"));
	T(mkdir("/etc", 0755));
	T(rmdir("/etc"));
	T(fstatat(outside, "a", &st, 0));
	printf("a directory from before: %ld bytes\n", (long)st.st_size);
	T(openat(outside, "/a", O_RDONLY));
	T(syscall(SYS_openat2, outside, "/root/absolute", &how, sizeof how));
	T(fchdir(outside));
	say_cwd("outside again");
	say_file("a");
	T(chroot("root/sub"));
	say_file("/a");
	say_file("/up");
	T(chroot("."));
	say_cwd("the former place is the root");
	say_file("/a");
	T(chroot("root"));
	close(outside);
}

static void refusals(void)
{
	char longest[PATH_MAX + 10];

	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = 0;
	T(chroot("nothing"));
	T(chroot("a"));
	T(chroot(""));
	T(chroot(longest));
	T(chroot((char *)8));
	T(setresuid(-1, 1000, -1));
	T(chroot("nothing"));
	T(chroot("/"));
	T(setresuid(-1, 0, -1));
	T(chroot("/"));
}

static void *thread(void *arg)
{
	T(chroot(arg));
	return NULL;
}

static void grandchild(void)
{
	say_file("/a");
	T(chroot("/sub"));
	say_file("/a");
}

static void heirs(void)
{
	pthread_t t;

	pthread_create(&t, NULL, thread, (void *)"root");
	pthread_join(t, NULL);
	T(chdir("/"));
	say_file("/a");
	child("a child", grandchild);
	say_file("/a");
	T(rmdir("/sub/low"));
	T(mkdir("/gone", 0755));
	T(chroot("/gone"));
	T(rmdir("gone"));
	T(chdir("/"));
	say_cwd("the root is removed");
	T(open("/new", O_CREAT | O_RDWR, 0600));
}

static void execute(void)
{
	char *words[] = { (char *)"program", (char *)"-", NULL }, *none[] = { NULL };
	char buffer[65536];
	ssize_t n;
	int from = open(g_self, O_RDONLY), to = open("root/program", O_CREAT | O_WRONLY, 0755);

	while ((n = read(from, buffer, sizeof buffer)) > 0)
		if (write(to, buffer, (size_t)n) != n)
			exit(1);
	close(from);
	close(to);
	T(chroot("root"));
	T(chdir("/sub"));
	execve("/program", words, none);
}

/* One name below another root, and from outside. */
static void sockets(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "/socket" };
	char top[] = "/tmp/fs-chroot-XXXXXX";
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0), status = -1;
	pid_t pid;

	T(mkdtemp(top) ? chdir(top) : -1);
	pid = fork();
	if (pid == 0)
		exit(chroot(top) || bind(server, (struct sockaddr *)&name, sizeof name) || listen(server, 1));
	waitpid(pid, &status, 0);
	printf("bound below another root: %d\n", status);
	T(connect(client, (struct sockaddr *)&name, sizeof name));
	strcpy(name.sun_path, "socket");
	T(connect(client, (struct sockaddr *)&name, sizeof name));
	T(unlink("socket"));
	T(rmdir(top));
}

/* /proc tells of the root; to whom it does not lie below his own, from the first one. */
static void seen_from_outside(void)
{
	char link[64], text[PATH_MAX] = "", byte;
	struct stat st;
	int up[2], down[2];
	pid_t pid;

	if (pipe(up) || pipe(down))
		exit(1);
	pid = fork();
	if (pid == 0) {
		if (chroot("root") || chdir("/sub") || write(up[1], "", 1) != 1 || read(down[0], &byte, 1) != 1)
			exit(1);
		exit(0);
	}
	if (read(up[0], &byte, 1) != 1)
		exit(1);
	snprintf(link, sizeof link, "/proc/%d/root", (int)pid);
	if (readlink(link, text, sizeof text - 1) < 0)
		printf("no root: %s\n", strerror(errno));
	printf("root of another: %s\n", strncmp(text, g_dir, strlen(g_dir)) ? text : text + strlen(g_dir));
	snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
	memset(text, 0, sizeof text);
	if (readlink(link, text, sizeof text - 1) < 0)
		printf("no directory: %s\n", strerror(errno));
	printf("directory of another: %s\n", strncmp(text, g_dir, strlen(g_dir)) ? text : text + strlen(g_dir));
	snprintf(link, sizeof link, "/proc/%d/root/a", (int)pid);
	T(stat(link, &st));
	printf("a file there: %ld bytes\n", (long)st.st_size);
	T(write(down[1], "", 1));
	T(waitpid(pid, NULL, 0) == pid ? 0 : -1);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc > 1 && !strcmp(argv[1], "-")) {
		say_cwd("another program");
		say_file("/a");
		say_file("a");
		return 0;
	}
	g_self = argv[0];
	g_dir = argv[1];
	if (geteuid() != 0)
		T(unshare(CLONE_NEWUSER));
	prepare();
	child("names", names);
	child("refusals", refusals);
	child("heirs", heirs);
	child("another program", execute);
	seen_from_outside();
	sockets();
	return 0;
}
