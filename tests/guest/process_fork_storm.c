/*
 * Many processes made by fork of one another, which fork, compute, sleep, talk, map and unmap at random, some with threads:
 * each finds in its memory what it and nobody else wrote.
 * Rounds by the first argument, 6 without; the seed by the second.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

#define PAGE 4096ul
#define BLOCKS 12
#define STEPS 40
#define DEPTH 4

struct block {
	uint8_t *bytes;
	size_t pages;
	uint8_t value; /* of every byte */
	int mapped;    /* by mmap, else by malloc */
};

static struct block g_block[BLOCKS];
static uint32_t g_seed = 1;
static uint32_t g_mark = 0x12345678; /* in the data segment */
static struct shared { /* in shared memory */
	int processes, wrong;
} *g_shared;

static uint32_t rnd(uint32_t n)
{
	g_seed ^= g_seed << 13;
	g_seed ^= g_seed >> 17;
	g_seed ^= g_seed << 5;
	return g_seed % n;
}

static void wrong(const char *what)
{
	printf("%s\n", what);
	fflush(stdout);
	__atomic_add_fetch(&g_shared->wrong, 1, __ATOMIC_SEQ_CST);
}

static void verify(const struct block *b)
{
	for (size_t i = 0; b->bytes && i < b->pages * PAGE; i += 509)
		if (b->bytes[i] != b->value) {
			wrong("a byte of another process");
			return;
		}
}

static void drop(struct block *b)
{
	verify(b);
	if (b->bytes && b->mapped)
		munmap(b->bytes, b->pages * PAGE);
	else
		free(b->bytes);
	b->bytes = NULL;
}

static void fill(struct block *b)
{
	drop(b);
	b->pages = 1 + rnd(rnd(8) ? 6 : 80);
	b->mapped = rnd(2) == 0;
	b->bytes = b->mapped ? mmap(NULL, b->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) :
			       malloc(b->pages * PAGE);
	if (!b->bytes || b->bytes == MAP_FAILED) {
		b->bytes = NULL; /* the cVM's limit */
		return;
	}
	b->value = (uint8_t)rnd(256);
	memset(b->bytes, b->value, b->pages * PAGE);
}

static void protect(struct block *b)
{
	if (!b->bytes || !b->mapped)
		return;
	mprotect(b->bytes, b->pages * PAGE, rnd(2) ? PROT_READ : PROT_NONE);
	sched_yield();
	mprotect(b->bytes, b->pages * PAGE, PROT_READ | PROT_WRITE);
	verify(b);
}

static void *thread(void *arg)
{
	uint8_t stack[8192], value = (uint8_t)(uintptr_t)arg;

	memset(stack, value, sizeof stack);
	for (int i = 0; i < 5; i++) {
		usleep(200);
		for (size_t k = 0; k < sizeof stack; k += 61)
			if (((volatile uint8_t *)stack)[k] != value) {
				wrong("a stack of another process");
				return NULL;
			}
	}
	return NULL;
}

static void with_threads(void)
{
	pthread_t t[2];
	int n = 0;

	while (n < 2 && !pthread_create(&t[n], NULL, thread, (void *)(uintptr_t)rnd(256)))
		n++;
	while (n)
		pthread_join(t[--n], NULL);
}

static void live(int depth);

static void child(int depth, int kills)
{
	int p[2] = { -1, -1 }, status;
	uint32_t word = rnd(1u << 30), answer = 0;
	pid_t pid;

	if (pipe(p))
		return;
	pid = fork();
	if (!pid) {
		close(p[0]);
		g_mark = word;
		live(depth + 1);
		if (write(p[1], &g_mark, sizeof g_mark) != sizeof g_mark)
			wrong("write");
		_exit(g_mark == word ? 7 : 8);
	}
	close(p[1]);
	if (pid < 0) { /* the cVM's limits */
		close(p[0]);
		return;
	}
	if (kills)
		kill(pid, SIGKILL);
	if (!rnd(3))
		usleep(rnd(2000));
	if (read(p[0], &answer, sizeof answer) == sizeof answer && answer != word)
		wrong("another process's word");
	close(p[0]);
	if (waitpid(pid, &status, 0) != pid || (status != 7 << 8 && !(kills && status == SIGKILL)))
		wrong("the child's end");
}

static void live(int depth)
{
	uint32_t mark = g_mark, seed = g_seed * 2654435761u + (uint32_t)__atomic_add_fetch(&g_shared->processes, 1, __ATOMIC_SEQ_CST);
	int local = (int)seed;
	volatile int *p = &local;

	g_seed = seed | 1;
	for (int step = 0; step < STEPS; step++) {
		struct block *b = &g_block[rnd(BLOCKS)];

		switch (rnd(10)) {
		case 0: case 1: case 2: fill(b); break;
		case 3: verify(b); break;
		case 4: drop(b); break;
		case 5: protect(b); break;
		case 6: usleep(rnd(300)); break;
		case 7: sched_yield(); break;
		case 8:
			if (depth < DEPTH && rnd(2))
				child(depth, rnd(8) == 0);
			break;
		default:
			if (!rnd(4))
				with_threads();
		}
		if (*p != (int)seed || g_mark != mark)
			wrong("data or stack of another process");
	}
	for (int i = 0; i < BLOCKS; i++)
		drop(&g_block[i]);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 6;

	g_seed = argc > 2 ? (uint32_t)atoi(argv[2]) : 1;
	g_shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < rounds; i++)
		for (int n = 0; n < 3; n++)
			child(0, 0);
	printf("many processes: %s, %d wrong\n", g_shared->processes > 10 * rounds / 6 ? "yes" : "no", g_shared->wrong);
	if (argc > 1)
		printf("%d processes\n", g_shared->processes);
	return g_shared->wrong != 0;
}
