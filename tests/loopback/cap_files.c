/*
 * /cap: what was granted by name, as files. Two cVMs share the file "board" (64 bytes over a page, "hello" at its start) and the
 * read-only "rules"; "first" listens at the socket "unix/run/talk", to which "second" connects as /cap/stream/unix/run/talk.
 * Ends by itself: "ok" from both.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SIZE 4160
#define CHECK(x)                                                                                 \
	do {                                                                                     \
		if (!(x)) {                                                                      \
			printf("%s: line %d: %s (errno %s)\n", g_who, __LINE__, #x, strerrorname_np(errno)); \
			exit(1);                                                                 \
		}                                                                                \
	} while (0)

static const char *g_who;

static int fails(int r, int error)
{
	return r < 0 && errno == error;
}

static void errors(void)
{
	struct stat st;

	CHECK(fails(open("/cap/file/other", O_RDONLY), EACCES)); /* not granted */
	CHECK(fails(open("/cap/file/missing", O_RDONLY), ENOENT)); /* granted, not there */
	CHECK(fails(open("/cap/nothing", O_RDONLY), ENOENT));
	CHECK(fails(open("/cap/file/rules", O_RDWR), EACCES));
	CHECK(fails(open("/cap/file/rules", O_WRONLY), EACCES));
	CHECK(fails(open("/cap/file/board/x", O_RDONLY), ENOTDIR));
	CHECK(fails(open("/cap/file/new", O_RDWR | O_CREAT, 0600), EACCES));
	CHECK(fails(unlink("/cap/file/board"), EPERM));
	CHECK(!stat("/cap/file/board", &st) && S_ISREG(st.st_mode) && st.st_size == SIZE);
	CHECK(!stat("/cap/file", &st) && S_ISDIR(st.st_mode));
}

static void listing(void)
{
	DIR *dir = opendir("/cap/file");
	int seen = 0;

	CHECK(dir);
	for (struct dirent *d; (d = readdir(dir));)
		seen |= !strcmp(d->d_name, "board") ? 1 : !strcmp(d->d_name, "rules") ? 2 : !strcmp(d->d_name, "missing") ? 4 : 0;
	CHECK(seen == 7);
	closedir(dir);
}

static void bytes(void)
{
	char b[100] = "";
	int fd = open("/cap/file/board", O_RDWR), rules = open("/cap/file/rules", O_RDONLY);
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };
	struct stat st;

	CHECK(fd >= 0 && rules >= 0);
	CHECK(read(fd, b, 5) == 5 && !memcmp(b, "hello", 5));
	CHECK(lseek(fd, 0, SEEK_CUR) == 5 && lseek(fd, 0, SEEK_END) == SIZE);
	CHECK(read(fd, b, 10) == 0 && fails((int)write(fd, "x", 1), ENOSPC));
	CHECK(lseek(fd, -3, SEEK_END) == SIZE - 3 && write(fd, "abcdef", 6) == 3);
	CHECK(pread(fd, b, 10, SIZE - 3) == 3 && !memcmp(b, "abc", 3));
	CHECK(pwrite(fd, "zyx", 3, 4095) == 3 && pread(fd, b, 3, 4095) == 3 && !memcmp(b, "zyx", 3));
	CHECK(!fstat(fd, &st) && st.st_size == SIZE);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT));
	CHECK(!ftruncate(fd, SIZE) && fails(ftruncate(fd, 1), EPERM));
	CHECK(read(rules, b, 100) == 8 && !memcmp(b, "be good!", 8));
	CHECK(fails((int)write(rules, "x", 1), EBADF));
	CHECK(fails((int)read(fd, (void *)8, 10), EFAULT) || lseek(fd, 0, SEEK_CUR) >= SIZE);
	close(fd);
	close(rules);
}

static void mapped(void)
{
	int fd = open("/cap/file/board", O_RDWR), rules = open("/cap/file/rules", O_RDONLY);
	char *one = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *two, *private;

	CHECK(one != MAP_FAILED);
	two = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
	CHECK(two != MAP_FAILED && two[0] == one[4096]);
	CHECK(!memcmp(one, "hello", 5));
	one[4096] = '!';
	CHECK(two[0] == '!' && pread(fd, &(char){ 0 }, 1, 4096) == 1);
	private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(private != MAP_FAILED && !memcmp(private, "hello", 5));
	private[0] = 'j';
	CHECK(one[0] == 'h');
	close(fd);
	CHECK(one[4096] == '!');
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, rules, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, rules, 0) == MAP_FAILED); /* not granted to be mapped */
	CHECK(!munmap(two, 4096) && !munmap(one, 8192));
	for (int i = 0; i < 3000; i++) { /* more often than there may be capabilities */
		fd = open("/cap/file/board", O_RDWR);
		one = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		CHECK(fd >= 0 && one != MAP_FAILED);
		CHECK(!close(fd) && one[1] == 'e' && !munmap(one, 4096));
	}
	char *other = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd = open("/cap/file/board", O_RDWR), 0);
	CHECK(other != MAP_FAILED && !munmap(other + 4096, 4096)); /* in pieces */
	char *new = mmap(other + 4096, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(new == other + 4096 && !new[0] && other[0] == 'h');
	new[0] = 'n';
	CHECK(!munmap(other, 4096) && !close(fd) && new[0] == 'n');
	close(rules);
}

/* Passes the turn through shared memory: the byte at 100. */
static void wait_turn(char turn)
{
	int fd = open("/cap/file/board", O_RDONLY);
	char c = 0;

	while (pread(fd, &c, 1, 100) == 1 && c != turn)
		usleep(1000);
	close(fd);
}

static void set_turn(char turn)
{
	int fd = open("/cap/file/board", O_WRONLY);

	CHECK(pwrite(fd, &turn, 1, 100) == 1);
	close(fd);
}

static void first(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/run/talk" };
	int l = socket(AF_UNIX, SOCK_STREAM, 0), fd;
	char b[10];

	errors();
	listing();
	bytes();
	mapped();
	CHECK(!bind(l, (void *)&a, sizeof a) && !listen(l, 5));
	set_turn('2');
	fd = accept(l, NULL, NULL);
	CHECK(fd >= 0 && read(fd, b, 10) == 5 && !memcmp(b, "hello", 5));
	CHECK(write(fd, "bye", 3) == 3);
	close(fd);
}

static void second(void)
{
	struct pollfd p = { .events = POLLIN };
	char b[10];
	int fd;

	CHECK(fails(open("/cap/stream/tcp/1", O_RDWR), EACCES));
	wait_turn('2');
	fd = open("/cap/stream/unix/run/talk", O_RDWR);
	CHECK(fd >= 0 && write(fd, "hello", 5) == 5);
	p.fd = fd;
	CHECK(poll(&p, 1, 10000) == 1 && p.revents & POLLIN);
	CHECK(read(fd, b, 10) == 3 && !memcmp(b, "bye", 3) && read(fd, b, 10) == 0);
	close(fd);
}

int main(int argc, char **argv)
{
	g_who = argc > 1 ? argv[1] : "";
	alarm(60);
	strcmp(g_who, "first") ? second() : first();
	printf("%s ok\n", g_who);
	return 0;
}
