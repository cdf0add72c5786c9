/*
 * Three cVMs whose threads make random hostcalls on capabilities, files, streams, calls, mappings, handles and threads, and end at
 * random, while a supervisor starts them again; for ThreadSanitizer to watch (race.h).
 *
 * usage: hammer SECONDS SEED [LOCK]
 * LOCK (cap, mem, handle, thread, ring): the control. This lock is never taken, which must be reported.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "race.h"

#define KNOWN 10 /* handles of each kind */
#define SCRATCH 0x8000ull /* of each host thread, in each cVM's memory; the second half of that is for mappings */

long hostcall_dispatch(struct thread *t, uint64_t number, const uint64_t *args);

static uint64_t g_known[CVMS][CAP_REVOKED][KNOWN]; /* handles; atomic, relaxed: anybody may be wrong */
static uint64_t g_good[HC_COUNT], g_all;
static uint64_t g_seed;
static bool g_stop;
static const char *g_off;
static _Thread_local uint64_t t_random;

static uint64_t below(uint64_t n)
{
	t_random = t_random * 6364136223846793005u + 1442695040888963407u;
	return (t_random >> 33) % n;
}

/* ---- the control ---- */

void __real_lock_take(struct lock *l);
void __real_lock_give(struct lock *l);
void __wrap_lock_take(struct lock *l);
void __wrap_lock_give(struct lock *l);

static bool is_off(const struct lock *l)
{
	const char *off = g_off;

	if (!off)
		return false;
	for (uint32_t i = 0; i < CVMS; i++)
		if ((l == &g_arena->cvm[i].mem_lock && !strcmp(off, "mem")) || (l == &g_arena->cvm[i].handle_lock && !strcmp(off, "handle")))
			return true;
	return (l == &g_arena->cap_lock && !strcmp(off, "cap")) || (l == &g_arena->thread_lock && !strcmp(off, "thread")) ||
	       ((void *)l >= (void *)g_arena->object && (void *)l < (void *)(g_arena->object + OBJECTS_MAX + STREAMS_MAX) && !strcmp(off, "ring"));
}

void __wrap_lock_take(struct lock *l)
{
	if (!is_off(l))
		__real_lock_take(l);
}

void __wrap_lock_give(struct lock *l)
{
	if (!is_off(l))
		__real_lock_give(l);
}

/* ---- in a cVM ---- */

static uint64_t scratch(const struct thread *t)
{
	return memory_of(t->cvm) + t->id * SCRATCH;
}

static uint64_t put(const struct thread *t, const void *bytes, uint64_t size)
{
	user_copy((void *)scratch(t), bytes, size);
	return scratch(t);
}

/* A handle that is probably one, of this kind or (0) any. */
static uint64_t any(const struct thread *t, unsigned kind)
{
	return __atomic_load_n(&g_known[t->cvm->index][kind && below(10) ? kind : 1 + below(CAP_REVOKED - 1)][below(KNOWN)], __ATOMIC_RELAXED);
}

static long hostcall(struct thread *t, uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	uint64_t a[CALL_WORDS + 1] = { a0, a1, a2, a3, a4, 0, number };
	long r = hostcall_dispatch(t, number, a);

	if (t->by_words) {
		t->by_words = 0;
		r = (long)t->words[CALL_WORDS];
	}
	__atomic_add_fetch(&g_all, 1, __ATOMIC_RELAXED);
	if (r >= 0)
		__atomic_add_fetch(&g_good[(uint32_t)number], 1, __ATOMIC_RELAXED);
	leave_monitor(t);
	return r;
}
#define HC_(t, name, a, b, c, d, e, ...) hostcall(t, HC_##name, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e))
#define HC(t, name, ...) HC_(t, name, ##__VA_ARGS__, 0, 0, 0, 0, 0)

static void remember(struct thread *t, unsigned kind, long handle)
{
	if (handle > 0)
		__atomic_store_n(&g_known[t->cvm->index][kind][below(KNOWN)], (uint64_t)handle, __ATOMIC_RELAXED);
}

static uint64_t name(struct thread *t, char kind)
{
	return put(t, (char[]){ kind, (char)('0' + below(4)) }, 2);
}

