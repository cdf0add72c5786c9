/*
 * inotify: which events come, in which order, for files and directories that the program itself changes, in memory and on
 * the overlay.
 * Build: gcc
 * Args: /tmp /var/tmp
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

static int g_fd;

static void events(const char *what)
{
	static const struct { uint32_t bit; const char *name; } names[] = {
		{ IN_ACCESS, "access" }, { IN_MODIFY, "modify" }, { IN_ATTRIB, "attrib" }, { IN_CLOSE_WRITE, "close_write" },
		{ IN_CLOSE_NOWRITE, "close_nowrite" }, { IN_OPEN, "open" }, { IN_MOVED_FROM, "moved_from" },
		{ IN_MOVED_TO, "moved_to" }, { IN_CREATE, "create" }, { IN_DELETE, "delete" }, { IN_DELETE_SELF, "delete_self" },
		{ IN_MOVE_SELF, "move_self" }, { IN_IGNORED, "ignored" }, { IN_ISDIR, "dir" }, { IN_Q_OVERFLOW, "overflow" } };
	char buf[8192] __attribute__((aligned(8)));
	uint32_t cookie = 0;
	int waiting = 0;
	ssize_t n;

	ioctl(g_fd, FIONREAD, &waiting);
	n = read(g_fd, buf, sizeof buf);
	printf("%s: %zd bytes%s", what, n, n > 0 && n == waiting ? "" : n < 0 && !waiting ? "" : " unlike FIONREAD");
	for (char *p = buf; n > 0 && p < buf + n;) {
		struct inotify_event *e = (void *)p;

		printf("; %d", e->wd);
		for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
			if (e->mask & names[i].bit)
				printf(" %s", names[i].name);
		if (e->len)
			printf(" [%s] %u", e->name, e->len);
		if (e->cookie)
			printf(" %s", cookie == e->cookie ? "same move" : "move");
		cookie = e->cookie;
		p += sizeof *e + e->len;
	}
	printf("\n");
}

static void *late(void *arg)
{
	usleep(50000);
	close(open("late", O_CREAT | O_WRONLY, 0600));
	return arg;
}

static void waiting(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct pollfd p = { .fd = g_fd, .events = POLLIN };
	int ep = epoll_create1(0);
	pthread_t t;

	printf("poll before: %d\n", poll(&p, 1, 0));
	epoll_ctl(ep, EPOLL_CTL_ADD, g_fd, &ev);
	pthread_create(&t, NULL, late, NULL);
	printf("epoll: %d\n", epoll_wait(ep, &ev, 1, 10000));
	pthread_join(t, NULL);
	events("late");
	unlink("late");
	events("unlink");
	pthread_create(&t, NULL, late, NULL);
	fcntl(g_fd, F_SETFL, 0);
	char byte;
	printf("too small: %zd %s\n", read(g_fd, &byte, 1), strerror(errno));
	fcntl(g_fd, F_SETFL, O_NONBLOCK);
	pthread_join(t, NULL);
	events("late again");
	unlink("late");
	events("unlink");
	close(ep);
}

static void directory(void)
{
	struct timespec both[2] = { { 5, 0 }, { 6, 0 } }, one[2] = { { 0, UTIME_OMIT }, { 7, 0 } };
	int fd = open("file", O_CREAT | O_RDWR, 0600);

	events("create");
	T(write(fd, "text", 4) + write(fd, "more", 4));
	events("two writes");
	T(pread(fd, both, 4, 0));
	events("read");
	T(ftruncate(fd, 2));
	events("ftruncate");
	close(fd);
	events("close");
	T(chmod("file", 0644));
	events("chmod");
	T(utimensat(AT_FDCWD, "file", both, 0));
	events("times");
	T(utimensat(AT_FDCWD, "file", one, 0));
	events("one time");
	T(truncate("file", 1));
	events("truncate");
	fd = open("file", O_WRONLY | O_TRUNC);
	close(fd);
	events("open with O_TRUNC");
	T(rename("file", "other"));
	events("rename");
	T(mkdir("sub", 0755));
	events("mkdir");
	char entries[4096];
	fd = open("sub", O_RDONLY | O_DIRECTORY);
	printf("listed: %d\n", getdents64(fd, entries, sizeof entries) > 0);
	events("list");
	close(fd);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	printf("listed itself: %d\n", getdents64(fd, entries, sizeof entries) > 0);
	events("list itself");
	close(fd);
	events("close");
	T(rename("other", "sub/moved"));
	events("rename out");
	T(rename("sub/moved", "back"));
	events("rename in");
	T(symlink("back", "link"));
	events("symlink");
	T(unlink("link"));
	T(unlink("back"));
	T(rmdir("sub"));
	events("unlinks");
}

/* Two names change places, one is replaced, two moves look alike, and room that is made is a change. */
static void moves(void)
{
	int fd = open("one", O_CREAT | O_RDWR, 0600), wd;

	close(open("two", O_CREAT | O_WRONLY, 0600));
	events("two files");
	T(fallocate(fd, 0, 0, 100));
	events("fallocate");
	close(fd);
	wd = inotify_add_watch(g_fd, "two", IN_ALL_EVENTS);
	events("close");
	T(renameat2(AT_FDCWD, "one", AT_FDCWD, "two", 2)); /* RENAME_EXCHANGE */
	events("exchange");
	T(rename("two", "one"));
	events("replaced");
	mkdir("elsewhere", 0755);
	close(open("elsewhere/one", O_CREAT | O_WRONLY, 0600));
	T(link("one", "elsewhere/two"));
	events("in another directory");
	T(rename("elsewhere/one", "one"));
	T(rename("elsewhere/two", "one"));
	events("moved twice");
	unlink("one");
	rmdir("elsewhere");
	events("gone");
	printf("its own watch: %d\n", inotify_rm_watch(g_fd, wd));
	printf("unknown bits: %d %s\n", inotify_add_watch(-1, ".", 1 << 16), strerror(errno));
	printf("no descriptor: %d %s\n", inotify_add_watch(-1, ".", IN_ISDIR), strerror(errno));
	printf("no inotify: %d %s\n", inotify_add_watch(1, "nothing", IN_OPEN), strerror(errno));
	wd = inotify_add_watch(g_fd, ".", IN_ONLYDIR | IN_MASK_ADD);
	printf("a known bit: %d\n", wd > 0);
}

