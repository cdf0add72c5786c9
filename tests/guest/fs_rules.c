/*
 * What each call of the file family answers, right and wrong: paths, links, trailing slashes, flags, names. The same
 * on a host volume, in memory and on the overlay.
 * Build: gcc
 * Args: {dir} /tmp /var/tmp
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "say.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

static int opened(const char *path, int flags)
{
	int fd = open(path, flags, 0644);

	if (fd >= 0)
		close(fd);
	return fd;
}

static void show(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		printf("%s: %s\n", path, strerror(errno));
	else
		printf("%s: mode %o links %ld size %ld\n", path, st.st_mode, S_ISDIR(st.st_mode) ? 0 : (long)st.st_nlink,
		       S_ISDIR(st.st_mode) ? 0 : (long)st.st_size);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		printf("cannot write %s\n", path);
	close(fd);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(const char *path)
{
	struct dirent **e;
	int n = scandir(path, &e, NULL, by_name);

	printf("%s:", path);
	for (int i = 0; i < n; i++) {
		printf(" %s%s", e[i]->d_name, e[i]->d_type == DT_DIR ? "/" : e[i]->d_type == DT_LNK ? "@" : "");
		free(e[i]);
	}
	printf("%s\n", n < 0 ? strerror(errno) : "");
	if (n >= 0)
		free(e);
}

static void opening(void)
{
	char name[300];

	put("f", "hello");
	T(mkdir("d", 0755));
	T(mkdir("d", 0755));
	T(mkdir("d/e/", 0700));
	T(mkdir("x/y", 0755));
	T(mkdir("f/y", 0755));
	T(opened("f", O_RDONLY));
	T(opened("f/", O_RDONLY));
	T(opened("f/.", O_RDONLY));
	T(opened("nothing", O_RDONLY));
	T(opened("", O_RDONLY));
	T(opened("d", O_RDONLY));
	T(opened("d", O_WRONLY));
	T(opened("d", O_RDONLY | O_CREAT));
	T(opened("f", O_RDONLY | O_DIRECTORY));
	T(opened("f", O_RDWR | O_CREAT | O_EXCL));
	T(opened("new/", O_RDWR | O_CREAT));
	T(opened("d/../d/./e//", O_RDONLY | O_DIRECTORY));
	T(opened("d/nothing/../e", O_RDONLY));
	memset(name, 'n', sizeof name);
	name[256] = 0;
	T(opened(name, O_RDWR | O_CREAT));
	name[255] = 0;
	T(opened(name, O_RDWR | O_CREAT));
	T(unlink(name));
	T(syscall(SYS_open, (void *)1, O_RDONLY));
	T(read(opened("f", O_RDONLY) + 1000, name, 1));
	umask(027);
	T(opened("masked", O_RDWR | O_CREAT));
	show("masked");
	T(mkdir("masked.d", 0777));
	show("masked.d");
	umask(022);
}

static void links(void)
{
	char buf[64];
	ssize_t n;

	T(symlink("f", "lf"));
	T(symlink("d", "ld"));
	T(symlink("nothing", "dangling"));
	T(symlink("loop2", "loop1"));
	T(symlink("loop1", "loop2"));
	T(symlink("f", "lf"));
	T(symlink("", "empty"));
	T(symlink("../d/e/../../f", "d/long"));
	n = readlink("d/long", buf, sizeof buf);
	printf("d/long -> %.*s\n", (int)n, buf);
	n = readlink("d/long", buf, 4);
	printf("d/long -> %.*s\n", (int)n, buf);
	T(readlink("f", buf, sizeof buf));
	T(opened("d/long", O_RDONLY));
	T(opened("lf", O_RDONLY | O_NOFOLLOW));
	T(opened("lf", O_PATH | O_NOFOLLOW));
	T(opened("ld", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
	T(opened("ld/e", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
	T(opened("loop1", O_RDONLY));
	T(opened("loop1/x", O_RDONLY));
	T(opened("dangling", O_RDONLY));
	T(opened("dangling", O_WRONLY | O_CREAT | O_EXCL));
	T(opened("dangling", O_WRONLY | O_CREAT));
	show("nothing");
	show("dangling");
	T(unlink("nothing"));
	T(mkdir("dangling", 0755));
	T(rmdir("ld"));
	T(unlink("ld/"));
	T(link("f", "hard"));
	show("f");
	T(link("f", "hard"));
	T(link("d", "hard.d"));
	T(link("lf", "hard.l"));
	show("hard.l");
	T(linkat(AT_FDCWD, "lf", AT_FDCWD, "hard.f", AT_SYMLINK_FOLLOW));
	show("hard.f");
	T(unlink("hard.f"));
	T(unlink("f"));
	show("hard");
	T(rename("hard", "f"));
}

static void renaming(void)
{
	put("a", "aa");
	put("b", "bbb");
	T(rename("a", "b"));
	show("b");
	T(rename("a", "b"));
	T(rename("b", "d"));
	T(rename("d", "b"));
	T(rename("d", "d/e/inside"));
	T(rename("d/e", "d"));
	T(rename("b", "b"));
	T(rename("b", "d/b"));
	T(rename("d", "d2"));
	show("d2/b");
	T(rename("d2/.", "d3"));
	T(rename("d2/", "d3/"));
	T(rename("d3/b/", "b"));
	T(rename("d3/b", "b/"));
	T(rename("d3/b", "nowhere/b"));
	T(rename("d3/b", "b"));
	T(mkdir("full", 0755));
	put("full/x", "");
	T(rename("d3", "full"));
	T(unlink("full/x"));
	T(rename("d3", "full"));
	list("full");
	put("n1", "1");
	put("n2", "22");
	T(renameat2(AT_FDCWD, "n1", AT_FDCWD, "n2", RENAME_NOREPLACE));
	T(renameat2(AT_FDCWD, "n1", AT_FDCWD, "n2", RENAME_EXCHANGE));
	show("n1");
	show("n2");
	T(renameat2(AT_FDCWD, "n1", AT_FDCWD, "n3", RENAME_EXCHANGE));
	T(renameat2(AT_FDCWD, "n1", AT_FDCWD, "n3", RENAME_NOREPLACE));
	T(rename("full", "d"));
}

/* Two names change places: slashes ask for directories at both, and what is in use keeps its own name. */
static void exchanging(const char *top)
{
	char cwd[PATH_MAX], text[4];
	int fd;

	put("xa", "a");
	T(symlink("xa", "xl"));
	T(mkdir("xd", 0755));
	T(mkdir("xd/in", 0755));
	put("xd/in/f", "deep");
	T(mkdir("xe", 0700));
	T(renameat2(AT_FDCWD, "xa", AT_FDCWD, "xl/", RENAME_EXCHANGE));
	T(renameat2(AT_FDCWD, "xa/", AT_FDCWD, "xl", RENAME_EXCHANGE));
	T(renameat2(AT_FDCWD, "xd/", AT_FDCWD, "xa/", RENAME_EXCHANGE));
	T(renameat2(AT_FDCWD, "xa", AT_FDCWD, "none/", RENAME_EXCHANGE));
	T(renameat2(AT_FDCWD, "xd/in", AT_FDCWD, "xd", RENAME_EXCHANGE));
	T(renameat2(AT_FDCWD, "xd", AT_FDCWD, "xd/in", RENAME_EXCHANGE));
	T(renameat2(AT_FDCWD, "xd", AT_FDCWD, "xd/none", RENAME_EXCHANGE));
	T(renameat2(AT_FDCWD, "xd", AT_FDCWD, "xd/in", RENAME_NOREPLACE));
	T(renameat2(AT_FDCWD, "xd", AT_FDCWD, "xd/none", RENAME_NOREPLACE));
	T(renameat2(AT_FDCWD, "xa", AT_FDCWD, "xd/", RENAME_EXCHANGE));
	show("xa/in/f");
	show("xd");
	T(renameat2(AT_FDCWD, "xa/", AT_FDCWD, "xe/", RENAME_EXCHANGE));
	list("xa");
	list("xe");
	T(chdir("xe/in"));
	fd = open("f", O_RDWR);
	T(renameat2(AT_FDCWD, "../../xe", AT_FDCWD, "../../xl", RENAME_EXCHANGE));
	printf("cwd %s\n", getcwd(cwd, sizeof cwd) ? cwd + strlen(top) : strerror(errno));
	T(renameat2(AT_FDCWD, "f", AT_FDCWD, "../../xd", RENAME_EXCHANGE));
	T(pwrite(fd, "1", 1, 0));
	T(chdir(top));
	show("xl/in/f");
	T(read(fd, text, sizeof text));
	printf("%.4s\n", text);
	close(fd);
	T(unlink("xl/in/f"));
	T(rmdir("xl/in"));
	T(rmdir("xl"));
	T(rmdir("xa"));
	T(unlink("xe"));
	T(unlink("xd"));
}

