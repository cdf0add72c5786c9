/*
 * What a handler sees and may change: the registers and vector registers of the interrupted code, the floating-point
 * control words, faults of every kind with their addresses, the alternate stack with SS_AUTODISARM, a stack overflow
 * that is caught, queued real-time signals in order, siglongjmp out of handlers, masks across them.
 * Build: gcc musl
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

static sigjmp_buf g_back;
static volatile siginfo_t g_info;
static volatile int g_on_stack, g_flags_inside, g_order[8], g_seen;
static char *g_stack;
static volatile uint64_t g_rbx, g_rip, g_mxcsr_inside;
static volatile double g_xmm;

static void action(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction a = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	sigaction(signal, &a, NULL);
}

static void jump_back(int signal, siginfo_t *info, void *context)
{
	char here;
	stack_t now;

	(void)context;
	*(siginfo_t *)&g_info = *info;
	g_on_stack = g_stack && &here >= g_stack && &here < g_stack + 65536;
	sigaltstack(NULL, &now);
	g_flags_inside = now.ss_flags;
	siglongjmp(g_back, signal);
}

static void skip(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	char *xmm3 = (char *)uc->uc_mcontext.fpregs + 160 + 3 * 16; /* FXSAVE layout */
	uint32_t mxcsr;

	(void)signal, (void)info;
	g_rbx = (uint64_t)uc->uc_mcontext.gregs[REG_RBX];
	g_rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	memcpy((void *)&g_xmm, xmm3, 8);
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	g_mxcsr_inside = mxcsr;
	uc->uc_mcontext.gregs[REG_RBX] = 0x1234567890abcdef;
	double changed = 2.5;
	memcpy(xmm3, &changed, 8);
	uc->uc_mcontext.gregs[REG_RIP] += 2; /* over the ud2 */
	/* destroy what must come back */
	__asm__ volatile("pxor %%xmm5, %%xmm5; fninit; vzeroall" ::: "xmm5", "memory");
}

static void registers(void)
{
	uint64_t rbx, in_rip, flags;
	double xmm3 = 1.25, xmm5 = 7.75, kept;
	uint32_t mxcsr = 0x3f80 /* round down */, mxcsr_after, normal = 0x1f80;
	uint16_t control = 0x27f, control_after;

	action(SIGILL, skip, 0);
	__asm__ volatile("ldmxcsr %[mx]\n\tfldcw %[cw]\n\tmovsd %[x3], %%xmm3\n\tmovsd %[x5], %%xmm5\n\t"
			 "mov $0x1111, %%rbx\n\tlea 1f(%%rip), %[rip]\n\tstc\n"
			 "1:\tud2\n\t"
			 "pushfq\n\tpop %[flags]\n\t"
			 "mov %%rbx, %[rbx]\n\tmovsd %%xmm3, %[x3]\n\tmovsd %%xmm5, %[kept]\n\t"
			 "stmxcsr %[mxa]\n\tfnstcw %[cwa]\n\tldmxcsr %[normal]\n\tfninit"
			 : [rbx] "=&r"(rbx), [rip] "=&r"(in_rip), [x3] "+m"(xmm3), [kept] "=m"(kept), [mxa] "=m"(mxcsr_after),
			   [cwa] "=m"(control_after), [flags] "=&r"(flags)
			 : [mx] "m"(mxcsr), [cw] "m"(control), [x5] "m"(xmm5), [normal] "m"(normal)
			 : "rbx", "xmm3", "xmm5", "memory", "cc");
	printf("handler saw rbx %lx, rip right %d, xmm3 %.2f, mxcsr %lx\n", (long)g_rbx, g_rip == in_rip, g_xmm,
	       (long)g_mxcsr_inside);
	printf("afterwards rbx %lx xmm3 %.2f xmm5 %.2f mxcsr %x control %x carry %d\n", (long)rbx, xmm3, kept, mxcsr_after,
	       control_after, (int)(flags & 1));
}

