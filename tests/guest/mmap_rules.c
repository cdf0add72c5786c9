/*
 * Memory as Linux promises it: fixed and chosen addresses, holes, protections and their faults, shared and private
 * file mappings, mremap, madvise, brk.
 * Build: gcc musl
 * Args: {dir}
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul

static sigjmp_buf g_jump;
static volatile sig_atomic_t g_code;
static void *volatile g_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	g_code = info->si_code;
	g_address = info->si_addr;
	siglongjmp(g_jump, 1);
}

/* "ok" or the way the access failed */
static const char *touch(volatile char *at, int write)
{
	static char text[64];

	if (sigsetjmp(g_jump, 1)) {
		snprintf(text, sizeof text, "fault code %d at %s", (int)g_code, g_address == at ? "the address" : "elsewhere");
		return text;
	}
	if (write)
		*at = 1;
	else
		(void)*at;
	return "ok";
}

static void anonymous(void)
{
	char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("anonymous: %s, first byte %d\n", p == MAP_FAILED ? "failed" : "mapped", p[0]);
	memset(p, 7, 8 * PAGE);
	printf("unmap the middle: %d\n", munmap(p + 2 * PAGE, 2 * PAGE));
	printf("before the hole: %s\n", touch(p + 2 * PAGE - 1, 1));
	printf("in the hole: %s\n", touch(p + 2 * PAGE, 1));
	printf("behind the hole: %s\n", touch(p + 4 * PAGE, 0));
	char *q = mmap(p + 2 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	printf("fixed into the hole: %d\n", q == p + 2 * PAGE);
	printf("read there: %s\n", touch(q, 0));
	printf("write there: %s\n", touch(q, 1));
	q = mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	printf("no replacement: %s\n", q == MAP_FAILED ? strerror(errno) : "mapped");
	printf("protect none: %d\n", mprotect(p, PAGE, PROT_NONE));
	printf("read: %s\n", touch(p, 0));
	printf("protect back: %d\n", mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	printf("value survived: %d\n", p[0]);
	printf("protect over the hole: %d %s\n", mprotect(p, 5 * PAGE, PROT_READ), strerror(errno));
	printf("dontneed: %d, value %d\n", madvise(p + 5 * PAGE, PAGE, MADV_DONTNEED), p[5 * PAGE]);
	printf("unmap all: %d\n", munmap(p, 8 * PAGE));
	printf("unmap again: %d\n", munmap(p, 8 * PAGE));
}

static void errors(void)
{
	void *p = mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("no length: %s\n", p == MAP_FAILED ? strerror(errno) : "mapped");
	p = mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0);
	printf("no type: %s\n", p == MAP_FAILED ? strerror(errno) : "mapped");
	p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0);
	printf("no file: %s\n", p == MAP_FAILED ? strerror(errno) : "mapped");
	p = mmap((void *)123, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	printf("odd fixed address: %s\n", p == MAP_FAILED ? strerror(errno) : "mapped");
	printf("odd unmap: %d %s\n", munmap((void *)123, PAGE), strerror(errno));
	printf("null pointer: %s\n", touch(NULL, 0));
}

static void moves(void)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	strcpy(p, "moved along");
	strcpy(p + 3 * PAGE, "the end too");
	char *q = mremap(p, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	printf("mremap: %s, %s, new byte %d\n", q, q + 3 * PAGE, q[63 * PAGE]);
	char *r = mremap(q, 64 * PAGE, PAGE, 0);
	printf("shrunk in place: %d; behind it: %s\n", r == q, touch(q + PAGE, 0));
	munmap(q, PAGE);
}

static void files(const char *folder)
{
	char path[4096], text[16] = "";
	snprintf(path, sizeof path, "%s/file", folder);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (ftruncate(fd, PAGE + 100))
		perror("ftruncate");
	char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	strcpy(shared, "shared");
	printf("file says: %zd %s\n", pread(fd, text, sizeof text - 1, 0), text);
	printf("private sees: %s\n", private);
	strcpy(private, "private");
	printf("shared still: %s\n", shared);
	strcpy(shared + PAGE, "page two");
	printf("behind the end, same page: %d\n", shared[PAGE + 200]);
	printf("msync: %d\n", msync(shared, 2 * PAGE, MS_SYNC));
	if (pwrite(fd, "WRITTEN", 7, PAGE) != 7)
		perror("pwrite");
	printf("mapping sees the write: %.8s\n", shared + PAGE);
	close(fd);
	printf("after close: %s\n", shared);
	fd = open(path, O_RDONLY);
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	printf("shared writing of a read-only descriptor: %s\n", p == MAP_FAILED ? strerror(errno) : "mapped");
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	printf("second page: %.8s\n", p);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 100);
	printf("odd offset: %s\n", p == MAP_FAILED ? strerror(errno) : "mapped");
	close(fd);
}

