/*
 * Threads that want the same name at once: of those who rename a file away, remove it, or make a directory, a link or a file of a name,
 * one has it, and nothing is lost.
 * Build: gcc
 * Args: {dir} /tmp /var/tmp
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS = 2, ROUNDS = 1500, PATIENCE = 20000 };

static pthread_barrier_t g_round;
static unsigned g_started; /* how often a racer did: they wait for one another without sleeping, but not for ever */
static int g_won[THREADS]; /* this round */
static int (*g_try)(int me);
static int g_done;

static void *racer(void *arg)
{
	int me = (int)(long)arg;

	for (;;) {
		pthread_barrier_wait(&g_round);
		if (g_done)
			return NULL;
		__atomic_add_fetch(&g_started, 1, __ATOMIC_SEQ_CST);
		for (int i = 0; __atomic_load_n(&g_started, __ATOMIC_SEQ_CST) % THREADS && i < PATIENCE; i++)
			;
		g_won[me] = g_try(me);
		pthread_barrier_wait(&g_round);
	}
}

static void make(const char *name)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (fd < 0)
		perror(name);
	close(fd);
}

static const char *own(int me)
{
	static const char *const names[THREADS] = { "own0", "own1" };

	return names[me];
}

static int renames(int me)
{
	return rename("a", own(me)) == 0;
}

static int removes(int me)
{
	(void)me;
	return unlink("a") == 0;
}

/* One half takes the name away, the other removes what has it. */
static int either(int me)
{
	return me % 2 ? renames(me) : removes(me);
}

static int makes_file(int me)
{
	int fd = open("a", O_CREAT | O_EXCL | O_WRONLY, 0600);

	(void)me;
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int makes_directory(int me)
{
	(void)me;
	return mkdir("a", 0700) == 0;
}

static int links(int me)
{
	return link(own(me), "a") == 0;
}

static int renames_onto(int me)
{
	return syscall(316 /* renameat2 */, AT_FDCWD, own(me), AT_FDCWD, "a", 1 /* RENAME_NOREPLACE */) == 0;
}

static int exists(const char *name)
{
	return access(name, F_OK) == 0;
}

static int count_own(void)
{
	int n = 0;

	for (int i = 0; i < THREADS; i++)
		n += exists(own(i));
	return n;
}

static int winners(int (*try)(int me))
{
	int n = 0;

	g_try = try;
	pthread_barrier_wait(&g_round);
	pthread_barrier_wait(&g_round);
	for (int i = 0; i < THREADS; i++)
		n += g_won[i];
	return n;
}

static void clear(void)
{
	for (int i = 0; i < THREADS; i++)
		unlink(own(i));
	if (unlink("a"))
		rmdir("a");
}

static void say(const char *what, int wrong)
{
	printf("%s: %d wrong\n", what, wrong);
}

static void taking(void)
{
	int one = 0, kept = 0, removed = 0;

	for (int round = 0; round < ROUNDS; round++) {
		make("a");
		one += winners(renames) != 1 || count_own() != 1;
		clear();
		make("a");
		removed += winners(removes) != 1;
		clear();
		make("a");
		kept += winners(either) != 1 || count_own() != g_won[1];
		clear();
	}
	say("one renames", one);
	say("one removes", removed);
	say("one renames or removes", kept);
}

static void making(void)
{
	int file = 0, directory = 0, link = 0, onto = 0;

	for (int round = 0; round < ROUNDS; round++) {
		file += winners(makes_file) != 1;
		clear();
		directory += winners(makes_directory) != 1;
		clear();
		for (int i = 0; i < THREADS; i++)
			make(own(i));
		link += winners(links) != 1 || count_own() != THREADS;
		unlink("a");
		onto += winners(renames_onto) != 1 || count_own() != THREADS - 1;
		clear();
	}
	say("one makes a file", file);
	say("one makes a directory", directory);
	say("one links", link);
	say("one renames without replacing", onto);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	pthread_barrier_init(&g_round, NULL, THREADS + 1);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, racer, (void *)i);
	for (int i = 1; i < argc; i++) {
		char top[PATH_MAX];

		snprintf(top, sizeof top, "%s/fs-race-names-XXXXXX", argv[i]);
		if (!mkdtemp(top) || chdir(top))
			return 1;
		printf("-- %d\n", i);
		taking();
		making();
		if (chdir("/") || rmdir(top))
			perror("rmdir");
	}
	g_done = 1;
	pthread_barrier_wait(&g_round);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
