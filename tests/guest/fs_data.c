/*
 * Bytes in files: offsets, append, holes, truncation, vectors, copies, shared mappings, and positions shared by
 * duplicates. The same on a host volume, in memory and on the overlay.
 * Build: gcc
 * Args: {dir} /tmp /var/tmp /dev/shm
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define T(call)                                                             \
	do {                                                                \
		errno = 0;                                                  \
		long ret_ = (long)(call);                                   \
		if (ret_ < 0)                                               \
			printf("%s -> %s\n", #call, strerror(errno));       \
		else                                                        \
			printf("%s -> %ld\n", #call, ret_);                 \
	} while (0)

/* Not constants: the compiler would object. */
static volatile int bad_count = -1;
static void *volatile bad_address = (void *)1;

static unsigned long sum_of(int fd)
{
	static unsigned char buf[70000];
	unsigned long sum = 5381;
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buf, sizeof buf, at)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			sum = sum * 33 + buf[i];
		at += n;
	}
	return sum;
}

static void positions(void)
{
	int fd = open("pos", O_RDWR | O_CREAT | O_TRUNC, 0644), two = dup(fd), other = open("pos", O_RDWR);
	char buf[32] = "";
	struct iovec iov[3] = { { "abc", 3 }, { "", 0 }, { "defg", 4 } };

	T(write(fd, "0123456789", 10));
	T(lseek(two, 0, SEEK_CUR));
	T(lseek(other, 0, SEEK_CUR));
	T(lseek(fd, -3, SEEK_END));
	T(read(two, buf, 2));
	T(lseek(fd, 0, SEEK_CUR));
	T(lseek(fd, -100, SEEK_SET));
	T(lseek(fd, 0, 77));
	T(pwrite(fd, "XY", 2, 20));
	T(writev(fd, iov, 3));
	T(preadv(other, iov, 0, 0));
	T(writev(fd, iov, bad_count));
	iov[0] = (struct iovec){ (void *)0x123456789000, 0 }; /* an empty piece points nowhere */
	T(pwritev(fd, iov, 3, 0));
	T(pread(fd, buf, 5, -1));
	T(pread(fd, buf, sizeof buf, 0));
	for (int i = 0; i < 22; i++)
		putchar(buf[i] ? buf[i] : '.');
	putchar('\n');
	T(read(fd, bad_address, 4));
	T(pread(fd, buf, 4, 1000));
	close(two);
	close(other);
	close(fd);
}

/* Of nothing the address says nothing. */
static void nothing(void)
{
	volatile size_t none = 0;
	int fd = open("pos", O_RDWR | O_CREAT, 0600), p[2];

	T(pipe(p));
	T(write(fd, NULL, none));
	T(pwrite(fd, NULL, none, 5));
	T(read(fd, NULL, none));
	T(pread(fd, (void *)1, none, 0));
	T(write(p[1], NULL, none));
	T(read(p[0], NULL, none));
	fflush(stdout);
	T(write(1, NULL, none));
	close(p[0]);
	close(p[1]);
	close(fd);
}

static void appending(void)
{
	int a = open("app", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644), b = open("app", O_RDWR | O_APPEND);
	char buf[32];

	T(write(a, "one", 3));
	T(write(b, "two", 3));
	T(lseek(a, 0, SEEK_CUR));
	T(lseek(b, 0, SEEK_CUR));
	T(write(a, "three", 5));
	T(lseek(a, 0, SEEK_CUR));
	T(pwrite(a, "four", 4, 0));
	T(lseek(a, 0, SEEK_CUR));
	T(lseek(b, 0, SEEK_SET));
	T(read(b, buf, 4));
	T(read(b, buf + 4, 28));
	printf("%.*s\n", 15, buf);
	T(fcntl(b, F_SETFL, 0));
	T(fcntl(b, F_GETFL) & (O_APPEND | O_ACCMODE));
	T(pwrite(b, "ONE", 3, 0));
	T(fcntl(b, F_SETFL, O_APPEND));
	T(write(b, "!", 1));
	T(lseek(b, 0, SEEK_END));
	/* what moves the position that an append left */
	int c = open("app", O_RDWR), left = -1;
	off_t to = 0;

	T(write(b, "b's own", 7));
	T(write(a, "the rest", 8));
	T(ioctl(b, FIONREAD, &left));
	printf("left %d\n", left);
	T(write(b, "!", 1));
	T(write(a, "the rest", 8));
	T(copy_file_range(b, NULL, c, &to, 100, 0));
	printf("to %ld at %ld\n", (long)to, (long)lseek(b, 0, SEEK_CUR));
	T(read(c, buf, 8));
	printf("%.8s\n", buf);
	/* lseek that fails leaves it */
	T(write(b, "!", 1));
	T(write(a, "the rest", 8));
	T(lseek(b, -1000, SEEK_END));
	T(lseek(b, 100000, SEEK_DATA));
	T(read(b, buf, 8));
	T(lseek(b, 0, SEEK_CUR));
	close(a);
	close(b);
	close(c);
}