/* A working directory that was removed, before and after there is another one of its name. */
static void nowhere(const char *top)
{
	char name[300];
	struct stat st;
	int dir;

	memset(name, 'n', sizeof name);
	name[299] = 0;
	T(mkdir("z", 0755));
	T(mkdir("z/gone", 0755));
	T(chdir("z/gone"));
	T(truncate(name, 3));
	T(rmdir("../gone"));
	for (int i = 0; i < 2; i++) {
		T(getcwd(name, 100) ? 0 : -1);
		memset(name, 'n', sizeof name - 1);
		T(truncate(name, 3));
		T(opened(name, O_WRONLY | O_CREAT));
		T(mkdir(name, 0755));
		T(opened("new", O_RDONLY));
		T(opened("new", O_WRONLY | O_CREAT));
		T(mkdir("new", 0755));
		T(symlink("new", "other"));
		T(link("..", "other"));
		T(unlink("new"));
		T(rename("../../f", "new"));
		T(chdir("."));
		T(stat(".", &st));
		printf("%o links %d\n", st.st_mode, (int)st.st_nlink);
		T(chmod(".", i ? 0500 : 0700));
		T(opened(".", O_RDONLY | O_DIRECTORY));
		T(opened(".", O_RDWR));
		T(truncate(".", 0));
		dir = open("../gone", O_RDONLY | O_DIRECTORY);
		list(".");
		T(opened("../../f", O_RDONLY));
		T(mkdir("../gone", 0755));
		T(chdir("../gone"));
		T(rmdir("../gone"));
		T(mkdir("../gone", 0755));
		T(mkdir("../other", 0711));
		T(rename("../other", "../gone"));
		T(faccessat(dir, "..", F_OK, 0));
		close(dir);
	}
	T(chdir(top));
	list("z/gone");
	T(rmdir("z/gone"));
	T(rmdir("z"));
}

