/*
 * Directories that are made, renamed and removed while other threads look for their names: who has one open finds its files in it,
 * whatever the others saw.
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

enum { PROBERS = 2, MAKERS = 2, ROUNDS = 250 };

static int g_stop, g_bad;
static pthread_barrier_t g_round;

static void check(const char *what, int ret)
{
	int err = errno;

	if (ret < 0 && __atomic_fetch_add(&g_bad, 1, __ATOMIC_RELAXED) < 5)
		printf("%s: %s\n", what, strerror(err));
}

static void *prober(void *arg)
{
	static const char *const names[] = { "a", "a/x", "b/x", "b", "c/x", "c" };
	struct stat st;

	(void)arg;
	while (!__atomic_load_n(&g_stop, __ATOMIC_RELAXED))
		for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
			(void)!stat(names[i], &st);
	return NULL;
}

static void use(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT, 0600);

	check("create", fd);
	if (fd < 0)
		return;
	close(fd);
	check("unlink", unlinkat(dir, name, 0));
}

static void renamer(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		int dir;

		check("mkdir", mkdir("a", 0700));
		dir = open("a", O_RDONLY | O_DIRECTORY);
		check("open", dir);
		use(dir, "f");
		check("rename", rename("a", "b"));
		use(dir, "f");
		check("rename back", rename("b", "a"));
		use(dir, "f");
		close(dir);
		check("rmdir", rmdir("a"));
	}
}

/* All make the same directory, and one is first. */
static void *maker(void *arg)
{
	char name[] = { (char)('f' + (long)arg), 0 };

	for (int round = 0; round < ROUNDS; round++) {
		int dir;

		pthread_barrier_wait(&g_round);
		if (mkdir("c", 0700) && errno != EEXIST)
			check("mkdir of all", -1);
		dir = open("c", O_RDONLY | O_DIRECTORY);
		check("open of all", dir);
		for (int i = 0; i < 3; i++)
			use(dir, name);
		close(dir);
		if (pthread_barrier_wait(&g_round) == PTHREAD_BARRIER_SERIAL_THREAD)
			check("rmdir of all", rmdir("c"));
	}
	return NULL;
}

static void run(void)
{
	pthread_t probers[PROBERS], makers[MAKERS];

	g_stop = 0;
	pthread_barrier_init(&g_round, NULL, MAKERS);
	for (int i = 0; i < PROBERS; i++)
		pthread_create(&probers[i], NULL, prober, NULL);
	renamer();
	for (long i = 0; i < MAKERS; i++)
		pthread_create(&makers[i], NULL, maker, (void *)i);
	for (int i = 0; i < MAKERS; i++)
		pthread_join(makers[i], NULL);
	__atomic_store_n(&g_stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < PROBERS; i++)
		pthread_join(probers[i], NULL);
	pthread_barrier_destroy(&g_round);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char top[PATH_MAX];

		snprintf(top, sizeof top, "%s/fs-race-dirs-XXXXXX", argv[i]);
		if (!mkdtemp(top) || chdir(top))
			return 1;
		run();
		check("chdir", chdir("/"));
		check("rmdir at the end", rmdir(top));
		printf("%d: %d bad\n", i, g_bad);
	}
	return 0;
}
