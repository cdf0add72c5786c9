/*
 * Attributes changed through descriptors that may not write: opened for reading, O_PATH, of files whose name is gone; and
 * the empty path of fchmodat2, fchownat and utimensat. On a host volume, in memory and on the overlay.
 * Build: gcc
 * Args: {dir} /tmp /var/tmp
 */
#define _GNU_SOURCE
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

static long fchmodat2(int dirfd, const char *path, mode_t mode, int flags)
{
	return syscall(452, dirfd, path, mode, flags);
}

static void show(const char *what, int fd)
{
	struct stat st;

	if (fstatat(fd, "", &st, AT_EMPTY_PATH))
		printf("%s: %s\n", what, strerror(errno));
	else
		printf("%s: mode %o, changed in %ld\n", what, st.st_mode,
		       st.st_mtim.tv_sec < 1000000 ? (long)st.st_mtim.tv_sec : -1);
}

static void through(const char *what, int fd)
{
	struct timespec times[2] = { { 5, 0 }, { 77, 5 } };

	printf("-- %s\n", what);
	T(fchmod(fd, 0640));
	show("fchmod", fd);
	T(fchmodat2(fd, "", 0604, AT_EMPTY_PATH));
	show("fchmodat2", fd);
	T(fchown(fd, getuid(), getgid()));
	T(fchownat(fd, "", getuid(), getgid(), AT_EMPTY_PATH));
	T(futimens(fd, times));
	show("futimens", fd);
	times[1].tv_sec = 99;
	T(utimensat(fd, "", times, AT_EMPTY_PATH));
	show("utimensat", fd);
}

/* What a descriptor stands for is not what has its name now. */
static void another_has_the_name(int path, int link)
{
	char target[32] = { 0 };
	int file;

	close(open("handles-file", O_WRONLY | O_CREAT, 0600));
	through("O_PATH, another has the name", path);
	printf("the other: %s\n", access("handles-file", X_OK) && !access("handles-file", W_OK) ? "as it was" : "changed");
	T(faccessat(path, "", X_OK, AT_EMPTY_PATH));
	T(linkat(path, "", AT_FDCWD, "handles-again", AT_EMPTY_PATH));
	file = open("handles-file", O_RDWR);
	rename("handles-file", "handles-moved");
	symlink("other", "handles-file");
	T(linkat(file, "", AT_FDCWD, "handles-again", AT_EMPTY_PATH));
	show("link", file);
	unlink("handles-link");
	T(readlinkat(link, "", target, sizeof target));
	printf("%s\n", target);
	symlink("another", "handles-link");
	T(readlinkat(link, "", target, sizeof target));
	printf("%s\n", target);
	T(unlink("handles-again"));
	unlink("handles-file"), unlink("handles-moved"), close(file);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char name[32] = "handles-file";

		char top[PATH_MAX];

		printf("---- %d\n", i);
		snprintf(top, sizeof top, "%s/handles-XXXXXX", argv[i]);
		if (!mkdtemp(top) || chdir(top))
			return 1;
		close(open(name, O_WRONLY | O_CREAT, 0600));
		int path = open(name, O_PATH), link, dir, dir_path;
		through("O_PATH", path);
		chmod(name, 0400);
		T(chmod(name, 0444)); /* of a file that nobody may write to */
		int read_only = open(name, O_RDONLY);
		through("for reading", read_only);
		T(fchmodat2(AT_FDCWD, name, 0600, 0));
		T(fchmodat2(AT_FDCWD, name, 0600, AT_SYMLINK_NOFOLLOW));
		T(fchmodat2(AT_FDCWD, name, 0600, 1));
		T(fchmodat2(path, "", 0600, 0));
		T(fchmodat2(-1, "", 0600, AT_EMPTY_PATH));
		T(fchmodat2(path, NULL, 0600, 0));
		unlink(name);
		through("for reading, name gone", read_only);
		if (symlink("nowhere", "handles-link"))
			return 1;
		link = open("handles-link", O_PATH | O_NOFOLLOW);
		T(fchmodat2(link, "", 0600, AT_EMPTY_PATH));
		T(fchmodat2(AT_FDCWD, "handles-link", 0600, AT_SYMLINK_NOFOLLOW));
		T(fchmodat2(AT_FDCWD, "handles-link", 0600, 0));
		T(fchownat(link, "", getuid(), getgid(), AT_EMPTY_PATH));
		another_has_the_name(path, link);
		mkdir("handles-dir", 0755);
		dir = open("handles-dir", O_RDONLY | O_DIRECTORY);
		through("directory", dir);
		dir_path = open("handles-dir", O_PATH | O_DIRECTORY);
		through("directory, O_PATH", dir_path);
		unlink("handles-link"), rmdir("handles-dir"), rmdir(top);
		close(path), close(read_only), close(link), close(dir), close(dir_path);
	}
	return 0;
}