static void removing(void)
{
	T(rmdir("f"));
	T(unlink("d"));
	T(rmdir("d"));
	T(rmdir("d/e/."));
	T(rmdir("d/e/.."));
	T(unlink("d/e/."));
	T(unlink("f/"));
	T(rmdir("d/e/"));
	T(unlink("nothing"));
	T(unlinkat(AT_FDCWD, "d", 0x10));
	T(unlinkat(AT_FDCWD, "nothing", AT_REMOVEDIR));
	list("d");
	int fd = open("gone", O_RDWR | O_CREAT, 0600);
	struct stat st;
	char c;

	T(unlink("gone"));
	T(write(fd, "x", 1));
	T(pread(fd, &c, 1, 0));
	fstat(fd, &st);
	printf("gone: links %ld size %ld\n", (long)st.st_nlink, (long)st.st_size);
	close(fd);
}

static void attributes(void)
{
	struct timespec ts[2] = { { 1000000000, 123000000 }, { 1500000000, 456000000 } };
	struct stat st;
	int fd = open("f", O_RDWR);

	T(chmod("f", 0600));
	show("f");
	T(fchmod(fd, 0640));
	show("f");
	T(chmod("nothing", 0600));
	T(fchmodat(AT_FDCWD, "lf", 0644, 0));
	show("f");
	T(utimensat(AT_FDCWD, "f", ts, 0));
	stat("f", &st);
	printf("times %ld.%09ld %ld.%09ld\n", st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_sec = 1600000000;
	T(futimens(fd, ts));
	stat("f", &st);
	printf("times %ld %ld\n", st.st_atim.tv_sec, st.st_mtim.tv_sec);
	ts[1].tv_nsec = -5;
	T(utimensat(AT_FDCWD, "f", ts, 0));
	T(truncate("f", 3));
	show("f");
	T(truncate("f", 5000));
	show("f");
	T(truncate("f", -1));
	T(truncate("d", 0));
	T(ftruncate(fd, 0));
	show("f");
	T(access("f", R_OK | W_OK));
	T(access("f", X_OK));
	T(access("nothing", F_OK));
	T(access("dangling", F_OK));
	T(faccessat(AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
	T(access("d", X_OK));
	close(fd);
	fd = open("f", O_RDONLY);
	T(ftruncate(fd, 0));
	T(write(fd, "x", 1));
	close(fd);
	fd = open("f", O_WRONLY);
	T(read(fd, &st, 1));
	close(fd);
}

static void directories(const char *top)
{
	char cwd[PATH_MAX], path[300];
	int dir = open("d", O_RDONLY | O_DIRECTORY), count = 0;
	DIR *stream;

	T(openat(dir, "made", O_CREAT | O_WRONLY, 0644));
	T(mkdirat(dir, "sub", 0755));
	T(faccessat(dir, "made", F_OK, 0));
	T(fchdir(dir));
	getcwd(cwd, sizeof cwd);
	printf("cwd %s\n", cwd + strlen(top));
	T(chdir("sub/../.."));
	getcwd(cwd, sizeof cwd);
	printf("cwd %s\n", cwd + strlen(top));
	T(chdir("f"));
	T(chdir("nothing"));
	T(getcwd(cwd, 3) ? 0 : -1);
	T(openat(opened("f", O_RDONLY) + 1000, "x", O_RDONLY));
	for (int i = 0; i < 500; i++) {
		snprintf(path, sizeof path, "d/sub/file%d", i);
		put(path, "");
	}
	stream = opendir("d/sub");
	for (struct dirent *e; (e = readdir(stream)) != NULL;)
		if (e->d_name[0] != '.') {
			snprintf(path, sizeof path, "d/sub/%s", e->d_name);
			count += unlink(path) == 0;
		}
	closedir(stream);
	printf("removed %d while listing\n", count);
	T(rmdir("d/sub"));
	list("d");
	list(".");
	close(dir);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char top[PATH_MAX];

		snprintf(top, sizeof top, "%s/fs-rules-XXXXXX", argv[i]);
		if (!mkdtemp(top) || chdir(top)) {
			printf("mkdtemp in %s: %s\n", argv[i], strerror(errno));
			return 1;
		}
		printf("-- %d\n", i);
		opening();
		links();
		renaming();
		exchanging(top);
		nowhere(top);
		removing();
		attributes();
		directories(top);
		/* leave nothing behind on the native run's own machine */
		const char *names[] = { "dangling", "ld", "lf", "loop1", "loop2", "masked", "f", "b", "n2", "n3", "hard.l",
					"d/long", "d/made" };
		for (unsigned k = 0; k < sizeof names / sizeof *names; k++)
			unlink(names[k]);
		T(rmdir("masked.d"));
		T(rmdir("d"));
		T(chdir("/"));
		printf("empty: %s\n", rmdir(top) ? strerror(errno) : "yes");
	}
	return 0;
}