static void capability(struct thread *t)
{
	static const uint8_t makes[] = { CAP_MEMORY, CAP_MEMORY, CAP_EXPORT, CAP_LISTENER, CAP_TYPE }, opens[] = { CAP_MEMORY, CAP_CALL, CAP_CONNECT };
	uint64_t kind, n;

	switch (below(11)) {
	case 0:
		kind = makes[below(sizeof makes)];
		n = kind == CAP_TYPE || (kind == CAP_MEMORY && below(2)) ? 0 : 2;
		remember(t, kind, HC(t, cap_create, kind, name(t, "  f  cl"[kind]), n, kind == CAP_MEMORY ? 1 + below(3 * CVM_PAGE_SIZE) : below(6)));
		break;
	case 1:
		kind = opens[below(sizeof opens)];
		remember(t, kind, HC(t, cap_open, kind, name(t, kind == CAP_MEMORY ? 'f' : kind == CAP_CALL ? 'c' : 'l'), 2,
			       kind == CAP_MEMORY ? CAP_ALL & ~(unsigned)CAP_USE : CAP_USE | CAP_GRANT));
		break;
	case 2:
		remember(t, CAP_MEMORY, HC(t, cap_memory, scratch(t), 1 + below(SCRATCH / 2), CAP_LOAD | CAP_STORE | CAP_GRANT));
		break;
	case 3:
		kind = below(4) ? CAP_MEMORY : CAP_CALL;
		remember(t, kind, HC(t, cap_derive, any(t, kind), below(100), 1 + below(2000), below(3) ? CAP_LOAD | CAP_GRANT : below(32)));
		break;
	case 4:
		remember(t, CAP_MEMORY, HC(t, cap_seal, any(t, CAP_MEMORY), any(t, CAP_TYPE), below(2)));
		break;
	case 5:
		HC(t, cap_revoke, any(t, 0));
		break;
	case 6:
	case 7:
		HC(t, cap_close, any(t, 0));
		break;
	case 8:
		HC(t, cap_info, any(t, 0), scratch(t));
		break;
	case 9:
		HC(t, cap_read, any(t, CAP_MEMORY), scratch(t), below(5000), below(200));
		break;
	default:
		HC(t, cap_write, any(t, CAP_MEMORY), scratch(t), below(5000), below(200));
	}
}

static void events(struct thread *t)
{
	switch (below(5)) {
	case 0:
		HC(t, cap_wait, any(t, 0), below(8), below(3) ? below(200000) : 0, below(3));
		break;
	case 1:
		HC(t, cap_notify, any(t, CAP_CALL));
		break;
	case 2:
		HC(t, cap_events, scratch(t), below(2));
		break;
	case 3:
		HC(t, cap_map, any(t, CAP_MEMORY), scratch(t) + SCRATCH / 2, CVM_PAGE_SIZE, below(2) ? PROT_READ : PROT_READ | PROT_WRITE, 0);
		break;
	default:
		HC(t, stream_map, any(t, CAP_STREAM), memory_of(t->cvm) + MEMORY_SIZE + t->id * 2 * CAP_STREAM_RING);
	}
}

static void stream(struct thread *t)
{
	switch (below(9)) {
	case 0:
		remember(t, CAP_STREAM, HC(t, stream_connect, any(t, CAP_CONNECT), below(100)));
		break;
	case 1:
		remember(t, CAP_STREAM, HC(t, stream_accept, any(t, CAP_LISTENER)));
		break;
	case 2:
	case 3:
	case 4:
		HC(t, stream_send, any(t, CAP_STREAM), scratch(t), below(SCRATCH / 2), below(4) ? 0 : any(t, 0));
		break;
	case 5:
	case 6:
		HC(t, stream_recv, any(t, CAP_STREAM), below(8) ? scratch(t) : 0, below(SCRATCH / 2), !below(8));
		break;
	case 7:
		remember(t, CAP_MEMORY, HC(t, stream_cap, any(t, CAP_STREAM)));
		break;
	default:
		if (below(4))
			HC(t, stream_window, any(t, CAP_STREAM), scratch(t));
		else
			HC(t, stream_shutdown, any(t, CAP_STREAM), below(3));
	}
}

static void call(struct thread *t)
{
	struct call_message m = { .caps = (uint32_t)below(3), .cap = { (uint32_t)any(t, CAP_MEMORY), (uint32_t)any(t, 0) } };
	uint32_t caps[CAP_PASS_MAX] = { (uint32_t)any(t, 0) };

	switch (below(4)) {
	case 0:
		hostcall(t, HC_call_invoke | any(t, CAP_CALL) << 32, 1, 2, 3, 4, 5);
		break;
	case 1:
	case 2:
		m.deadline_ns = below(2) ? clock_ns(1) + below(4000000) : 0;
		HC(t, call_invoke_msg, any(t, CAP_CALL), put(t, &m, sizeof m));
		break;
	default:
		HC(t, call_caps, put(t, caps, sizeof caps), below(2));
	}
}

static void memory(struct thread *t)
{
	uint64_t at = scratch(t) + SCRATCH / 2, size = CVM_PAGE_SIZE * (1 + below(4));
	long handle;

	switch (below(7)) {
	case 0:
		HC(t, mem_commit, at, size, PROT_READ | PROT_WRITE, below(2) ? HC_MEM_SHARED : 0);
		break;
	case 1:
		HC(t, mem_release, at, size);
		break;
	case 2:
		HC(t, mem_protect, at, size, below(2) ? PROT_READ : PROT_READ | PROT_WRITE);
		break;
	case 3:
		HC(t, mem_move, at, CVM_PAGE_SIZE, at + 2 * CVM_PAGE_SIZE, CVM_PAGE_SIZE);
		break;
	case 4:
		HC(t, cap_doorbell);
		break;
	case 5:
		handle = handle_add(t->cvm, memfd_create("m", 0), HANDLE_MEMOBJ, LAUNCH_RIGHT_READ);
		HC(t, mem_map_file, at, CVM_PAGE_SIZE, PROT_READ, 0, handle > 0 && below(2) ? (uint64_t)handle : below(20), 0);
		break;
	default:
		handle_close(t->cvm, below(20));
		leave_monitor(t);
	}
}

