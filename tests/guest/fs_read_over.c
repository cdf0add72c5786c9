/*
 * A file that is read over and over, so that a libOS may have it mapped: what it is told is the host's answer all the same, when the
 * file is written to, cut, grows and is cut while it is read, at its end, and into buffers that are not there.
 * Build: gcc
 * Args: {dir}
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096l
#define SIZE (40 * PAGE + 100)
#define TIMES 60 /* so often that 160 KiB are some mebibytes */
#define ROUNDS 100

static char g_name[4096], g_page[8 * PAGE];

static unsigned char byte_at(long at)
{
	return (unsigned char)(at / PAGE * 7 + at % PAGE % 251 + 1) | 1;
}

static void fill(int fd, long from, long to)
{
	static char bytes[SIZE];

	for (long at = from; at < to; at++)
		bytes[at - from] = (char)byte_at(at);
	if (pwrite(fd, bytes, (size_t)(to - from), from) != to - from)
		printf("pwrite: %s\n", strerror(errno));
}

static void show(const char *what, long n, const char *bytes)
{
	unsigned sum = 0;

	for (long i = 0; i < n; i++)
		sum = sum * 31 + (unsigned char)bytes[i];
	printf("%s: %ld %s %08x\n", what, n, n < 0 ? strerror(errno) : "", sum);
}

static void read_over(int fd)
{
	for (int i = 0; i < TIMES; i++)
		for (long at = 0; pread(fd, g_page, (size_t)PAGE, at) > 0; at += PAGE)
			;
}

static void edges(int fd)
{
	const long at[] = { 0, 1, PAGE - 1, PAGE, 5 * PAGE + 17, 39 * PAGE - 1, 39 * PAGE, 40 * PAGE - 1, 40 * PAGE, SIZE - 1, SIZE, SIZE + PAGE,
			    1l << 40 };
	const size_t sizes[] = { 0, 1, 100, PAGE, PAGE + 1, 3 * PAGE + 5 };

	for (unsigned i = 0; i < sizeof at / sizeof *at; i++)
		for (unsigned k = 0; k < sizeof sizes / sizeof *sizes; k++) {
			char what[64];
			snprintf(what, sizeof what, "%zu at %ld", sizes[k], at[i]);
			show(what, pread(fd, g_page, sizes[k], at[i]), g_page);
		}
	printf("before the start: %zd %s\n", pread(fd, g_page, 1, -1), strerror(errno));
	lseek(fd, 3 * PAGE + 1, SEEK_SET);
	show("read", read(fd, g_page, 2 * PAGE), g_page);
	printf("offset %ld\n", (long)lseek(fd, 0, SEEK_CUR));
}

static void bad_buffers(int fd)
{
	char *volatile nowhere = (char *)16;
	char *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	read_over(fd);
	munmap(two + PAGE, PAGE);
	errno = 0;
	printf("nowhere: %zd %s\n", pread(fd, nowhere, PAGE, 0), strerror(errno));
	printf("half: %zd\n", pread(fd, two + PAGE - 100, PAGE, 0));
	mprotect(two, PAGE, PROT_READ);
	printf("read-only: %zd %s\n", pread(fd, two, PAGE, 0), strerror(errno));
	show("after that", pread(fd, g_page, PAGE, PAGE), g_page);
	munmap(two, PAGE);
}

static void changes(int fd, int other)
{
	read_over(fd);
	if (pwrite(other, "changed", 7, 3 * PAGE + 5) != 7)
		perror("pwrite");
	show("written to", pread(fd, g_page, PAGE, 3 * PAGE), g_page);
	fill(other, 3 * PAGE, 4 * PAGE);
	for (long size = SIZE; size > 0; size -= 7 * PAGE + 1234) {
		if (ftruncate(other, size))
			perror("ftruncate");
		printf("cut to %ld: %zd of the last page, %zd behind\n", size, pread(fd, g_page, PAGE, size / PAGE * PAGE),
		       pread(fd, g_page, PAGE, size));
		show("before it", pread(fd, g_page, PAGE, (size / PAGE - 1) * PAGE), g_page);
		read_over(fd);
	}
	if (ftruncate(other, SIZE))
		perror("ftruncate");
	show("larger again", pread(fd, g_page, PAGE, 20 * PAGE), g_page);
	fill(other, 0, SIZE);
	read_over(fd);
	show("filled again", pread(fd, g_page, PAGE, 20 * PAGE), g_page);
	fill(other, SIZE, 2 * SIZE);
	show("grown", pread(fd, g_page, 2 * PAGE, SIZE - PAGE), g_page);
	read_over(fd);
	show("read over", pread(fd, g_page, 2 * PAGE, 2 * SIZE - 5 * PAGE), g_page);
	if (ftruncate(other, SIZE))
		perror("ftruncate");
}

static void *cut(void *other)
{
	for (long size = SIZE - 50; size > 0; size -= PAGE / 2 + 3)
		if (ftruncate((int)(long)other, size > 10 * PAGE ? size : 10 * PAGE))
			perror("ftruncate");
	return NULL;
}

/* A byte that is being cut off may be zero already, natively too; after that it is not there, and before it is what it was. */
static void cut_while_read(int fd, int other)
{
	long wrong = 0, started = 0;

	for (int round = 0; round < ROUNDS; round++) {
		pthread_t thread;
		long left = 41, n;

		fill(other, 0, SIZE);
		for (int i = 0; i < 2; i++)
			read_over(fd);
		started += !pthread_create(&thread, NULL, cut, (void *)(long)other);
		while (left > 10 && (n = pread(fd, g_page, PAGE, (left - 1) * PAGE)) >= 0) {
			for (long i = 0; i < n; i++)
				wrong += g_page[i] && (unsigned char)g_page[i] != byte_at((left - 1) * PAGE + i);
			left -= n == 0;
		}
		pthread_join(thread, NULL);
		wrong += pread(fd, g_page, 8 * PAGE, 5 * PAGE) != 5 * PAGE;
		for (long i = 0; i < 5 * PAGE; i++)
			wrong += (unsigned char)g_page[i] != byte_at(5 * PAGE + i);
	}
	printf("cut while it was read: %ld times, %ld wrong bytes\n", started, wrong);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		snprintf(g_name, sizeof g_name, "%s/over-XXXXXX", argv[i]);
		int other = mkstemp(g_name), fd = open(g_name, O_RDONLY);

		printf("---- %d\n", i);
		fill(other, 0, SIZE);
		edges(fd);
		read_over(fd);
		edges(fd);
		bad_buffers(fd);
		changes(fd, other);
		cut_while_read(fd, other);
		unlink(g_name);
		read_over(fd);
		show("without a name", pread(fd, g_page, PAGE, 0), g_page);
		close(fd);
		close(other);
	}
	return 0;
}