/* Numbers that are, in a cVM, addresses of its libOS: a handler leaves them in argument registers, and rt_sigreturn has no arguments. */
static void step(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void numbers(void)
{
	uint64_t low = ((uint64_t)&g_back & ~((1ul << 36) - 1)) + 0x200000, wrong;

	action(SIGILL, step, 0);
	__asm__ volatile("mov %[low], %%rdi\n\tlea 1(%[low]), %%rsi\n\tlea 2(%[low]), %%rdx\n\tlea 3(%[low]), %%r10\n\t"
			 "lea 4(%[low]), %%r8\n\tlea 5(%[low]), %%r9\n\tud2\n\t"
			 "add %%rsi, %%rdi\n\tadd %%rdx, %%rdi\n\tadd %%r10, %%rdi\n\tadd %%r8, %%rdi\n\tadd %%r9, %%rdi\n\t"
			 "imul $6, %[low], %[wrong]\n\tsub %%rdi, %[wrong]"
			 : [wrong] "=&r"(wrong)
			 : [low] "r"(low)
			 : "rdi", "rsi", "rdx", "r8", "r9", "r10", "cc", "memory");
	printf("numbers in argument registers: %ld\n", (long)wrong);
}

static void report(const char *what, int signal)
{
	printf("%s: signal %d code %d\n", what, signal, g_info.si_code);
}

static void faults(void)
{
	int signal;
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile int zero = 0, result;

	action(SIGSEGV, jump_back, 0);
	action(SIGFPE, jump_back, 0);
	action(SIGTRAP, jump_back, 0);
	action(SIGILL, jump_back, 0);
	if (!(signal = sigsetjmp(g_back, 1)))
		*(volatile char *)8 = 1;
	report("null", signal);
	printf("address %p\n", g_info.si_addr);
	if (!(signal = sigsetjmp(g_back, 1)))
		*(volatile char *)(page + 5) = 1;
	report("read-only", signal);
	printf("offset %ld\n", (long)((char *)g_info.si_addr - page));
	if (!(signal = sigsetjmp(g_back, 1)))
		((void (*)(void))page)();
	report("no execute", signal);
	if (!(signal = sigsetjmp(g_back, 1)))
		*(volatile char *)0x8000000000000000ul = 1;
	report("not canonical", signal);
	if (!(signal = sigsetjmp(g_back, 1)))
		result = 7 / zero;
	(void)result;
	report("division", signal);
	if (!(signal = sigsetjmp(g_back, 1)))
		__asm__ volatile("ud2");
	report("illegal", signal);
	if (!(signal = sigsetjmp(g_back, 1)))
		__asm__ volatile("int3");
	report("breakpoint", signal);
	if (!(signal = sigsetjmp(g_back, 1)))
		__asm__ volatile("hlt");
	report("privileged", signal);
	if (!(signal = sigsetjmp(g_back, 1)))
		__asm__ volatile("mov $0x8000000000000000, %%rax\n\tjmp *%%rax" ::: "rax");
	report("jump", signal);
}

static int __attribute__((noinline)) deep(int n)
{
	volatile char room[1024];

	room[0] = (char)n;
	return n ? deep(n + 1) + room[0] : 0;
}

static void alternate(void)
{
	stack_t stack = { .ss_size = 65536 }, old;
	int signal;

	g_stack = malloc(65536);
	stack.ss_sp = g_stack;
	printf("set: %d\n", sigaltstack(&stack, NULL));
	action(SIGSEGV, jump_back, SA_ONSTACK);
	if (!(signal = sigsetjmp(g_back, 1)))
		deep(1);
	printf("overflow: signal %d, on the stack %d, flags inside %x\n", signal, g_on_stack, (unsigned)g_flags_inside);
	if (!(signal = sigsetjmp(g_back, 1)))
		deep(1);
	printf("again: signal %d, on the stack %d\n", signal, g_on_stack);
	stack.ss_flags = (int)SS_AUTODISARM;
	printf("disarming: %d\n", sigaltstack(&stack, NULL));
	if (!(signal = sigsetjmp(g_back, 1)))
		*(volatile char *)8 = 1;
	printf("signal %d, on the stack %d, flags inside %x\n", signal, g_on_stack, (unsigned)g_flags_inside);
	sigaltstack(NULL, &old);
	printf("after the jump: %x\n", (unsigned)old.ss_flags);
	stack.ss_size = 100;
	stack.ss_flags = 0;
	printf("too small: %d %s\n", sigaltstack(&stack, NULL), strerror(errno));
	stack.ss_flags = SS_DISABLE;
	printf("disable: %d\n", sigaltstack(&stack, NULL));
	g_stack = NULL;
}

static void in_order(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	if (g_seen < 8)
		g_order[g_seen++] = info->si_value.sival_int;
}

static void queues(void)
{
	sigset_t set, old, pending;
	int high = SIGRTMIN + 5, low = SIGRTMIN + 4;

	sigemptyset(&set);
	sigaddset(&set, high);
	sigaddset(&set, low);
	sigaddset(&set, SIGUSR1);
	action(high, in_order, 0);
	action(low, in_order, 0);
	action(SIGUSR1, in_order, 0);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (int i = 1; i <= 3; i++)
		sigqueue(getpid(), high, (union sigval){ .sival_int = 10 + i });
	for (int i = 1; i <= 2; i++)
		sigqueue(getpid(), low, (union sigval){ .sival_int = i });
	for (int i = 1; i <= 3; i++)
		sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 100 + i });
	sigpending(&pending);
	printf("pending: %d %d %d %d\n", sigismember(&pending, high), sigismember(&pending, low),
	       sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2));
	siginfo_t info;
	sigset_t only;
	sigemptyset(&only);
	sigaddset(&only, low);
	printf("taken: %d", sigwaitinfo(&only, &info) == low);
	printf(" value %d code %d\n", info.si_value.sival_int, info.si_code);
	sigprocmask(SIG_SETMASK, &old, NULL);
	/* lowest number first, but each handler is interrupted by the next before it starts: the last comes first */
	int sum = 0;
	for (int i = 0; i < g_seen; i++)
		sum += g_order[i];
	printf("delivered %d, sum %d\n", g_seen, sum);
	action(SIGUSR2, in_order, 0);
	signal(SIGUSR2, SIG_IGN);
	printf("ignored: %d\n", kill(getpid(), SIGUSR2));
	printf("bad: %d %s\n", kill(getpid(), 65), strerror(errno));
	printf("sigaction of SIGKILL: %d", sigaction(SIGKILL, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL));
	printf(" %s\n", strerror(errno));
}

int main(void)
{
	registers();
	numbers();
	faults();
	alternate();
	queues();
	sigset_t now;
	sigprocmask(SIG_SETMASK, NULL, &now);
	printf("mask at the end: %d\n", sigismember(&now, SIGSEGV) + sigismember(&now, SIGFPE));
	return 0;
}