/* A library aligned to 2 MiB: ld.so maps its code over all of it and makes what is behind the file inaccessible. */
static void code_behind_file(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	size_t size = ((size_t)lseek(fd, 0, SEEK_END) + PAGE - 1) & ~(PAGE - 1);
	char *p = mmap(NULL, size + 16 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	close(fd);
	printf("code behind the file: %.3s, then %s\n", p + 1, touch(p + size, 0));
	printf("none: %d", mprotect(p + size, 16 * PAGE, PROT_NONE));
	printf(", %s\n", touch(p + size, 0));
	printf("readable: %d", mprotect(p + size, PAGE, PROT_READ));
	printf(", %s\n", touch(p + size, 0));
	printf("all: %d", mprotect(p, size + 16 * PAGE, PROT_READ));
	printf(", %.3s\n", p + 1);
	munmap(p, size + 16 * PAGE);
}

/* Code that could not be read while it was made ready. */
static void code_from_nothing(void)
{
	static const unsigned char code[] = { 0xb8, 42, 0, 0, 0, 0xc3 }; /* mov $42, %eax; ret */
	static const int before[] = { PROT_NONE, PROT_WRITE, PROT_READ };

	for (int i = 0; i < 3; i++) {
		char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memcpy(p + PAGE, code, sizeof code);
		printf("code that was %d: %d", before[i], mprotect(p, 2 * PAGE, before[i]));
		printf(" %d", mprotect(p, 2 * PAGE, PROT_READ | PROT_EXEC));
		printf(", returns %d", ((int (*)(void))(p + PAGE))());
		printf(", not needed: %d, is %d\n", madvise(p, 2 * PAGE, MADV_DONTNEED), p[PAGE]);
		munmap(p, 2 * PAGE);
	}
	char *p = mmap(NULL, PAGE, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("only code: %s\n", p == MAP_FAILED ? strerror(errno) : "mapped");
	munmap(p, PAGE);
}

static void heap(void)
{
	char *old = sbrk(0);
	printf("sbrk: %d\n", sbrk(3 * PAGE) == old);
	memset(old, 1, 3 * PAGE);
	printf("back: %d\n", sbrk(-3 * (intptr_t)PAGE) == old + 3 * PAGE);
	char *big = malloc(300 << 20);
	for (size_t i = 0; i < 300 << 20; i += 64 * PAGE)
		big[i] = (char)i;
	printf("300 MB: ok\n");
	free(big);
}

/* Addresses of 32 bits: memory, code, a hint, and a child's own copy. */
static void low(void)
{
	uint64_t two_gib = 1ull << 31;
	char *first = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	char *second = mmap((void *)(5ul << 30), 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int status = -1;

	if (first == MAP_FAILED || second == MAP_FAILED) {
		printf("32 bits: %s\n", strerror(errno));
		return;
	}
	printf("32 bits: %d %d\n", (uint64_t)first < two_gib, (uint64_t)second < two_gib);
	memcpy(first, "\xb8\x2a\0\0\0\xc3", 6); /* mov $42,%eax; ret */
	printf("code there: %d\n", ((int (*)(void))first)());
	strcpy(second, "parent");
	pid_t pid = fork();
	if (pid == 0) {
		strcpy(second, "child");
		exit(((int (*)(void))first)());
	}
	printf("waited: %d", waitpid(pid, &status, 0) == pid);
	printf(", status %d, still %s\n", WEXITSTATUS(status), second);
	printf("unmapped: %d", munmap(first, 4 * PAGE));
	printf(" %d\n", munmap(second, 64 * PAGE));
	first = mmap(first, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	printf("32 bits again: %d\n", (uint64_t)first < two_gib);
	printf("too much: %s\n", mmap(NULL, two_gib, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0) == MAP_FAILED ? strerror(errno) : "?");
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	setvbuf(stdout, NULL, _IONBF, 0);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	anonymous();
	errors();
	moves();
	if (argc > 1)
		files(argv[1]);
	code_behind_file();
	code_from_nothing();
	low();
	if (sbrk(0) != (void *)-1)
		heap();
	return 0;
}
