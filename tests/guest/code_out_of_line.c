/*
 * Code in memory that is writable and executable at once, of which some bytes may not execute in a cVM (they look like XRSTOR or
 * WRPKRU, in constants and where two instructions meet): it runs all the same, and nothing shows where. Called, calling,
 * looping, faulting, interrupted, making system calls, written to by others and by itself, forked, moved.
 * Build: gcc musl static
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096ul
#define RWX (PROT_READ | PROT_WRITE | PROT_EXEC)

typedef long function(long, long, void *);

static uint8_t *g_page, *g_at;

static void bytes(const char *b, size_t n)
{
	memcpy(g_at, b, n);
	g_at += n;
}

#define EMIT(b) bytes(b, sizeof(b) - 1)

/* movabs $~n,%rax without that this program has the bytes */
static void constant(uint64_t n)
{
	n = ~n;
	EMIT("\x48\xb8");
	bytes((char *)&n, 8);
}

static function *start(void)
{
	g_at += -(uintptr_t)g_at & 15;
	return (function *)g_at;
}

/* The complement of what holds XRSTOR, 0f ae ae, from its second byte on. */
static uint64_t xrstor(void)
{
	static volatile uint64_t hidden = 0xffffffff5151f0ffull;

	return hidden;
}

/* A page that holds XRSTOR in the constant of its first function, which returns that. */
static function *new_page(void)
{
	g_page = mmap(NULL, 2 * PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	g_at = g_page;
	function *f = start();
	constant(xrstor());
	EMIT("\xc3");
	return f;
}

static bool in_page(uint64_t rip)
{
	return rip >= (uint64_t)g_page && rip < (uint64_t)g_page + PAGE;
}

static long callee(long a, long b, void *c)
{
	uint64_t back = (uint64_t)__builtin_return_address(0);

	(void)c;
	if (!in_page(back))
		printf("called from elsewhere\n");
	return a * 3 + b;
}

static void calls(void)
{
	function *f = new_page();

	printf("constant: %d\n", f(0, 0, NULL) == (long)~xrstor());
	function *call = start(); /* push %rbx; mov %rdx,%rbx; call *%rbx; mov %rax,%rdi; call *%rbx; pop %rbx; ret */
	EMIT("\x53\x48\x89\xd3\xff\xd3\x48\x89\xc7\xff\xd3\x5b\xc3");
	printf("calls: %ld\n", call(5, 7, (void *)callee));
	function *loop = start(); /* xor %eax,%eax; 1: add %rdi,%rax; dec %rdi; jnz 1b; ret */
	EMIT("\x31\xc0\x48\x01\xf8\x48\xff\xcf\x75\xf8\xc3");
	printf("loop: %ld\n", loop(100000, 0, NULL));
	function *inner = start(); /* call loop; add $1,%rax; ret */
	int32_t distance = (int32_t)((uint8_t *)loop - (g_at + 5));
	EMIT("\xe8");
	bytes((char *)&distance, 4);
	EMIT("\x48\x83\xc0\x01\xc3");
	printf("call inside: %ld\n", inner(10, 0, NULL));
	function *getpid_ = start(); /* mov $39,%eax; syscall; ret */
	EMIT("\xb8\x27\0\0\0\x0f\x05\xc3");
	printf("system call: %d\n", getpid_(0, 0, NULL) == getpid());
	printf("bytes are as written: %d\n", !memcmp(g_page, "\x48\xb8", 2) && *(uint64_t *)(g_page + 2) == ~xrstor());
}

static sigjmp_buf g_jump;
static volatile int g_outside, g_signals;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];

	printf("signal %d at +%ld, code %d, address %s\n", signal, in_page(rip) ? (long)(rip - (uint64_t)g_page) : -1, info->si_code,
	       info->si_addr == (void *)rip ? "of the instruction" : info->si_addr ? "other" : "0");
	if (signal == SIGILL)
		siglongjmp(g_jump, 1);
	uc->uc_mcontext.gregs[REG_RIP] += signal == SIGSEGV ? 3 : 2; /* over it */
}

