/*
 * A process that gets signals more often than it is its turn comes to its own work all the same, however many forked ones compute
 * meanwhile: the return of a handler gives the processor to nobody.
 */
#define _GNU_SOURCE
#include "process.h"

#include <sys/time.h>

#define BUSY 3
#define STEPS 100000000
#define SERIES_MAX 10

static volatile sig_atomic_t g_steps, g_steps_seen, g_series; /* series: handlers without a step between them */

static void look(int sig)
{
	(void)sig;
	g_series = g_steps == g_steps_seen ? g_series + 1 : 0;
	g_steps_seen = g_steps;
}

int main(void)
{
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	struct sigaction action = { .sa_handler = look };
	pid_t busy[BUSY];

	for (int i = 0; i < BUSY; i++) {
		busy[i] = fork();
		for (volatile int n = 0; !busy[i]; n ^= 1)
			;
	}
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	while (g_steps < STEPS && g_series < SERIES_MAX)
		g_steps++;
	setitimer(ITIMER_REAL, &never, NULL);
	printf("%s\n", g_series < SERIES_MAX ? "its own work, too" : "only signals");
	for (int i = 0; i < BUSY; i++) {
		kill(busy[i], SIGKILL);
		reap("a busy one", busy[i]);
	}
	return 0;
}