static void threads(struct thread *t)
{
	struct hc_thread start = { .libos_thread = below(1000) };
	uint64_t what = below(30);

	if (what < 20)
		HC(t, thread_create, put(t, &start, sizeof start));
	else if (what < 26)
		HC(t, thread_kick, 1 + below(24));
	else if (what < 28)
		HC(t, thread_cputime, below(2), scratch(t));
	else if (what < 29 && !t->first)
		HC(t, thread_exit);
	else if (!below(8))
		HC(t, cvm_exit, 0, below(2));
	else
		HC(t, cvm_info, scratch(t));
}

_Noreturn void drive(struct thread *t)
{
	t_random = t_random ? t_random : g_seed * 0x9e3779b97f4a7c15u + t->id * 977 + __atomic_add_fetch(&g_all, 1, __ATOMIC_RELAXED);
	if (t->first && !t->depth)
		HC(t, mem_commit, memory_of(t->cvm), MEMORY_SIZE, PROT_READ | PROT_WRITE);
	for (;;) {
		uint64_t what = below(64);
		if (what < 24)
			capability(t);
		else if (what < 32)
			events(t);
		else if (what < 44)
			stream(t);
		else if (what < 52)
			call(t);
		else if (what < 57)
			memory(t);
		else if (what < 60)
			threads(t);
		else if (t->depth || !t->first) /* answers, or lends itself */
			hostcall(t, HC_call_serve | any(t, CAP_EXPORT) << 32, 6, 7, 8, 9, 10);
	}
}

/* ---- the supervisor ---- */

static void describe(void)
{
	static const uint8_t kinds[] = { CAP_MEMORY, CAP_CALL, CAP_CONNECT };
	struct launch *l = &g_arena->launch;

	l->cvms = CVMS;
	l->images = 1;
	l->image[0].data = memfd_create("data", 0);
	l->files = 1;
	l->file[0] = (struct launch_file){ .name = "f0", .size = 5000, .fd = memfd_create("f0", 0) };
	if (ftruncate(l->file[0].fd, 8192))
		exit(2);
	for (uint32_t i = 0; i < CVMS; i++) {
		struct launch_cvm *c = &l->cvm[i];
		c->memory_max = 64 << 20;
		c->threads_max = 7;
		c->handles_max = 20;
		c->caps_max = 120;
		for (uint32_t n = 0; n < sizeof kinds; n++)
			c->grant[c->grants++] = (struct launch_grant){ .kind = kinds[n], .roles = LAUNCH_GRANT_USE | LAUNCH_GRANT_PROVIDE,
								       .perms = CAP_ALL, .name = "*" };
	}
}

/* As main.c: reaps what has lost its last thread, ends one now and then. */
static uint32_t supervise_once(void)
{
	uint32_t alive = 0;

	for (uint32_t i = 0; i < CVMS; i++) {
		struct cvm *c = &g_arena->cvm[i];
		bool running = c->state == CVM_RUNNING;
		lock_take(&g_arena->thread_lock);
		bool gone = running && c->threads == 0;
		lock_give(&g_arena->thread_lock);
		if (gone)
			cvm_destroy(c);
		else if (running && (g_stop || !below(400)))
			cvm_end(c, 9, true);
		else if (running && !below(20))
			cvm_stats_send(c);
		else if (!running && !g_stop && cvm_create(i))
			cvm_destroy(c);
		alive += c->state == CVM_RUNNING;
	}
	call_deadlines();
	return alive;
}

int main(int argc, char **argv)
{
	if (argc < 3 || gates_start())
		return 2;
	uint64_t end = clock_ns(1) + strtoull(argv[1], NULL, 0) * 1000000000;
	g_seed = strtoull(argv[2], NULL, 0);
	t_random = g_seed;
	g_off = argc > 3 ? argv[3] : NULL;
	describe();
	if (caps_init())
		return 2;
	while (supervise_once() || !g_stop) {
		if (!somebody_lost_all())
			usleep(1000);
		g_stop = clock_ns(1) > end;
		if (clock_ns(1) > end + 60000000000) {
			printf("some thread does not end\n");
			return 1;
		}
	}
	printf("%lu hostcalls", g_all);
#define X(name, nargs) if (g_good[HC_##name]) printf(" " #name ":%lu", g_good[HC_##name]);
	HOSTCALL_TABLE(X)
#undef X
	printf("\n");
	return 0;
}
