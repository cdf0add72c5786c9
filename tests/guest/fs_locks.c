/*
 * Locks within one process: record locks never exclude its own descriptors and end with the first close; those of open
 * files (OFD) and flock exclude each other. And a lock that comes when its descriptor is closed.
 * Build: gcc
 * Args: {dir} /tmp
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static void lock(const char *what, int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock lk = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	errno = 0;
	if (fcntl(fd, cmd, &lk))
		printf("%s: %s\n", what, strerror(errno));
	else if (cmd == F_GETLK || cmd == F_OFD_GETLK)
		printf("%s: type %d start %ld len %ld\n", what, lk.l_type, lk.l_type == F_UNLCK ? 0 : (long)lk.l_start,
		       lk.l_type == F_UNLCK ? 0 : (long)lk.l_len);
	else
		printf("%s: ok\n", what);
}

/* Silent: the one who waits may be the first to say so. */
static void *unlock_later(void *arg)
{
	struct flock lk = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	usleep(50000);
	return fcntl(*(int *)arg, F_OFD_SETLK, &lk) ? arg : NULL;
}

static void run(void)
{
	int a = open("file", O_RDWR | O_CREAT, 0644), b = open("file", O_RDWR), c = open("file", O_RDONLY);
	pthread_t t;
	void *failed;

	lock("a write 0-9", a, F_SETLK, F_WRLCK, 0, 10);
	lock("b write 5-14", b, F_SETLK, F_WRLCK, 5, 10);
	lock("b asks", b, F_GETLK, F_WRLCK, 0, 10);
	lock("b read-locks 0-4", b, F_SETLK, F_RDLCK, 0, 5);
	lock("c write", c, F_SETLK, F_WRLCK, 0, 1);
	lock("c read", c, F_SETLK, F_RDLCK, 100, 1);
	lock("c OFD asks for 0-14", c, F_OFD_GETLK, F_WRLCK, 12, 1);
	lock("c OFD write", c, F_OFD_SETLK, F_WRLCK, 12, 1);
	lock("c OFD read", c, F_OFD_SETLK, F_RDLCK, 12, 1);
	lock("bad type", a, F_SETLK, 77, 0, 1);
	lock("bad range", a, F_SETLK, F_RDLCK, -5, 1);
	lock("a write to the last byte but one", a, F_OFD_SETLK, F_WRLCK, 200, LONG_MAX - 200);
	lock("b asks for the last two", b, F_OFD_GETLK, F_WRLCK, LONG_MAX - 1, 2);
	lock("a write to the last byte", a, F_OFD_SETLK, F_WRLCK, 200, LONG_MAX - 199);
	lock("b asks for it", b, F_OFD_GETLK, F_WRLCK, LONG_MAX, 1);
	lock("a unlock", a, F_OFD_SETLK, F_UNLCK, 200, 0);
	lock("a byte behind the last", a, F_OFD_SETLK, F_WRLCK, 200, LONG_MAX - 198);
	lock("all there are behind 2", a, F_OFD_SETLK, F_WRLCK, 2, LONG_MAX);
	lock("back to byte -1", a, F_OFD_SETLK, F_WRLCK, 9, -10);
	lock("back without end", a, F_OFD_SETLK, F_WRLCK, 9, LONG_MIN);
	lock("back to byte 200", a, F_OFD_SETLK, F_WRLCK, 210, -10);
	lock("b asks", b, F_OFD_GETLK, F_WRLCK, 190, 20);
	lock("a unlock", a, F_OFD_SETLK, F_UNLCK, 0, 0);
	close(dup(c));
	lock("c OFD read after a close", c, F_OFD_SETLK, F_RDLCK, 12, 1);
	lock("a OFD write", a, F_OFD_SETLK, F_WRLCK, 0, 20);
	lock("a OFD write elsewhere", a, F_OFD_SETLK, F_WRLCK, 50, 10);
	lock("b OFD asks", b, F_OFD_GETLK, F_WRLCK, 55, 1);
	lock("b OFD write", b, F_OFD_SETLK, F_WRLCK, 59, 2);
	lock("a OFD unlock middle", a, F_OFD_SETLK, F_UNLCK, 52, 2);
	lock("b OFD write 52", b, F_OFD_SETLK, F_WRLCK, 52, 2);
	lock("b OFD asks", b, F_OFD_GETLK, F_WRLCK, 50, 100);
	lock("c unlocks", c, F_OFD_SETLK, F_UNLCK, 0, 0);
	lock("b unlocks", b, F_OFD_SETLK, F_UNLCK, 0, 0);
	pthread_create(&t, NULL, unlock_later, &a);
	lock("b waits", b, F_OFD_SETLKW, F_WRLCK, 50, 1);
	pthread_join(t, &failed);
	printf("thread unlocks: %s\n", failed ? "no" : "ok");
	printf("flock a sh %d\n", flock(a, LOCK_SH));
	printf("flock b sh %d\n", flock(b, LOCK_SH));
	printf("flock b ex %d %s\n", flock(b, LOCK_EX | LOCK_NB), strerror(errno));
	close(a);
	printf("flock b ex %d\n", flock(b, LOCK_EX | LOCK_NB));
	printf("flock c sh %d %s\n", flock(c, LOCK_SH | LOCK_NB), strerror(errno));
	printf("flock b un %d\n", flock(b, LOCK_UN));
	printf("flock c sh %d\n", flock(c, LOCK_SH | LOCK_NB));
	printf("flock bad %d %s\n", flock(c, 77), strerror(errno));
	close(b);
	close(c);
}

