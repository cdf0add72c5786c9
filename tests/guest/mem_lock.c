/*
 * mlock and its family: what can be locked, what is counted, what a hole answers.
 * Build: gcc musl
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "say.h"

#define PAGE 4096ul

static void locked(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];

	while (fgets(line, sizeof line, f))
		if (strncmp(line, "VmLck:", 6) == 0)
			fputs(line, stdout);
	fclose(f);
}

int main(void)
{
	char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q;

	locked();
	T(mlock(p, 4 * PAGE));
	locked();
	T(mlock(p + 2 * PAGE, 4 * PAGE));
	locked();
	T(mlock(p + 100, 1));
	T(munlock(p + PAGE, PAGE));
	locked();
	T(mlock(p, 0));
	munmap(p + 8 * PAGE, PAGE);
	T(mlock(p + 10 * PAGE, 2 * PAGE));
	T(munlock(p + 8 * PAGE, PAGE));
	T(mlock(p + 8 * PAGE, PAGE));
	locked();
	T(munmap(p, 8 * PAGE));
	locked();
	T(munlockall());
	locked();
	q = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	printf("MAP_LOCKED: %s\n", q == MAP_FAILED ? strerror(errno) : "mapped");
	locked();
	T(mlock2(q, PAGE, 1));
	T(mlock2(q, PAGE, 2));
	T(mprotect(q + PAGE, PAGE, PROT_NONE));
	T(mlock2(q, 2 * PAGE, 1));
	T(mlock(q, 2 * PAGE));
	T(msync(q, PAGE, MS_INVALIDATE));
	T(madvise(q, PAGE, MADV_DONTNEED));
	T(madvise(q, PAGE, 24 /* MADV_DONTNEED_LOCKED */));
	T(madvise(q, 4 * PAGE, 22 /* MADV_POPULATE_READ */));
	T(madvise(q + 2 * PAGE, 2 * PAGE, 23 /* MADV_POPULATE_WRITE */));
	T(mlockall(0));
	T(mlockall(8));
	T(mlockall(MCL_FUTURE));
	q = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	locked();
	T(munlockall());
	locked();
	q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	locked();
	return q == MAP_FAILED;
}