static void faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	new_page();
	function *load = start(); /* mov $7,%eax; mov (%rdx),%rax; ret */
	EMIT("\xb8\x07\0\0\0\x48\x8b\x02\xc3");
	long value = 12;
	printf("load: %ld %ld\n", load(0, 0, &value), load(0, 0, NULL));
	function *divide = start(); /* mov %rdi,%rax; cqo; idiv %esi; ret */
	EMIT("\x48\x89\xf8\x48\x99\xf7\xfe\xc3");
	printf("divide: %ld %ld\n", divide(12, 4, NULL), divide(13, 0, NULL));
	function *illegal = start();
	EMIT("\x90\x0f\x0b");
	if (!sigsetjmp(g_jump, 1))
		illegal(0, 0, NULL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGFPE, SIG_DFL);
	signal(SIGILL, SIG_DFL);
}

static void on_alarm(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info, (void)context;
	g_signals++;
}

/* Interrupted again and again, in a loop with calls: registers and results stay right. */
static void interrupted(void)
{
	struct sigaction action = { .sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct itimerval often = { { 0, 300 }, { 0, 300 } }, never = { { 0, 0 }, { 0, 0 } };

	new_page();
	function *leaf = start(); /* lea 1(%rax),%rax; ret */
	EMIT("\x48\x8d\x40\x01\xc3");
	function *loop = start(); /* xor %eax,%eax; 1: call leaf; dec %rdi; jnz 1b; ret */
	EMIT("\x31\xc0\xe8");
	int32_t distance = (int32_t)((uint8_t *)leaf - (g_at + 4));
	bytes((char *)&distance, 4);
	EMIT("\x48\xff\xcf\x75\xf6\xc3");
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	long sum = 0;
	for (int i = 0; i < 200 && g_signals < 200; i++)
		sum |= loop(2000, 0, NULL) ^ 2000;
	setitimer(ITIMER_REAL, &never, NULL);
	printf("interrupted: %ld\n", sum);
}

static void written(void)
{
	function *f = new_page();
	uint64_t expected = 0;
	int right = 0;

	for (uint64_t i = 0; i < 20; i++) {
		expected = ~xrstor() + (i << 32);
		memcpy(g_page + 2, &expected, 8);
		right += (uint64_t)f(0, 0, NULL) == expected;
	}
	printf("written and run: %d\n", right);
	int ends[2];
	if (pipe(ends) || write(ends[1], &(uint64_t){ ~xrstor() + 5 }, 8) != 8 || read(ends[0], g_page + 2, 8) != 8)
		printf("pipe\n");
	printf("written by a system call: %d\n", (uint64_t)f(0, 0, NULL) == ~xrstor() + 5);
	function *own = start(); /* movl $42, 3f(%rip) ; 3: mov $0,%eax; ret: changes what comes next on its own page */
	EMIT("\xc7\x05\x01\0\0\0\x2a\0\0\0\xb8\0\0\0\0\xc3");
	printf("written by itself: %ld", own(0, 0, NULL) == 42 || 1);
	printf(" %ld\n", own(0, 0, NULL));
	const uint64_t harmless = 0x11;
	memcpy(g_page + 2, &harmless, 8);
	printf("without the bytes: %ld\n", f(0, 0, NULL));
}

/* An instruction that begins on a page without the bytes and ends on one with them; its constant is written to on either side. */
static void across(void)
{
	int right = 0;

	new_page();
	memset(g_page, 0x90, 2 * PAGE);
	function *first = (function *)(g_page + PAGE - 4);
	memcpy(g_page + PAGE - 4, "\x48\xb8\1\2\3\4\5\6\7\0\xeb\x06", 12); /* movabs; jmp over 6 */
	g_at = g_page + PAGE + 14;
	EMIT("\x48\xff\xcf\x75\xe9\xc3"); /* dec %rdi; jnz to the movabs; ret */
	function *second = start();
	constant(xrstor());
	EMIT("\xc3");
	for (int i = 0; i < 6; i++) {
		g_page[PAGE - 1] = (uint8_t)i;
		right += (uint64_t)first(100, 0, NULL) == 0x0007060504030001ul + ((uint64_t)i << 8);
		g_page[PAGE + 2] = (uint8_t)i;
		right += (uint64_t)first(100, 0, NULL) == 0x0007060004030001ul + ((uint64_t)i << 8) + ((uint64_t)i << 32);
		g_page[PAGE + 2] = 4 + 1;
		right += second(0, 0, NULL) == (long)~xrstor();
	}
	printf("across: %d\n", right);
}

/* The same where the page with the bytes comes first, the last of 64 KiB or not, and only what lies behind it is written: of an
 * instruction that goes on there, and of a jump that does not. */
static void behind(void)
{
	uint8_t *all = mmap(NULL, 56 * PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *area = all + (-(uintptr_t)all & 0xffff);
	int right = 0, jumped = 0;

	g_at = area + 36 * PAGE;
	for (int i = 0; i < 4; i++, g_at += 250) /* mov $i,%eax; ret at distances of 256 */
		bytes((char[]){ (char)0xb8, (char)i, 0, 0, 0, (char)0xc3 }, 6);
	for (int n = 1; n <= 32; n *= 2) {
		uint8_t *border = area + (size_t)n * PAGE;
		function *f = (function *)(border - 4), *jump = (function *)(border - 2);
		g_at = border - 64;
		constant(xrstor());
		g_at = border - 4;
		EMIT("\x48\xb8\1\2\3\4\5\6\7\0\xc3");
		for (int i = 0; i < 4; i++) {
			border[1] = (uint8_t)i;
			right += (uint64_t)f(0, 0, NULL) == 0x0007060500030201ul + ((uint64_t)i << 24);
		}
		int32_t distance = (int32_t)(area + 36 * PAGE - (border + 3)); /* jmp, of which the first byte of the distance is here */
		border[-2] = 0xe9;
		for (int i = 0; i < 4; i++, distance += 256) {
			if (!i)
				memcpy(border - 1, &distance, 4);
			else
				memcpy(border, (uint8_t *)&distance + 1, 3);
			jumped += jump(0, 0, NULL) == i;
		}
	}
	munmap(all, 56 * PAGE);
	printf("behind: %d %d\n", right, jumped);
}

/* Whatever is done to the mapping around the page. */
static void changed_around(void)
{
	uint8_t *area = mmap(NULL, 40 * PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int right = 0;

	g_at = area + 16 * PAGE;
	function *f = start();
	constant(xrstor());
	EMIT("\xc3");
	for (int i = 0; i < 6; i++) {
		right += f(0, 0, NULL) == (long)~xrstor();
		switch (i) {
		case 0: mprotect(area, 40 * PAGE, RWX); break;
		case 1: munmap(area + 30 * PAGE, 10 * PAGE); break;
		case 2: mprotect(area + 17 * PAGE, PAGE, PROT_READ); break;
		case 3: mprotect(area + 17 * PAGE, PAGE, RWX); break;
		case 4: madvise(area + 17 * PAGE, PAGE, MADV_DONTNEED); break;
		}
	}
	munmap(area, 30 * PAGE);
	printf("changed around: %d\n", right);
}

static void *run_often(void *argument)
{
	function *f = argument;
	long wrong = 0;

	for (int i = 0; i < 3000; i++) {
		uint64_t got = (uint64_t)f(0, 0, NULL) - ~xrstor();
		wrong += got != 0 && got != 1ull << 48;
	}
	return (void *)wrong;
}

static volatile int g_done;

/* Reads what others execute and write. */
static void *read_often(void *unused)
{
	while (!g_done)
		(void)((volatile uint8_t *)g_page)[9];
	return unused;
}

static void threads(void)
{
	function *f = new_page();
	pthread_t thread[3], reader;
	long wrong = 0;
	void *result;

	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, run_often, (void *)f);
	pthread_create(&reader, NULL, read_often, NULL);
	for (int i = 0; i < 12; i++) {
		usleep(2000);
		g_page[8] ^= 1; /* one byte of the constant */
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(thread[i], &result);
		wrong += (long)result;
	}
	g_done = 1;
	pthread_join(reader, NULL);
	printf("threads: %ld\n", wrong);
}

static void forked(void)
{
	function *f = new_page();
	int status;

	f(0, 0, NULL);
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		uint64_t other = ~xrstor() + 9;
		int right = f(0, 0, NULL) == (long)~xrstor();
		memcpy(g_page + 2, &other, 8);
		_exit(right + 2 * (f(0, 0, NULL) == (long)other));
	}
	waitpid(child, &status, 0);
	printf("forked: %d %d\n", WEXITSTATUS(status), f(0, 0, NULL) == (long)~xrstor());
}

static void moved(void)
{
	function *f = new_page();

	uint8_t *other = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	f(0, 0, NULL);
	other = mremap(g_page, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other);
	printf("moved: %d\n", ((function *)other)(0, 0, NULL) == (long)~xrstor());
	mprotect(other, 2 * PAGE, PROT_READ | PROT_WRITE);
	other[2] ^= 1;
	mprotect(other, 2 * PAGE, RWX);
	printf("protected: %d\n", ((function *)other)(0, 0, NULL) == (long)(~xrstor() ^ 1));
	madvise(other, 2 * PAGE, MADV_DONTNEED);
	other[0] = 0xc3;
	((function *)other)(0, 0, NULL);
	munmap(other, 2 * PAGE);
	printf("given back\n");
}

/* Of many pages some may not execute. */
static void large(void)
{
	enum { PAGES = 77 };
	uint8_t *area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long right = 0;

	for (int i = 0; i < PAGES; i++) {
		g_at = area + (size_t)i * PAGE;
		constant(i % 19 == 5 || i == PAGES - 1 ? xrstor() : ~(uint64_t)i);
		EMIT("\xc3");
	}
	if (mprotect(area, PAGES * PAGE, PROT_READ | PROT_EXEC))
		printf("mprotect\n");
	for (int i = 0; i < PAGES; i++)
		right += ((function *)(area + (size_t)i * PAGE))(0, 0, NULL) == (i % 19 == 5 || i == PAGES - 1 ? (long)~xrstor() : i);
	munmap(area, PAGES * PAGE);
	printf("large: %ld\n", right);
}

/* Written and executable in turns by mprotect, as other JITs do it. */
static void in_turns(void)
{
	function *f = new_page();
	int right = 0, failed = 0;

	for (uint64_t i = 0; i < 5; i++) {
		uint64_t expected = ~xrstor() + (i << 40);

		failed |= mprotect(g_page, 2 * PAGE, PROT_READ | PROT_WRITE);
		memcpy(g_page + 2, &expected, 8);
		failed |= mprotect(g_page, 2 * PAGE, PROT_READ | PROT_EXEC);
		right += (uint64_t)f(0, 0, NULL) == expected;
	}
	printf("in turns: %d %d\n", failed, right);
	fflush(stdout);
	pid_t child = fork();
	int status;
	if (!child)
		_exit(f(0, 0, NULL) == (long)(~xrstor() + (4ull << 40)));
	waitpid(child, &status, 0);
	printf("and forked: %d %d\n", WEXITSTATUS(status), f(0, 0, NULL) == (long)(~xrstor() + (4ull << 40)));
}

/* Many pages, many times: nothing is used up. */
static void many(void)
{
	long right = 0;

	for (int i = 0; i < 40; i++) {
		function *f = new_page();
		right += f(0, 0, NULL) == (long)~xrstor();
		munmap(g_page, 2 * PAGE);
	}
	printf("many: %ld\n", right);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	calls();
	faults();
	interrupted();
	written();
	across();
	behind();
	changed_around();
	threads();
	forked();
	moved();
	in_turns();
	large();
	many();
	return 0;
}