static void holes(void)
{
	int fd = open("hole", O_RDWR | O_CREAT | O_TRUNC, 0644);
	char buf[8192];
	struct stat st;

	T(pwrite(fd, "end", 3, 3000000));
	fstat(fd, &st);
	printf("size %ld sparse %d\n", (long)st.st_size, st.st_blocks * 512 < 3000000);
	T(pread(fd, buf, 4096, 1500000));
	printf("zero %d\n", buf[0] == 0 && memcmp(buf, buf + 1, 4095) == 0);
	T(lseek(fd, 0, SEEK_HOLE));
	T(lseek(fd, 3000003, SEEK_DATA));
	T(ftruncate(fd, 3000001));
	T(ftruncate(fd, 3000010));
	T(pread(fd, buf, 100, 3000000));
	printf("tail %d %d\n", buf[0], buf[1]);
	T(ftruncate(fd, 0));
	T(fallocate(fd, 0, 0, 100000));
	T(fallocate(fd, 1, 0, 200000));
	fstat(fd, &st);
	printf("size %ld\n", (long)st.st_size);
	memset(buf, 'x', sizeof buf);
	T(pwrite(fd, buf, sizeof buf, 0));
	T(fallocate(fd, 3, 100, 5000));
	T(pread(fd, buf, sizeof buf, 0));
	printf("punched %d %d %d %d\n", buf[99], buf[100], buf[5099], buf[5100]);
	T(fallocate(fd, 0, 0, 0));
	T(fallocate(fd, 0, -1, 5));
	close(fd);
}

static void growing(void)
{
	static unsigned char block[33333];
	int fd = open("big", O_RDWR | O_CREAT | O_TRUNC, 0644);

	for (int i = 0; i < 200; i++) {
		for (unsigned k = 0; k < sizeof block; k++)
			block[k] = (unsigned char)(i * 7 + k * 13 + (k >> 8));
		if (write(fd, block, sizeof block) != sizeof block)
			printf("short write at %d\n", i);
	}
	printf("sum %lx\n", sum_of(fd));
	T(ftruncate(fd, 1234567));
	printf("sum %lx\n", sum_of(fd));
	T(ftruncate(fd, 100));
	T(ftruncate(fd, 2000000));
	printf("sum %lx\n", sum_of(fd));
	T(fsync(fd));
	T(fdatasync(fd));
	close(fd);
}

/* What cannot be sought in is left as it is. */
static void sendfile_from_no_file(int out)
{
	int pair[2];
	char byte;

	T(pipe(pair));
	T(write(pair[1], "x", 1));
	T(sendfile(out, pair[0], NULL, 10));
	T(read(pair[0], &byte, 1));
	close(pair[0]);
	close(pair[1]);
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	T(write(pair[1], "x", 1));
	T(sendfile(out, pair[0], NULL, 10));
	T(read(pair[0], &byte, 1));
	close(pair[0]);
	close(pair[1]);
}

static void copying(void)
{
	int in = open("big", O_RDWR | O_TRUNC), out = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);
	static char text[300000];
	off_t offset = 1000, to = 5;

	for (unsigned i = 0; i < sizeof text; i++)
		text[i] = (char)('a' + i % 26);
	T(write(in, text, sizeof text));
	T(sendfile(out, in, &offset, 250000));
	printf("offset %ld\n", (long)offset);
	T(lseek(in, 0, SEEK_SET));
	T(copy_file_range(in, NULL, out, &to, 299000, 0));
	printf("to %ld at %ld\n", (long)to, (long)lseek(in, 0, SEEK_CUR));
	printf("sum %lx\n", sum_of(out));
	T(sendfile(out, in, NULL, 5000));
	T(sendfile(in, out, (off_t *)1, 10));
	sendfile_from_no_file(out);
	close(in);
	close(out);
}

