/*
 * Memory that is writable and executable at once, as JITs and closures use it: written and run in turns, by one thread and
 * by several, through system calls, with mremap, mprotect and madvise, on executable stacks.
 * Build: gcc musl static
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096ul
#define RWX (PROT_READ | PROT_WRITE | PROT_EXEC)

typedef int function(void);

/* mov $n,%eax; ret */
static function *put(uint8_t *at, int n)
{
	at[0] = 0xb8;
	memcpy(at + 1, &n, 4);
	at[5] = 0xc3;
	return (function *)at;
}

static void access_of(const char *what, void *p)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], access[8];
	unsigned long start, end, at = (unsigned long)p;

	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %4s", &start, &end, access) == 3 && at >= start && at < end)
			printf("%s: maps say %s\n", what, access);
	fclose(maps);
}

static void one_thread(void)
{
	uint8_t *p = mmap(NULL, 40 * PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long sum = 0;

	for (int i = 0; i < 3000; i++)
		sum += put(p + (size_t)(i * 37 % 40) * PAGE, i)();
	printf("in turns: %ld\n", sum);
	access_of("anonymous", p);
	/* two functions on one page, one calling the other and writing to the next page: call *%rdi; mov %eax,(%rsi); ret */
	uint8_t *caller = p + 64;
	memcpy(caller, "\x56\x56\xff\xd7\x5e\x5e\x89\x06\xc3", 9);
	((void (*)(void *, void *))caller)(put(p, 77), p + PAGE + 8);
	printf("code that writes to a page of code: %d\n", *(int *)(p + PAGE + 8));
	int ends[2];
	if (pipe(ends))
		exit(1);
	put(p, 5)();
	printf("system call into code: %zd", write(ends[1], "\xb8\x2a\0\0\0\xc3", 6));
	printf(" %zd", read(ends[0], p, 6));
	printf(" runs %d\n", ((function *)p)());
	put(p + 2 * PAGE, 1)();
	printf("dontneed: %d, then %d\n", madvise(p + 2 * PAGE, PAGE, MADV_DONTNEED), p[2 * PAGE]);
	put(p + 39 * PAGE, 9)();
	uint8_t *q = mremap(p, 40 * PAGE, 4000 * PAGE, MREMAP_MAYMOVE);
	printf("mremap: %s, old code %d, new code %d\n", q == MAP_FAILED ? strerror(errno) : "moved or grown",
	       ((function *)(q + 39 * PAGE))(), put(q + 3999 * PAGE, 10)());
	printf("read only code: %d", mprotect(q, PAGE, PROT_READ | PROT_EXEC));
	printf(" runs %d\n", ((function *)q)());
	printf("all three again: %d", mprotect(q, PAGE, RWX));
	printf(" runs %d %d\n", ((function *)q)(), put(q, 43)());
	munmap(q, 4000 * PAGE);
}

/* Data that looks like WRPKRU, on a page beside code. */
static void data_beside(void)
{
	uint8_t *p = mmap(NULL, 4 * PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memcpy(p + PAGE + 100, "\x0f\x01\xef", 3);
	printf("code beside data: %d", put(p, 11)());
	printf(" %d", put(p + 2 * PAGE, 12)());
	p[PAGE]++;
	printf(" %d, data %x\n", ((function *)p)(), p[PAGE + 102]);
	munmap(p, 4 * PAGE);
}

/* Instructions across the ends of pages, beside a page with such data; before each run the pages have been written. */
static void across_pages(void)
{
	uint8_t *p = mmap(NULL, 64 * PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long sum = 0;

	for (int page = 7; page < 64; page += 8)
		memcpy(p + page * PAGE + 100, "\x0f\x01\xef", 3);
	for (int i = 0; i < 64; i++)
		if (i % 8 < 6)
			sum += put(p + (i + 1) * PAGE - 1 - i % 5, i)();
	printf("code across pages: %ld\n", sum);
	munmap(p, 64 * PAGE);
}

/* The result of rt_sigreturn is the interrupted code's rax, also where it looks like an error that memory of this kind causes. */
static void step(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void signal_while_sealed(void)
{
	uint8_t *p = mmap(NULL, PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sigaction action = { .sa_sigaction = step, .sa_flags = SA_SIGINFO };
	long rax;

	sigaction(SIGILL, &action, NULL);
	put(p, 3)();
	__asm__ volatile("ud2" : "=a"(rax) : "a"(-(long)EFAULT) : "memory");
	printf("rax behind a signal: %ld\n", rax);
	munmap(p, PAGE);
}

static sigjmp_buf g_jump;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	siglongjmp(g_jump, info->si_code);
}

static void faults(void)
{
	uint8_t *p = mmap(NULL, 4 * PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	int code;

	sigaction(SIGSEGV, &action, NULL);
	put(p, 1)();
	mprotect(p, PAGE, PROT_READ | PROT_WRITE);
	if (!(code = sigsetjmp(g_jump, 1)))
		((function *)p)();
	printf("run what is not executable any more: code %d\n", code);
	mprotect(p, PAGE, PROT_READ | PROT_EXEC);
	if (!(code = sigsetjmp(g_jump, 1)))
		put(p, 2);
	printf("write what is not writable any more: code %d\n", code);
	munmap(p, 4 * PAGE);
	if (!(code = sigsetjmp(g_jump, 1)))
		((function *)p)();
	printf("run what is not there: code %d\n", code);
	signal(SIGSEGV, SIG_DFL);
}

static uint8_t *g_page;
static volatile int g_stop;

static void *runner(void *arg)
{
	long *count = arg;

	while (!g_stop) {
		int n = ((function *)g_page)();
		if (n < 100 || n > 355)
			return "a torn value";
		++*count;
	}
	return NULL;
}

/* Three threads execute what this one changes all the time, one byte of a constant. Everybody gets somewhere. */
static void threads(void)
{
	pthread_t thread[3];
	long count[3] = { 0 };
	void *wrong = NULL, *w;

	g_page = mmap(NULL, PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	put(g_page, 100);
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, runner, &count[i]);
	for (int i = 0; i < 500; i++) {
		put(g_page + 64, i);
		g_page[128] = (uint8_t)i;
	}
	for (int i = 0; i < 3; i++)
		while (__atomic_load_n(&count[i], __ATOMIC_RELAXED) < 100)
			g_page[128]++;
	g_stop = 1;
	for (int i = 0; i < 3; i++) {
		pthread_join(thread[i], &w);
		wrong = w ? w : wrong;
	}
	printf("threads: %s\n", wrong ? (char *)wrong : "all went on");
}

#define ROUNDS 5000
#define WORDS 1000 /* of a page */

/* What a thread writes beside the code that others change and run stays written, by itself and by the system calls. */
static void *writer(void *arg)
{
	volatile uint32_t *word = (volatile uint32_t *)(g_page + PAGE);
	char *wrong = NULL;
	int ends[2];
	(void)arg;

	if (pipe(ends))
		exit(1);
	for (uint32_t i = 1; !g_stop && !wrong; i++) {
		for (int at = 0; at < WORDS; at++)
			word[at] = i;
		if (write(ends[1], &i, 4) != 4 || read(ends[0], (void *)(word + WORDS), 4) != 4)
			wrong = "a system call fails";
		for (int at = 0; at <= WORDS && !wrong; at++)
			if (word[at] != i)
				wrong = at == WORDS ? "what a system call wrote is lost" : "a write is lost";
	}
	close(ends[0]);
	close(ends[1]);
	return wrong;
}

static void beside(void)
{
	pthread_t thread;
	long sum = 0;
	void *wrong;

	g_page = mmap(NULL, 4 * PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	g_stop = 0;
	pthread_create(&thread, NULL, writer, NULL);
	for (int i = 0; i < ROUNDS; i++)
		sum += put(g_page, i)();
	g_stop = 1;
	pthread_join(thread, &wrong);
	printf("writes beside code: %s, sum %ld\n", wrong ? (char *)wrong : "all there", sum);
	munmap(g_page, 4 * PAGE);
}

/* A nested function whose address is taken: gcc builds its trampoline on the stack, and links for an executable one. */
static int apply(int (*f)(int), int n)
{
	char buffer[256];

	snprintf(buffer, sizeof buffer, "%d", f(n));
	return atoi(buffer);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void nested(void)
{
	int calls = 0, sum = 0;
	int add(int n)
	{
		calls++;
		return n + calls;
	}
	signal(SIGUSR1, on_alarm);
	for (int i = 0; i < 200; i++) {
		sum += apply(add, i);
		if (i % 10 == 0)
			raise(SIGUSR1);
	}
	printf("nested function: %d calls, %d\n", calls, sum);
	access_of("stack", &calls);
}

static void *nested_thread(void *arg)
{
	nested();
	return arg;
}

int main(void)
{
	pthread_t t;

	setvbuf(stdout, NULL, _IOFBF, 65536);
	one_thread();
	data_beside();
	across_pages();
	signal_while_sealed();
	faults();
	threads();
	beside();
	nested();
	pthread_create(&t, NULL, nested_thread, NULL);
	pthread_join(t, NULL);
	return 0;
}
