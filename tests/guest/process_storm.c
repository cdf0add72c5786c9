/*
 * Threads that start, kill, stop and wait for processes all at once while signals come in all the time: every child is
 * reported once, to who waits for it, and as what became of it; nothing is left.
 * Build: gcc musl-static
 */
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>

#include "process.h"

#define THREADS 4
#define ROUNDS	100

static atomic_int g_handled, g_done, g_end, g_wrong, g_kinds[6];
static pthread_t g_thread[THREADS];

static void caught(int sig)
{
	(void)sig;
	g_handled++;
}

static void expect(int status, int wanted, int kind)
{
	if (status == wanted) {
		g_kinds[kind]++;
	} else {
		g_wrong++;
		printf("kind %d: status %#x, not %#x\n", kind, status, wanted);
	}
}

static int waited(pid_t pid, int options)
{
	int status = 0;
	pid_t got;

	do
		got = waitpid(pid, &status, options);
	while (got < 0 && errno == EINTR);
	return got == pid ? status : -1;
}

static pid_t spawn(const char *role, const char *word)
{
	char *words[] = { g_self, (char *)role, (char *)word, NULL };
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid = -1;
	int err;

	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	err = posix_spawn(&pid, g_self, NULL, &attr, words, environ);
	posix_spawnattr_destroy(&attr);
	if (err) {
		printf("spawn: %s\n", strerror(err));
		exit(1); /* -1 would be everybody */
	}
	return pid;
}

static void one(unsigned kind, unsigned random)
{
	char number[12];
	int status = 0;
	pid_t pid, got;

	snprintf(number, sizeof number, "%u", random % 200);
	switch (kind) {
	case 0:
		expect(waited(spawn("exit", number), 0), (int)(random % 200) << 8, 0);
		return;
	case 1: /* killed at any moment of its start */
		pid = spawn("sleep", "");
		for (unsigned i = 0; i < random % 64; i++)
			sched_yield();
		kill(pid, random & 1 ? SIGKILL : SIGTERM);
		expect(waited(pid, 0), random & 1 ? SIGKILL : SIGTERM, 1);
		return;
	case 2: /* stopped and continued, then killed */
		pid = spawn("sleep", "");
		kill(pid, SIGSTOP);
		expect(waited(pid, WUNTRACED), SIGSTOP << 8 | 0x7f, 2);
		kill(pid, SIGCONT);
		expect(waited(pid, WCONTINUED), 0xffff, 2);
		kill(pid, SIGUSR2);
		expect(waited(pid, 0), SIGUSR2, 2);
		return;
	case 3: /* has children itself */
		expect(waited(spawn("parent", number), 0), (int)(random % 200) << 8, 3);
		return;
	case 4: /* looked for until it is there */
		pid = spawn("exit", number);
		while (!(got = waitpid(pid, &status, WNOHANG)))
			sched_yield();
		expect(got == pid ? status : -1, (int)(random % 200) << 8, 4);
		return;
	default: /* killed with all of its group while it starts another */
		pid = spawn("parent-sleeps", "");
		for (unsigned i = 0; i < random % 64; i++)
			sched_yield();
		kill(-pid, SIGKILL);
		expect(waited(pid, 0), SIGKILL, 5);
	}
}

static void *storm(void *arg)
{
	unsigned random = (unsigned)(uintptr_t)arg * 2654435761u + 1;

	for (unsigned i = 0; i < ROUNDS; i++) {
		random = random * 1664525 + 1013904223;
		one((i + (unsigned)(uintptr_t)arg) % 6, random >> 8);
	}
	g_done++;
	while (!g_end) /* it can be sent signals until nobody does any more */
		sched_yield();
	return NULL;
}

static void *signals(void *arg)
{
	for (unsigned i = 0; g_done < THREADS; i++) {
		pthread_kill(g_thread[i % THREADS], SIGUSR1);
		if (i % 16 == 0)
			kill(getpid(), SIGUSR1);
		sched_yield();
	}
	g_end = 1;
	return arg;
}

static void tests(void)
{
	struct sigaction action = { .sa_handler = caught, .sa_flags = SA_RESTART };
	pthread_t sender;

	signal(SIGUSR2, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGCHLD, &action, NULL);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&g_thread[i], NULL, storm, (void *)i);
	pthread_create(&sender, NULL, signals, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(g_thread[i], NULL);
	pthread_join(sender, NULL);
	while (waitpid(-1, NULL, 0) > 0)
		; /* orphans of those that were killed while they started another */
	for (int i = 0; i < 6; i++)
		printf("kind %d: %d\n", i, g_kinds[i]);
	printf("wrong %d, signals %d\n", g_wrong, g_handled > 0);
	say("none left", waitpid(-1, NULL, 0));
}

static int role(char **argv)
{
	const char *name = argv[1];

	if (!strcmp(name, "exit"))
		return atoi(argv[2]);
	if (!strcmp(name, "parent")) {
		pid_t first = start("exit", "3", NULL), second = start("exit", argv[2], NULL);
		int status = waited(second, 0);
		return waited(first, 0) == 3 << 8 && WIFEXITED(status) ? WEXITSTATUS(status) : 255;
	}
	if (!strcmp(name, "parent-sleeps"))
		start("sleep", NULL);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	return play(argc, argv, role, tests);
}