static void mapping(void)
{
	int fd = open("map", O_RDWR | O_CREAT | O_TRUNC, 0644), i;
	char *p, *q, buf[8];

	T(ftruncate(fd, 10000));
	p = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 4096);
	if (p == MAP_FAILED || q == MAP_FAILED) {
		printf("mmap: %s\n", strerror(errno));
		return;
	}
	memcpy(p + 4090, "mapped", 6);
	T(pread(fd, buf, 6, 4090));
	printf("%.6s\n", buf);
	T(pwrite(fd, "WRITTEN", 7, 4096));
	printf("%.7s %.7s\n", p + 4096, q);
	q[0] = 'p';
	printf("%c %c\n", p[4096], q[0]);
	T(ftruncate(fd, 4100));
	T(ftruncate(fd, 10000));
	for (i = 0; i < 4096 && !p[4100 + i]; i++)
		;
	printf("zeroed %d\n", i);
	T(msync(p, 12288, MS_SYNC));
	close(fd);
	T(unlink("map"));
	p[1] = 'z';
	printf("%c\n", p[1]);
	munmap(p, 12288);
	munmap(q, 4096);
}

static void memfd(void)
{
	int fd = memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	char link[64], path[64];
	struct stat st;
	ssize_t n;
	char *p;

	T(write(fd, "memfd", 5));
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	printf("%.5s\n", p);
	munmap(p, 4096);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof link);
	printf("%.*s\n", (int)n, link);
	T(fcntl(fd, F_GET_SEALS));
	T(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK));
	T(write(fd, "more", 4));
	T(pwrite(fd, "M", 1, 0));
	T(ftruncate(fd, 1));
	T(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL));
	T(pwrite(fd, "m", 1, 0));
	T(pwrite(fd, "", 0, 100));
	T(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	fstat(fd, &st);
	printf("mode %o links %ld size %ld\n", st.st_mode, (long)st.st_nlink, (long)st.st_size);
	close(fd);
}

/* Who is told that a memfd does not change any more must be able to rely on that. */
static void sealed_for_writing(void)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
	char *shared, *private, *none;

	T(ftruncate(fd, 8192));
	shared = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	T(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	T(mprotect(shared, 4096, PROT_READ | PROT_WRITE));
	strcpy(shared, "written");
	T(munmap(shared, 4096));
	T(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	T(munmap(shared + 4096, 4096));
	private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	T(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	strcpy(private + 4, "own");
	T(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	T(mprotect(shared, 4096, PROT_READ | PROT_WRITE));
	none = mmap(NULL, 4096, PROT_NONE, MAP_SHARED, fd, 0);
	T(mprotect(none, 4096, PROT_WRITE));
	T(mprotect(none, 4096, PROT_READ));
	printf("%s %s %s\n", shared, private, none);
	munmap(shared, 4096);
	munmap(private, 4096);
	munmap(none, 4096);
	close(fd);
}

/* The entries of getdents as it was at first: the name is at byte 18, the kind at the end. */
static void old_list(void)
{
	unsigned char bytes[1024];
	int dir = open(".", O_RDONLY | O_DIRECTORY), names = 0, files = 0;
	long n = syscall(SYS_getdents, dir, bytes, sizeof bytes);

	for (long at = 0; at < n; at += *(unsigned short *)(bytes + at + 16)) {
		names += bytes[at + 18] != 0;
		files += bytes[at + *(unsigned short *)(bytes + at + 16) - 1] == 8;
	}
	printf("%d names, %d of files\n", names, files);
	lseek(dir, 0, SEEK_SET);
	T(syscall(SYS_getdents, dir, bad_address, 1024));
	close(dir);
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "pos", "app", "hole", "big", "copy" };

	for (int i = 1; i < argc; i++) {
		char top[PATH_MAX];

		snprintf(top, sizeof top, "%s/fs-data-XXXXXX", argv[i]);
		if (!mkdtemp(top) || chdir(top)) {
			printf("mkdtemp in %s: %s\n", argv[i], strerror(errno));
			return 1;
		}
		printf("-- %d\n", i);
		positions();
		nothing();
		appending();
		holes();
		growing();
		copying();
		mapping();
		memfd();
		sealed_for_writing();
		old_list();
		for (unsigned k = 0; k < sizeof names / sizeof *names; k++)
			unlink(names[k]);
		T(chdir("/"));
		printf("empty: %s\n", rmdir(top) ? strerror(errno) : "yes");
	}
	return 0;
}
