/*
 * A file that is opened for reading again and again, while its name, content, mode, locks and offset change: each open is a
 * new one of what the name is now. On a host volume, in memory and on the overlay.
 * Build: gcc
 * Args: {dir} /tmp /var/tmp
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define AGAIN 4

static void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("%s: %s\n", name, strerror(errno));
	close(fd);
}

/* What the name holds from the start on, several times. */
static void show(const char *what, const char *name)
{
	for (int i = 0; i < AGAIN; i++) {
		char text[32] = "";
		struct stat st;
		int fd = open(name, O_RDONLY | (i % 2 ? O_CLOEXEC : 0));

		if (fd < 0 || read(fd, text, 6) < 0 || fstat(fd, &st))
			printf("%s: %s\n", what, strerror(errno));
		else
			printf("%s: %s, size %ld, links %ld, at %ld, flags %o, fd flags %d\n", what, text, (long)st.st_size,
			       (long)st.st_nlink, (long)lseek(fd, 0, SEEK_CUR), fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND),
			       fcntl(fd, F_GETFD));
		if (fd >= 0)
			close(fd);
	}
}

static void locks(void)
{
	for (int i = 0; i < AGAIN; i++) {
		int one = open("file", O_RDONLY), two = open("file", O_RDONLY);

		printf("shared %d\n", flock(one, LOCK_SH | LOCK_NB));
		printf("exclusive beside it %d\n", flock(two, LOCK_EX | LOCK_NB));
		close(one);
		printf("alone %d\n", flock(two, LOCK_EX | LOCK_NB));
		close(two);
		one = open("file", O_RDONLY), two = open("file", O_RDONLY);
		struct flock read_lock = { .l_type = F_RDLCK };
		printf("record %d\n", fcntl(one, F_OFD_SETLK, &read_lock));
		close(one);
		one = open("file", O_RDWR);
		struct flock write_lock = { .l_type = F_WRLCK };
		printf("nobody else's %d\n", fcntl(one, F_OFD_SETLK, &write_lock));
		close(one), close(two);
		one = open("file", O_RDONLY);
		printf("flags %d\n", fcntl(one, F_SETFL, O_NONBLOCK | O_APPEND));
		close(one);
		one = open("file", O_RDONLY);
		printf("flags of the next %o\n", fcntl(one, F_GETFL) & (O_NONBLOCK | O_APPEND));
		close(one);
	}
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char top[4096];

		printf("---- %d\n", i);
		snprintf(top, sizeof top, "%s/reopen-XXXXXX", argv[i]);
		if (!mkdtemp(top) || chdir(top))
			return 1;
		put("file", "first");
		show("first", "file");
		put("file", "second");
		show("written", "file");
		put("new", "third");
		if (rename("new", "file"))
			return 1;
		show("replaced", "file");
		int one = open("file", O_RDONLY), two = open("file", O_RDONLY);
		char a[3] = "", b[3] = "";
		long n = read(one, a, 2), m = read(two, b, 2);
		printf("%ld %ld %s %s\n", n, m, a, b);
		close(one), close(two);
		rename("file", "other");
		show("gone", "file");
		show("renamed", "other");
		unlink("other");
		show("removed", "other");
		put("file", "fourth");
		symlink("file", "link");
		show("link", "link");
		unlink("link"), put("link", "fifth");
		show("no link", "link");
		link("file", "hard");
		show("hard", "hard");
		truncate("file", 2);
		show("cut", "hard");
		locks();
		unlink("link"), unlink("hard"), unlink("file");
		mkdir("file", 0700);
		one = open("file", O_RDONLY);
		long none = read(one, a, 1);
		printf("directory %ld %s\n", none, strerror(errno));
		close(one), rmdir("file");
		if (chdir("/") || rmdir(top))
			return 1;
	}
	return 0;
}
