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

#include "attack.h"
#include "isolated.h"

#define TURNS 3000

static uint64_t *g_area;
static volatile bool g_stop;
static volatile uint64_t g_landed;
static sigjmp_buf g_back;

/* Where the area's return address leads: with whose rights? */
static void landed(void)
{
	g_landed++;
	g_guarded = 0;
	siglongjmp(g_back, 1);
}

static void *scribble(void *argument)
{
	const uint64_t bad = libos_thread() & ~(PAGE - 1);

	while (!g_stop) {
		g_area[14] = bad; /* rdi, rsi of the system call */
		g_area[13] = bad;
		g_area[5] = (uint64_t)landed; /* where the gate goes */
	}
	return argument;
}

static void attack(void)
{
	pthread_t thread;

	g_area = (uint64_t *)vcpu()->program_area;
	if (!g_area) {
		if (!guarded(load_byte, (void *)libos_thread()).signal)
			breach("no libOS apart");
		refused("no program area");
	}
	pthread_create(&thread, NULL, scribble, NULL);
	for (int turn = 0; turn < TURNS; turn++) {
		if (sigsetjmp(g_back, 1) == 0) {
			char buffer[64];
			long r = own_syscall(SYS_getrandom, (uint64_t)buffer, sizeof buffer, 0, 0, 0, 0);
			if (r != sizeof buffer && r != -EFAULT)
				continue; /* another thread's registers, or our own */
		}
		if (!guarded(load_byte, (void *)libos_thread()).signal)
			breach("read the libOS in turn %d", turn);
	}
	g_stop = true;
	pthread_join(thread, NULL);
	refused("the libOS stayed out of reach");
}
