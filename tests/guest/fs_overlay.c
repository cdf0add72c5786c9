/*
 * The default root: the host's, read-only, under a private layer in memory. Every change must show, nothing of the host
 * may change, and what was removed must stay removed.
 * Native: no
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "say.h"

static int exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static int count(const char *path, const char *name)
{
	DIR *d = opendir(path);
	int n = 0;

	if (!d)
		return -1;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += name ? strcmp(e->d_name, name) == 0 : e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void files(void)
{
	struct stat before, after, st;
	char buf[32768], again[32768];
	int rd, wr;
	ssize_t n;
	char *p;

	CHECK(stat("/etc/passwd", &before) == 0);
	rd = open("/etc/passwd", O_RDONLY);
	n = read(rd, buf, sizeof buf);
	CHECK(n > 0);
	CHECK(fstat(rd, &st) == 0 && st.st_ino == before.st_ino && st.st_dev == before.st_dev);
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, rd, 0);
	CHECK(p != MAP_FAILED && memcmp(p, buf, 16) == 0);
	wr = open("/etc/passwd", O_RDWR | O_APPEND);
	CHECK(wr >= 0);
	CHECK(write(wr, "added\n", 6) == 6);
	CHECK(stat("/etc/passwd", &after) == 0);
	CHECK(after.st_size == before.st_size + 6);
	CHECK(after.st_ino == before.st_ino && after.st_dev == before.st_dev);
	CHECK(after.st_mode == before.st_mode && after.st_uid == before.st_uid);
	CHECK(pread(wr, again, sizeof again, 0) == n + 6 && memcmp(buf, again, (size_t)n) == 0);
	CHECK(count("/etc", "passwd") == 1);
	close(rd);
	close(wr);
	CHECK(chmod("/etc/hostname", 0600) == 0);
	CHECK(stat("/etc/hostname", &st) == 0 && (st.st_mode & 0777) == 0600);
	CHECK(truncate("/etc/group", 0) == 0);
	CHECK(stat("/etc/group", &st) == 0 && st.st_size == 0);
	CHECK(rename("/etc/shells", "/etc/shells.old") == 0);
	CHECK(!exists("/etc/shells") && exists("/etc/shells.old"));
	CHECK(count("/etc", "shells") == 0 && count("/etc", "shells.old") == 1);
	CHECK(link("/etc/shells.old", "/etc/shells") == 0);
	CHECK(stat("/etc/shells", &st) == 0 && st.st_nlink == 2);
}

static void removal(void)
{
	int before = count("/etc", NULL);
	struct stat st;

	CHECK(unlink("/etc/fstab") == 0 || errno == ENOENT);
	int link = open("/etc/issue", O_PATH);
	CHECK(link >= 0 && unlink("/etc/issue") == 0);
	CHECK(fchownat(link, "", getuid(), getgid(), AT_EMPTY_PATH) == 0);
	CHECK(fstat(link, &st) == 0 && st.st_nlink == 0);
	CHECK(linkat(link, "", AT_FDCWD, "/etc/issue", AT_EMPTY_PATH) < 0 && errno == ENOENT);
	close(link);
	CHECK(!exists("/etc/issue"));
	CHECK(unlink("/etc/issue") < 0 && errno == ENOENT);
	CHECK(count("/etc", "issue") == 0);
	CHECK(count("/etc", NULL) < before);
	CHECK(open("/etc/issue", O_WRONLY | O_CREAT | O_EXCL, 0644) >= 0);
	CHECK(count("/etc", "issue") == 1);
	CHECK(unlink("/etc/issue") == 0 && !exists("/etc/issue"));
	CHECK(mkdir("/etc/issue", 0755) == 0);
	CHECK(count("/etc/issue", NULL) == 0);
	CHECK(rmdir("/etc/issue") == 0 && !exists("/etc/issue"));
}

static void remove_tree(const char *path)
{
	DIR *d = opendir(path);
	char sub[4096];

	for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
		if (unlink(sub) && (errno == EISDIR || errno == EPERM))
			remove_tree(sub);
	}
	closedir(d);
	CHECK(rmdir(path) == 0);
}

static void directories(void)
{
	int n = count("/etc/apt", NULL), inside, note = inotify_init1(IN_NONBLOCK);
	struct inotify_event events[4];

	CHECK(n > 0);
	CHECK(rmdir("/etc/apt") < 0 && errno == ENOTEMPTY);
	CHECK(rename("/etc/apt", "/etc/apt2") == 0);
	CHECK(!exists("/etc/apt") && count("/etc/apt2", NULL) == n);
	CHECK(mkdir("/etc/apt", 0755) == 0);
	CHECK(count("/etc/apt", NULL) == 0); /* opaque */
	CHECK(close(open("/etc/apt/new", O_WRONLY | O_CREAT, 0644)) == 0);
	CHECK(rename("/etc/apt/new", "/etc/apt2/new") == 0);
	CHECK(count("/etc/apt2", NULL) == n + 1);
	CHECK(rmdir("/etc/apt") == 0);
	CHECK(rename("/etc/apt2", "/etc/apt") == 0);
	CHECK(count("/etc/apt", NULL) == n + 1);
	inside = open("/etc/apt", O_RDONLY | O_DIRECTORY);
	CHECK(inotify_add_watch(note, "/etc/apt", IN_DELETE_SELF) > 0);
	remove_tree("/etc/apt");
	CHECK(!exists("/etc/apt") && count("/etc", "apt") == 0);
	CHECK(openat(inside, "x", O_CREAT | O_WRONLY, 0644) < 0 && errno == ENOENT);
	close(inside); /* nobody has it any more, though there were names in it */
	n = (int)read(note, events, sizeof events);
	CHECK(n == 2 * (int)sizeof events[0] && events[0].mask == IN_DELETE_SELF && events[1].mask == IN_IGNORED);
	close(note);
	CHECK(mkdir("/usr/share/made", 0755) == 0 && count("/usr/share", "made") == 1);
	CHECK(symlink("made", "/usr/share/link") == 0 && exists("/usr/share/link"));
	CHECK(mknod("/usr/share/fifo", S_IFIFO | 0600, 0) == 0);
	CHECK(mknod("/usr/share/null", S_IFCHR | 0600, 0x103) < 0 && errno == EPERM);
}

static void usage(void)
{
	struct statvfs before, after;
	int fd;

	CHECK(statvfs("/usr", &before) == 0 && before.f_blocks > before.f_bfree && before.f_bfree > 0);
	fd = open("/usr/large", O_WRONLY | O_CREAT, 0644);
	for (int i = 0; i < 64; i++) {
		char kib[1024] = { 1 };

		CHECK(write(fd, kib, sizeof kib) == sizeof kib);
	}
	CHECK(statvfs("/usr", &after) == 0 && after.f_blocks - after.f_bfree >= before.f_blocks - before.f_bfree + 16);
	close(fd);
	unlink("/usr/large");
}

int main(void)
{
	usage();
	files();
	removal();
	directories();
	printf(g_failures ? "%d failures\n" : "ok\n", g_failures);
	return g_failures != 0;
}
