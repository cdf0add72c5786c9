/*
 * A program that is apart from its libOS and makes random and half-valid capability hostcalls through it (BOOT_SYSCALL_CAPABILITY),
 * from three threads that are interrupted all the time, while it changes the memory that it names. Driven by capabilities_live.py.
 * What its libOS holds for it, a file of /cap, must work at the end as at the start.
 *
 * usage: capabilities_guest SEED SECONDS
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/boot.h"
#include "abi/capability.h"
#include "abi/hostcall.h"
#include "abi/slot.h"
#include "abi/vcpu.h"


#define PAGE CVM_PAGE_SIZE
#define THREADS 3
#define ARENA_PAGES 256u /* the first half is memory, the rest reserved; */
#define SLACK_PAGES 512u /* behind it is nothing of the program's own, and then a page that cannot be written to */
#define KEPT 8		 /* handles of each kind */
#define TEXT "what the libOS holds"

static uint8_t *g_arena;
static uint64_t g_cap[CAP_REVOKED + 1][KEPT]; /* by kind; racy on purpose */
static uint64_t g_made[HC_COUNT];	      /* that succeeded; atomic */
static volatile bool g_over;

struct fuzzer {
	uint64_t random, steps;
	pthread_t thread;
};
static struct fuzzer g_fuzzer[THREADS];

static uint64_t next(struct fuzzer *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return f->random >> 11;
}

static uint64_t below(struct fuzzer *f, uint64_t n)
{
	return next(f) % n;
}

static long ask(uint64_t number, const uint64_t a[5])
{
	return syscall(BOOT_SYSCALL_CAPABILITY, number, a[0], a[1], a[2], a[3], a[4]);
}

static uint64_t some_cap(struct fuzzer *f, unsigned kind)
{
	return g_cap[below(f, 8) ? kind : below(f, CAP_REVOKED + 1)][below(f, KEPT)];
}

static uint64_t libos_memory(struct fuzzer *f)
{
	uint64_t thread;

	if (below(f, 2))
		return ((uint64_t)g_arena & SLOT_MASK) + SLOT_LIBOS_DATA + below(f, 100000);
	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(thread) : "i"(VCPU_LIBOS_THREAD));
	return thread - below(f, 2 * PAGE);
}

static uint64_t anything(struct fuzzer *f)
{
	switch (below(f, 7)) {
	case 0: return below(f, 10);
	case 1: return some_cap(f, below(f, CAP_REVOKED + 1));
	case 2: return (uint64_t)g_arena + below(f, ARENA_PAGES) * PAGE;
	case 3: return (uint64_t)g_arena + below(f, ARENA_PAGES * PAGE);
	case 4: return below(f, 16) * PAGE;
	case 5: return libos_memory(f);
	default: return next(f) << below(f, 40);
	}
}

static uint64_t memory(struct fuzzer *f)
{
	if (!below(f, 20))
		return anything(f);
	return (uint64_t)g_arena + below(f, ARENA_PAGES / 2 * PAGE - 1024);
}

/* Others may be changing it. */
static uint64_t message(struct fuzzer *f)
{
	static struct call_message shared[THREADS];
	struct call_message *m = &shared[below(f, THREADS)];

	m->caps = (uint32_t)(below(f, 20) ? below(f, CAP_PASS_MAX + 2) : next(f));
	for (unsigned i = 0; i < CAP_PASS_MAX; i++)
		m->cap[i] = (uint32_t)some_cap(f, (unsigned)below(f, CAP_REVOKED + 1));
	m->deadline_ns = below(f, 2); /* none, or long over */
	return (uint64_t)m;
}

/* Arguments that have a chance, for most of the time. */
static void choose(struct fuzzer *f, uint64_t number, uint64_t a[5])
{
	static const uint8_t kinds[HC_COUNT] = {
		[HC_cap_derive] = CAP_MEMORY, [HC_cap_seal] = CAP_MEMORY, [HC_cap_read] = CAP_MEMORY, [HC_cap_write] = CAP_MEMORY,
		[HC_cap_map] = CAP_MEMORY, [HC_call_invoke] = CAP_CALL, [HC_call_invoke_msg] = CAP_CALL, [HC_call_serve] = CAP_EXPORT,
		[HC_stream_connect] = CAP_CONNECT, [HC_stream_accept] = CAP_LISTENER, [HC_stream_send] = CAP_STREAM,
		[HC_stream_recv] = CAP_STREAM, [HC_stream_cap] = CAP_STREAM, [HC_stream_shutdown] = CAP_STREAM,
		[HC_stream_map] = CAP_STREAM, [HC_stream_window] = CAP_STREAM };

	for (int i = 0; i < 5; i++)
		a[i] = anything(f);
	if (number == HC_cap_wait) /* never for long */
		a[2] = below(f, 1000000);
	if (!below(f, 5)) {
		if (number == HC_cap_memory) /* others will write there */
			a[1] %= 3 * PAGE;
		return;
	}
	a[0] = some_cap(f, kinds[number] ? kinds[number] : (unsigned)below(f, CAP_REVOKED + 1));
	switch (number) {
	case HC_cap_open:
	case HC_cap_create:
		a[0] = 1 + below(f, CAP_TYPE);
		a[1] = (uint64_t)"mine";
		a[2] = below(f, 3) ? 4 : 0;
		a[3] = below(f, 3) ? 4 + below(f, 2) * 27 : below(f, 100000);
		break;
	case HC_cap_memory: a[0] = memory(f), a[1] = below(f, 3 * PAGE), a[2] = below(f, 16); break;
	case HC_cap_seal: a[1] = some_cap(f, CAP_TYPE); break;
	case HC_cap_map:
	case HC_stream_map:
		a[1] = (uint64_t)g_arena + below(f, ARENA_PAGES) * PAGE;
		a[2] = (1 + below(f, 3)) * PAGE, a[3] = 1 + 2 * below(f, 2), a[4] = below(f, 3) * PAGE;
		break;
	case HC_call_invoke_msg: a[1] = message(f); break;
	case HC_call_caps: a[0] = memory(f), a[1] = below(f, CAP_PASS_MAX + 2); break;
	case HC_stream_send: a[3] = below(f, 2) ? 0 : some_cap(f, CAP_MEMORY); /* fall through */
	default: a[1] = memory(f), a[2] = number == HC_cap_wait ? a[2] : below(f, 3 * PAGE); break;
	}
}

