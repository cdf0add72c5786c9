/*
 * Open files by their links in /proc/self/fd: what they are called, and what opening them again gives; files without a name,
 * and memfds. On a host volume, in memory and on the overlay.
 * Build: gcc
 * Args: {dir} /tmp /var/tmp
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

#define NOEXEC_SEAL 8u
#define EXEC 16u

static const char *link_of(int fd)
{
	static char name[40];

	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	return name;
}

/* What the link says, without the directory and numbers. */
static void called(const char *when, int fd)
{
	char text[4200] = "";
	const char *last;
	ssize_t n = readlink(link_of(fd), text, sizeof text - 1);

	if (n < 0) {
		printf("%s: %s\n", when, strerror(errno));
		return;
	}
	text[strcspn(text, "[#")] = 0;
	last = strrchr(text, '/');
	printf("%s: %s\n", when, last ? last : text);
}

static int again(const char *what, int fd, int flags)
{
	int new = open(link_of(fd), flags, 0600);

	printf("%s with %o: %s\n", what, (unsigned)flags, new < 0 ? strerror(errno) : "ok");
	return new;
}

static void tell(const char *what, int fd)
{
	char text[32] = "";
	ssize_t n = read(fd, text, sizeof text - 1);

	printf("%s: %s\n", what, n < 0 ? strerror(errno) : text);
}

static void names(void)
{
	struct stat st;
	int fd = open("new", O_RDWR | O_CREAT | O_EXCL, 0600), other;

	called("new", fd);
	T(stat("new", &st));
	called("looked at", fd);
	T(mkdir("new", 0700));
	T(open("new", O_RDONLY | O_DIRECTORY));
	T(open("new", O_RDWR | O_CREAT | O_EXCL, 0600));
	called("after refusals", fd);
	T(write(fd, "content", 7));
	other = again("file", fd, O_RDWR);
	tell("from its start", other);
	close(other);
	other = again("file", fd, O_RDONLY | O_CREAT);
	tell("from its start", other);
	close(other);
	T(again("file", fd, O_RDWR | O_CREAT | O_EXCL));
	T(rename("new", "moved"));
	called("renamed", fd);
	T(unlink("moved"));
	called("removed", fd);
	other = again("removed", fd, O_RDONLY);
	called("by that", other);
	close(other);
	close(fd);
	T(open(link_of(fd), O_RDWR | O_CREAT, 0600));
	T(open("/proc/self/nothing", O_RDWR | O_CREAT, 0600));
	T(mkdir("/proc/self/nothing", 0700));
}

static void directories(void)
{
	struct stat st;
	int fd;

	T(mkdir("group", 0755));
	T(chmod("group", 02755));
	T(mkdir("group/below", 0700));
	fd = open("group/file", O_WRONLY | O_CREAT, 0640);
	T(symlink("x", "group/link"));
	int gone = open("group/gone", mkdir("group/gone", 0700) ? O_PATH : O_RDONLY | O_DIRECTORY);
	T(rmdir("group/gone"));
	T(renameat(AT_FDCWD, "group", gone, "x"));
	T(mkdirat(gone, "x", 0700));
	close(gone);
	stat("group/below", &st);
	printf("directory %o\n", st.st_mode);
	fstat(fd, &st);
	printf("file %o\n", st.st_mode);
	close(fd);
	unlink("group/file"), unlink("group/link"), rmdir("group/below"), rmdir("group");
}