static void *wait_for_lock(void *arg)
{
	lock("waits", *(int *)arg, F_SETLKW, F_WRLCK, 0, 10);
	return NULL;
}

/* The other process: it has the lock for a while, and asks for it again when it is told to. */
static void other(int in, int out)
{
	int fd = open("file", O_RDWR);
	char c = 0;

	lock("child", fd, F_SETLK, F_WRLCK, 0, 10);
	fflush(stdout);
	if (write(out, &c, 1) != 1 || read(in, &c, 1) != 1)
		_exit(1);
	lock("child unlocks", fd, F_SETLK, F_UNLCK, 0, 0);
	fflush(stdout);
	if (write(out, &c, 1) != 1 || read(in, &c, 1) != 1)
		_exit(1);
	lock("child again", fd, F_SETLK, F_WRLCK, 0, 10);
	fflush(stdout);
	_exit(0);
}

/* A thread waits for a lock, and another one closes the descriptor: then nobody has it. */
static void closed_meanwhile(void)
{
	int to[2], from[2], fd = open("file", O_RDWR);
	pthread_t t;
	char c = 0;
	pid_t pid;

	fflush(stdout);
	if (pipe(to) || pipe(from) || (pid = fork()) < 0)
		return;
	if (!pid)
		other(to[0], from[1]);
	(void)!read(from[0], &c, 1);
	pthread_create(&t, NULL, wait_for_lock, &fd);
	usleep(30000);
	close(fd);
	(void)!write(to[1], &c, 1);
	(void)!read(from[0], &c, 1);
	pthread_join(t, NULL);
	fflush(stdout);
	(void)!write(to[1], &c, 1);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 2; i++)
		close(to[i]), close(from[i]);
}

/* Directories are only open for reading, so their record locks exclude nobody; but they can be asked for. */
static void directories(void)
{
	int a = open(".", O_RDONLY | O_DIRECTORY), b = open(".", O_RDONLY | O_DIRECTORY);

	lock("directory read", a, F_SETLK, F_RDLCK, 0, 10);
	lock("directory write", a, F_SETLK, F_WRLCK, 0, 10);
	lock("directory asks for its own", b, F_GETLK, F_WRLCK, 0, 5);
	lock("directory OFD asks", b, F_OFD_GETLK, F_WRLCK, 3, 20);
	close(dup(b));
	lock("directory OFD asks after a close", b, F_OFD_GETLK, F_WRLCK, 3, 20);
	lock("directory OFD read", a, F_OFD_SETLK, F_RDLCK, 20, 5);
	close(dup(a));
	lock("directory OFD asks for that", b, F_OFD_GETLK, F_WRLCK, 3, 0);
	close(a);
	lock("directory OFD asks when that is closed", b, F_OFD_GETLK, F_WRLCK, 3, 0);
	close(b);
}

/* Of several locks in the way the first is told, however late it came; and ranges that are none, of pipes too. */
static void ranges(void)
{
	int fd = open("file", O_RDWR), pipes[2], status;

	lock("20-29", fd, F_SETLK, F_WRLCK, 20, 10);
	lock("10-14", fd, F_SETLK, F_RDLCK, 10, 5);
	lock("40 to the end", fd, F_SETLK, F_WRLCK, 40, 0);
	lock("0-4", fd, F_SETLK, F_WRLCK, 0, 5);
	lock("2-21 read", fd, F_SETLK, F_RDLCK, 2, 20);
	fflush(stdout);
	if (!fork()) {
		fd = open("file", O_RDWR);
		for (int at = 0; at < 45; at += 5) {
			lock("who writes", fd, F_GETLK, F_WRLCK, at, 0);
			lock("who reads", fd, F_GETLK, F_RDLCK, at, 20);
		}
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	lock("over the end", fd, F_SETLK, F_WRLCK, 100, INT64_MAX);
	lock("to the very end", fd, F_SETLK, F_WRLCK, 100, INT64_MAX - 99);
	lock("before the start", fd, F_SETLK, F_WRLCK, 5, -6);
	lock("before, all of it", fd, F_SETLK, F_WRLCK, INT64_MAX, INT64_MIN);
	lock("from the start", fd, F_SETLK, F_WRLCK, 5, -5);
	lseek(fd, 10, SEEK_SET);
	struct flock lk = { .l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = INT64_MAX - 5 };
	printf("over the end from here: %s\n", fcntl(fd, F_SETLK, &lk) ? strerror(errno) : "ok");
	close(fd);
	if (pipe(pipes))
		return;
	lock("pipe", pipes[1], F_SETLK, F_WRLCK, 0, 10);
	lock("pipe, over the end", pipes[1], F_SETLK, F_WRLCK, 100, INT64_MAX);
	lock("pipe, before the start", pipes[1], F_SETLK, F_WRLCK, -1, 5);
	lock("pipe, not to be read", pipes[1], F_SETLK, F_RDLCK, 0, 5);
	lk = (struct flock){ .l_type = F_WRLCK, .l_whence = 7 };
	printf("pipe, from nowhere: %s\n", fcntl(pipes[1], F_SETLK, &lk) ? strerror(errno) : "ok");
	printf("pipe, asked from nowhere: %s\n", fcntl(pipes[1], F_GETLK, &lk) ? strerror(errno) : "ok");
	close(pipes[0]);
	close(pipes[1]);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char top[PATH_MAX];

		snprintf(top, sizeof top, "%s/fs-locks-XXXXXX", argv[i]);
		if (!mkdtemp(top) || chdir(top))
			return 1;
		printf("-- %d\n", i);
		run();
		closed_meanwhile();
		directories();
		ranges();
		unlink("file");
		rmdir(top);
	}
	return 0;
}