static void keep(struct fuzzer *f, long handle)
{
	struct cap_info info = { 0 };

	if (!ask(HC_cap_info, (const uint64_t[5]){ (uint64_t)handle, (uint64_t)&info }) && info.kind <= CAP_REVOKED)
		g_cap[info.kind][below(f, KEPT)] = (uint64_t)handle;
}

static void change_memory(struct fuzzer *f)
{
	uint8_t *at = g_arena + below(f, ARENA_PAGES) * PAGE;

	if (below(f, 2)) {
		mprotect(at, PAGE, (int)below(f, 4));
		return;
	}
	munmap(at, PAGE);
	mmap(at, PAGE, at < g_arena + ARENA_PAGES / 2 * PAGE ? PROT_READ | PROT_WRITE : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void step(struct fuzzer *f)
{
	static const uint8_t numbers[] = { HC_cap_open, HC_cap_create, HC_cap_memory, HC_cap_derive, HC_cap_seal, HC_cap_revoke, HC_cap_close,
		HC_cap_info, HC_cap_read, HC_cap_write, HC_cap_map, HC_cap_wait, HC_cap_notify, HC_call_invoke, HC_call_invoke_msg,
		HC_call_serve, HC_call_caps, HC_stream_connect, HC_stream_accept, HC_stream_send, HC_stream_recv, HC_stream_cap,
		HC_stream_shutdown, HC_stream_map, HC_stream_window, HC_null, HC_mem_release, HC_thread_exit };
	uint64_t number = numbers[below(f, sizeof numbers)], a[5];

	if ((number == HC_cap_revoke && below(f, 60)) || (number == HC_cap_close && below(f, 8)) || (number == HC_stream_shutdown && below(f, 20)))
		return;
	choose(f, number, a);
	long r = ask(below(f, 500) ? number : next(f), a);
	if (r >= 0)
		__atomic_add_fetch(&g_made[number], 1, __ATOMIC_RELAXED);
	if (r >= (long)CAPS_MAX && number != HC_cap_read && number != HC_cap_write && number != HC_stream_send && number != HC_stream_recv)
		keep(f, r);
	if (!below(f, 200))
		change_memory(f);
}

static void *run(void *argument)
{
	struct fuzzer *f = argument;

	for (; !g_over; f->steps++)
		step(f);
	return NULL;
}

/* What a system call with an address of the libOS left in registers would be an argument of rt_sigreturn, which refuses it. */
static void on_signal(int signal)
{
	(void)signal;
	__asm__ volatile("xor %%r8d, %%r8d\n\txor %%r9d, %%r9d\n\txor %%r10d, %%r10d" : : : "r8", "r9", "r10", "cc");
}

static int made_by(const char *path)
{
	int fd;

	while ((fd = open(path, O_RDWR)) < 0)
		usleep(1000);
	return fd;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1, steps = 0, kinds = 0;
	int seconds = argc > 2 ? atoi(argv[2]) : 5, held = made_by("/cap/file/held");
	struct sigaction action = { .sa_handler = on_signal };
	char text[sizeof TEXT] = "";

	if (pwrite(held, TEXT, sizeof TEXT, 0) != sizeof TEXT)
		return 1;
	sigaction(SIGUSR1, &action, NULL);
	g_arena = mmap(NULL, (ARENA_PAGES + SLACK_PAGES) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	mprotect(g_arena, ARENA_PAGES / 2 * PAGE, PROT_READ | PROT_WRITE);
	mprotect(g_arena + (ARENA_PAGES + SLACK_PAGES - 1) * PAGE, PAGE, PROT_READ);
	for (unsigned i = 0; i < THREADS; i++) {
		g_fuzzer[i].random = (seed * THREADS + i + 1) * 6364136223846793005u;
		pthread_create(&g_fuzzer[i].thread, NULL, run, &g_fuzzer[i]);
	}
	for (int ms = 0; ms < seconds * 1000; ms++) { /* who serves or waits goes on after a signal */
		usleep(1000);
		pthread_kill(g_fuzzer[ms % THREADS].thread, SIGUSR1);
	}
	for (unsigned i = 0; i < THREADS; i++)
		steps += g_fuzzer[i].steps;
	for (unsigned i = 0; i < HC_COUNT; i++)
		kinds += g_made[i] != 0;
	bool same = pread(held, text, sizeof text, 0) == sizeof text && !strcmp(text, TEXT);
	printf("%lu steps, %lu hostcalls, what the libOS holds is %s\n", steps, kinds, same ? "intact" : "gone");
	fflush(stdout);
	_exit(0);
}
