/*
 * Question: does a second thread of the program that keeps writing to the first one's program area, while that goes in and
 * out of its isolated libOS, make it execute anything with the libOS's rights, or make the libOS use an address of its
 * own that passed the check as another?
 * Expect: REFUSED: the libOS stayed out of reach
 * Control: isolate_libos=false
 * Options: isolate_libos=true
 */
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include "attack.h"
#include "isolated.h"

#define TURNS 500

static volatile uint64_t *g_area;
static volatile bool g_go, g_started, g_stop, g_stopped;
static volatile uint64_t g_landed, g_read;
static sigjmp_buf g_back; /* without the signal mask: no system call between a landing and its load */
static uint8_t g_stack[65536] __attribute__((used));

/* Where the area's return addresses lead, on whatever stack: with whose rights? */
extern char landing[];
__asm__("landing:\n\tlea g_stack+65536-128(%rip), %rsp\n\tand $-16, %rsp\n\tcall landed\n\tud2");

__attribute__((used)) static void landed(void)
{
	g_landed++;
	load_byte((void *)libos_thread());
	g_read++;
	siglongjmp(g_back, 1);
}

static void on_refusal(int signal)
{
	(void)signal;
	siglongjmp(g_back, 1);
}

static void *scribble(void *argument)
{
	const uint64_t bad = libos_thread() & ~(PAGE - 1);

	while (!g_go)
		;
	for (; !g_stop; g_started = true) {
		g_area[14] = bad; /* rdi, rsi of the system call */
		g_area[13] = bad;
		g_area[11] = (uint64_t)landing; /* where a system call goes on */
		g_area[5] = (uint64_t)landing;	/* where the gate does */
	}
	g_stopped = true;
	return argument;
}

static void attack(void)
{
	struct sigaction action = { .sa_handler = on_refusal, .sa_flags = SA_ONSTACK | SA_NODEFER };
	pthread_t thread;

	g_area = (volatile uint64_t *)vcpu()->program_area;
	if (!guarded(load_byte, (void *)libos_thread()).signal)
		breach("the libOS is not apart");
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	pthread_create(&thread, NULL, scribble, NULL);
	g_go = true; /* not before pthread_create is back, which blocks signals meanwhile */
	while (!g_started)
		;
	/* Through the program area both ways: a call that takes long, in which the other thread wins for certain, and one that
	 * does not; and out only. What comes back are anybody's registers. */
	const struct timespec while_it_writes = { 0, 2000000 };
	for (volatile int turn = 0; turn < TURNS; turn++) {
		char buffer[64];
		if (sigsetjmp(g_back, 0))
			continue;
		if (turn % 8 == 0)
			syscall(SYS_nanosleep, &while_it_writes, NULL);
		else if (turn % 2)
			(void)!syscall(SYS_getrandom, (uint64_t)buffer, sizeof buffer, 0);
		else
			own_syscall(SYS_getrandom, (uint64_t)buffer, sizeof buffer, 0, 0, 0, 0);
	}
	g_stop = true;
	while (!g_stopped)
		;
	if (g_read || !g_landed)
		breach("read the libOS in %lu of %lu landings", g_read, g_landed);
	refused("the libOS stayed out of reach");
}