static void file(void)
{
	int wd, fd;

	close(open("self", O_CREAT | O_WRONLY, 0600));
	close(open("replaced", O_CREAT | O_WRONLY, 0600));
	events("made");
	wd = inotify_add_watch(g_fd, "self", IN_ALL_EVENTS);
	printf("file: watch %d, again %d, other mask %d\n", wd, inotify_add_watch(g_fd, "self", IN_MODIFY),
	       inotify_add_watch(g_fd, "self", IN_MASK_ADD | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF));
	fd = open("self", O_WRONLY);
	T(write(fd, "x", 1));
	close(fd);
	events("modify");
	T(inotify_add_watch(g_fd, "self", IN_MASK_CREATE | IN_MODIFY));
	wd = inotify_add_watch(g_fd, "replaced", IN_ALL_EVENTS);
	printf("replaced: watch %d\n", wd);
	T(rename("self", "replaced"));
	events("rename over");
	T(unlink("replaced"));
	events("unlink");
	T(inotify_rm_watch(g_fd, wd));
	mkdir("watched", 0700);
	wd = inotify_add_watch(g_fd, "watched", IN_CREATE | IN_DELETE_SELF | IN_ONESHOT);
	close(open("watched/a", O_CREAT | O_WRONLY, 0600));
	close(open("watched/b", O_CREAT | O_WRONLY, 0600));
	unlink("watched/a"), unlink("watched/b"), rmdir("watched");
	events("one shot");
}

/* What has no name goes with the last who has it open. */
static void held(void)
{
	int fd = open("held", O_CREAT | O_RDWR, 0600), wd = inotify_add_watch(g_fd, "held", IN_ALL_EVENTS);
	char name[40];

	link("held", "again");
	unlink("held");
	events("one name less");
	unlink("again");
	events("no name");
	T(write(fd, "x", 1));
	close(fd);
	events("closed");
	T(inotify_rm_watch(g_fd, wd));
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	wd = inotify_add_watch(g_fd, name, IN_ALL_EVENTS);
	printf("never a name: watch %d\n", wd);
	T(write(fd, "x", 1));
	close(fd);
	events("closed");
	T(inotify_rm_watch(g_fd, wd));
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char folder[4096];
		int wd;

		printf("---- %d\n", i);
		snprintf(folder, sizeof folder, "%s/inotify-XXXXXX", argv[i]);
		if (!mkdtemp(folder) || chdir(folder))
			return 1;
		g_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		events("nothing");
		wd = inotify_add_watch(g_fd, ".", IN_ALL_EVENTS);
		printf("directory: watch %d\n", wd);
		directory();
		moves();
		T(inotify_rm_watch(g_fd, wd));
		T(inotify_rm_watch(g_fd, wd));
		events("removed");
		printf("directory: watch %d\n", inotify_add_watch(g_fd, ".", IN_CREATE | IN_DELETE | IN_ONLYDIR));
		waiting();
		file();
		held();
		T(inotify_add_watch(g_fd, "nothing", IN_MODIFY));
		T(inotify_add_watch(g_fd, ".", 0));
		T(inotify_add_watch(-1, ".", IN_MODIFY));
		T(inotify_add_watch(0, ".", IN_MODIFY));
		T(inotify_init1(1));
		close(open("plain", O_CREAT | O_WRONLY, 0600));
		T(inotify_add_watch(g_fd, "plain", IN_MODIFY | IN_ONLYDIR));
		unlink("plain");
		close(g_fd);
		rmdir(folder);
		if (chdir("/"))
			return 1;
	}
	return 0;
}