static void without_name(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);

	if (fd < 0) /* not everywhere */
		return;
	called("no name", fd);
	printf("flags %d\n", (fcntl(fd, F_GETFL) & O_TMPFILE) == O_TMPFILE);
	T(linkat(AT_FDCWD, link_of(fd), AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	T(unlink("named"));
	T(linkat(AT_FDCWD, link_of(fd), AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	close(fd);
	fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	printf("flags %d\n", fcntl(fd, F_GETFL) & O_EXCL);
	T(linkat(AT_FDCWD, link_of(fd), AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	close(fd);
}

static void memory(void)
{
	struct timespec times[2] = { { 5, 0 }, { 6, 7 } };
	struct stat st;
	int fd = memfd_create("m", MFD_ALLOW_SEALING), other;

	T(write(fd, "0123456789", 10));
	other = again("memfd", fd, O_RDONLY);
	tell("from its start", other);
	T(write(other, "x", 1));
	T(fchmod(other, 0640));
	T(futimens(fd, times));
	fstat(fd, &st);
	printf("mode %o time %ld.%ld\n", st.st_mode, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	close(other);
	other = again("memfd", fd, O_PATH);
	T(read(other, &st, 1));
	T(fstat(other, &st));
	T(again("memfd by that", other, O_RDWR));
	close(other);
	other = again("memfd", fd, O_RDWR | O_TRUNC);
	fstat(fd, &st);
	printf("size %ld\n", (long)st.st_size);
	close(other);
	T(truncate(link_of(fd), 7));
	T(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	T(truncate(link_of(fd), 3));
	T(truncate(link_of(fd), 9));
	T(again("memfd that keeps its size", fd, O_RDWR | O_TRUNC));
	fstat(fd, &st);
	printf("size %ld\n", (long)st.st_size);
	close(fd);
	T(memfd_create("m", NOEXEC_SEAL | EXEC));
	fd = memfd_create("m", NOEXEC_SEAL);
	fstat(fd, &st);
	printf("mode %o seals %x\n", st.st_mode, (unsigned)fcntl(fd, F_GET_SEALS));
	T(fchmod(fd, 0700));
	T(fchmod(fd, 0600));
	close(fd);
}

static void others(void)
{
	struct f_owner_ex owner = { F_OWNER_PID, 0 };
	struct stat st;
	int pipes[2], pair[2], fd;

	T(pipe(pipes));
	T(write(pipes[1], "piped", 5));
	fd = again("a pipe's writing end", pipes[1], O_RDONLY);
	tell("read", fd);
	close(fd);
	fd = again("a pipe's reading end", pipes[0], O_WRONLY | O_NONBLOCK);
	T(write(fd, "back", 4));
	tell("read", pipes[0]);
	close(fd);
	int held = again("a pipe's reading end", pipes[0], O_PATH);
	close(pipes[0]);
	signal(SIGPIPE, SIG_IGN);
	T(write(pipes[1], "x", 1));
	fd = again("by that", held, O_RDONLY | O_NONBLOCK);
	T(write(pipes[1], "x", 1));
	close(fd), close(held);
	T(again("a pipe that nobody reads", pipes[1], O_WRONLY | O_NONBLOCK));
	close(pipes[1]);
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	T(again("socket", pair[0], O_RDWR));
	fd = again("socket", pair[0], O_PATH);
	T(send(fd, "x", 1, 0));
	T(close(pair[1]));
	called("held", fd);
	T(fstat(fd, &st));
	T(again("by that", fd, O_RDWR));
	close(fd);
	T(fcntl(pair[0], F_SETOWN, getpid()));
	printf("owner %d\n", fcntl(pair[0], F_GETOWN) == getpid());
	T(fcntl(pair[0], F_SETOWN, -getpgrp()));
	T(fcntl(pair[0], F_GETOWN_EX, &owner));
	printf("owner %d of kind %d\n", owner.pid == getpgrp(), owner.type);
	T(fcntl(pair[0], F_SETOWN, 999999));
	T(fcntl(pair[0], F_SETSIG, 65));
	T(fcntl(pair[0], F_SETSIG, 10));
	printf("signal %d\n", fcntl(pair[0], F_GETSIG));
	close(pair[0]);
	fd = eventfd(0, 0);
	T(again("eventfd", fd, O_RDWR));
	T(fallocate(fd, 0, 0, 1));
	close(fd);
	fd = epoll_create1(0);
	T(again("epoll", fd, O_RDWR));
	close(fd);
}

int main(int argc, char **argv)
{
	umask(022);
	for (int i = 1; i < argc; i++) {
		char top[4096];

		printf("---- %d\n", i);
		snprintf(top, sizeof top, "%s/fd-XXXXXX", argv[i]);
		if (!mkdtemp(top) || chdir(top))
			return 1;
		names();
		if (i > 1) /* set-user-id and set-group-id bits cannot be set on host files */
			directories();
		if (i == 2) /* host volumes have none (CAVEATS.md), and what the overlay has depends on the file system natively */
			without_name();
		if (chdir("/") || rmdir(top))
			return 1;
	}
	memory();
	others();
	return 0;
}
