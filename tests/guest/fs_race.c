/*
 * Eight threads at once on the same few names and descriptors: create, write, rename, link, list, remove, dup and
 * close. What each call answers is left to chance; what must hold is that files have whole contents, that every error
 * is one that the race explains, and that everything can be removed at the end.
 * Build: gcc
 * Args: {dir} /tmp /var/tmp
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS 8
#define ROUNDS 1500
#define NAMES 5

static int bad;

static void expected(const char *what, int err)
{
	if (err != ENOENT && err != EEXIST && err != ENOTEMPTY && err != EISDIR && err != ENOTDIR && err != EINVAL &&
	    err != EBUSY && __atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED) < 10)
		printf("%s: %s\n", what, strerror(err));
}

static void whole_file(const char *path)
{
	char buf[64];
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0) {
		expected("open", errno);
		return;
	}
	n = read(fd, buf, sizeof buf);
	if (n < 0)
		expected("read", errno);
	for (ssize_t i = 1; i < n; i++)
		if (buf[i] != buf[0]) {
			__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
			break;
		}
	close(fd);
}

static void replace(const char *path, int who, int round)
{
	char temporary[64], buf[32];
	int fd;

	snprintf(temporary, sizeof temporary, "tmp-%d-%d", who, round);
	memset(buf, 'a' + who, sizeof buf);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd < 0 || write(fd, buf, sizeof buf) != sizeof buf) {
		expected("create", EIO);
		return;
	}
	close(fd);
	if (rename(temporary, path)) {
		expected("rename", errno);
		unlink(temporary);
	}
}

static void list(void)
{
	DIR *d = opendir(".");

	if (!d) {
		expected("opendir", errno);
		return;
	}
	while (readdir(d))
		;
	closedir(d);
}

static void *work(void *arg)
{
	int who = (int)(long)arg;
	unsigned seed = (unsigned)who * 7919 + 1;
	struct stat st;

	for (int i = 0; i < ROUNDS; i++) {
		char a[32], b[32];
		int fd;

		snprintf(a, sizeof a, "n%d", rand_r(&seed) % NAMES);
		snprintf(b, sizeof b, "n%d", rand_r(&seed) % NAMES);
		switch (rand_r(&seed) % 10) {
		case 0: case 1: replace(a, who, i); break;
		case 2: case 3: whole_file(a); break;
		case 4: if (unlink(a)) expected("unlink", errno); break;
		case 5: if (link(a, b)) expected("link", errno); break;
		case 6: if (rename(a, b)) expected("rename", errno); break;
		case 7: if (i % 16 == 0) list(); else if (stat(a, &st)) expected("stat", errno); break;
		case 8:
			if (mkdir("dir", 0755)) expected("mkdir", errno);
			if (rename(a, "dir/x")) expected("rename into", errno);
			if (unlink("dir/x")) expected("unlink inside", errno);
			if (rmdir("dir")) expected("rmdir", errno);
			break;
		default:
			fd = dup(1);
			if (fd < 0 || fcntl(fd, F_GETFD) < 0 || close(fd))
				expected("dup", EIO);
		}
	}
	return NULL;
}

static void clean(void)
{
	DIR *d = opendir(".");

	for (struct dirent *e; d && (e = readdir(d)) != NULL;)
		if (e->d_name[0] != '.' && unlink(e->d_name)) {
			unlink("dir/x");
			rmdir(e->d_name);
		}
	closedir(d);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		pthread_t t[THREADS];
		char top[PATH_MAX];

		snprintf(top, sizeof top, "%s/fs-race-XXXXXX", argv[i]);
		if (!mkdtemp(top) || chdir(top))
			return 1;
		for (long k = 0; k < THREADS; k++)
			pthread_create(&t[k], NULL, work, (void *)k);
		for (int k = 0; k < THREADS; k++)
			pthread_join(t[k], NULL);
		clean();
		if (chdir("/"))
			return 1;
		printf("-- %d: bad %d, removed %s\n", i, bad, rmdir(top) ? strerror(errno) : "everything");
	}
	return 0;
}
