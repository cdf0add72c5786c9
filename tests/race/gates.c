/*
 * In place of gate.S, trap.c, arena.c, domain_pku.c, seccomp.c, code.c, channel.c and src/host: see race.h. A kick is a flag that the
 * thread finds when it leaves the monitor or waits; a thread's end is a longjmp to where it began.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/trap.h"
#include "race.h"

void __tsan_read_range(void *addr, long size);
void __tsan_write_range(void *addr, long size);

#define WINDOW (1ull << 20)	/* of a CP_File: TSan's shadow covers a terabyte */
#define TID_FIRST 100000u /* numbers of host threads: this and the block's */

struct host_thread {
	struct thread *t;
	jmp_buf end, gate;
	uint32_t *tid; /* cleared at the end */
};

struct arena *g_arena;
const void *g_launch_bytes;
char gate_enter[1], xrstor_gate[1];
static uint64_t g_blocks, g_vcpus, g_slots, g_objects;
static uint32_t g_kicked[THREADS_MAX];
static _Thread_local struct host_thread *g_self;

struct thread *thread_block(uint32_t id)
{
	return (struct thread *)(g_blocks + (uint64_t)id * THREAD_BLOCK_SIZE);
}

struct vcpu_page *vcpu_page(uint32_t id)
{
	return (struct vcpu_page *)(g_vcpus + (uint64_t)id * VCPU_PAGE_SIZE);
}

uint64_t object_address(uint32_t object)
{
	return g_objects + object * WINDOW;
}

uint64_t memory_of(const struct cvm *c)
{
	return c->base + SLOT_LIBOS_HEAP;
}

struct cvm *arena_cvm(uint32_t index)
{
	uint64_t bitmaps = (uint64_t)g_arena + ALIGN_UP(sizeof(struct arena), CVM_PAGE_SIZE) + 4ull * index * BITMAP_SIZE;
	struct cvm *c = &g_arena->cvm[index];

	c->index = index;
	c->base = g_slots + index * SLOT_SIZE;
	c->mapped = (uint64_t *)bitmaps;
	c->counted = (uint64_t *)(bitmaps + BITMAP_SIZE);
	c->exec = (uint64_t *)(bitmaps + 2 * BITMAP_SIZE);
	c->shared = (uint64_t *)(bitmaps + 3 * BITMAP_SIZE);
	return c;
}

static uint64_t reserve(uint64_t size, uint64_t align, int prot, int flags)
{
	void *at = mmap(NULL, size + align, prot, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == (void *)-1 ? 0 : ALIGN_UP((uint64_t)at, align);
}

static struct host_thread *host_thread_new(struct thread *t)
{
	struct host_thread *h = calloc(1, sizeof *h);

	if (!h)
		abort();
	h->t = t;
	return h;
}

static void become_host_thread(struct host_thread *h)
{
	g_self = h;
	syscall(__NR_arch_prctl, ARCH_SET_GS, vcpu_page(h->t->id));
}

int gates_start(void)
{
	uint64_t tables = ALIGN_UP(sizeof(struct arena), CVM_PAGE_SIZE), bitmaps = 4ull * CVMS * BITMAP_SIZE;

	g_blocks = reserve((uint64_t)THREADS_MAX * THREAD_BLOCK_SIZE, THREAD_BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	g_vcpus = reserve((uint64_t)THREADS_MAX * VCPU_PAGE_SIZE, CVM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	g_arena = (struct arena *)reserve(tables + bitmaps, CVM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	g_slots = reserve(CVMS * SLOT_SIZE, SLOT_SIZE, PROT_NONE, MAP_PRIVATE);
	g_objects = reserve(OBJECTS_MAX * WINDOW, CVM_PAGE_SIZE, PROT_NONE, MAP_PRIVATE);
	if (!g_blocks || !g_vcpus || !g_arena || !g_slots || !g_objects)
		return -ENOMEM;
	g_arena->object = (struct object *)reserve((OBJECTS_MAX + STREAMS_MAX) * sizeof *g_arena->object, 64, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	g_arena->cap = calloc(CVMS * CAPS_MAX, sizeof *g_arena->cap);
	struct thread *t = thread_block(0);
	t->state = THREAD_IN_MONITOR;
	t->use = THREAD_USED;
	t->vcpu = vcpu_page(0);
	t->as = t;
	t->vcpu->monitor_thread = (uint64_t)t;
	g_arena->blocks_used = 1;
	become_host_thread(host_thread_new(t));
	g_arena->pid = getpid();
	g_arena->wake_fd = (int32_t)eventfd(0, EFD_NONBLOCK);
	return g_arena->object && g_arena->cap && g_arena->wake_fd >= 0 ? 0 : -ENOMEM;
}

bool somebody_lost_all(void)
{
	uint64_t count;

	return read(g_arena->wake_fd, &count, sizeof count) == sizeof count;
}

/* ---- host system calls ---- */

static void kick(uint32_t tid)
{
	__atomic_store_n(&g_kicked[tid - TID_FIRST], 1, __ATOMIC_RELAXED);
}

static void take_kick(struct thread *t)
{
	if (__atomic_exchange_n(&g_kicked[t->id], 0, __ATOMIC_RELAXED))
		t->kick = 1;
}

static long kernel(long result)
{
	return result == -1 ? -errno : result;
}

long host4(long nr, long a0, long a1, long a2, long a3)
{
	if (nr == __NR_exit)
		longjmp(g_self->end, 1);
	if (nr == __NR_tgkill)
		return kick((uint32_t)a1), 0;
	return kernel(syscall(nr, a0, a1, a2, a3, 0, 0));
}

long host5(long nr, long a0, long a1, long a2, long a3, long a4)
{
	return kernel(syscall(nr, a0, a1, a2, a3, a4, 0));
}

long host_mmap(uint64_t addr, uint64_t size, uint32_t prot, uint32_t flags, int fd, uint64_t offset)
{
	return kernel(syscall(__NR_mmap, addr, size, prot, flags, fd, offset));
}

/* Always a futex here. In slices: no signal ends it. */
long host_syscall_interruptible(long nr, long a0, long a1, long a2, long a3)
{
	struct thread *t = current_thread();
	const int64_t *timeout = (const int64_t *)a3;
	int64_t left = timeout ? timeout[0] * 1000000000 + timeout[1] : INT64_MAX;

	for (;; left -= 1000000) {
		int64_t slice[2] = { 0, left < 1000000 ? left : 1000000 };
		take_kick(t);
		if (t->kick)
			return -EINTR;
		long r = kernel(syscall(nr, a0, a1, a2, slice, 0, 0));
		if (r != -ETIMEDOUT || left <= 1000000)
			return r;
	}
}

/* Copies without TSan's knowledge, but of the bytes of rings. */
long user_copy(void *dst, const void *src, uint64_t size)
{
	uint64_t rings = STREAMS_MAX * 2ull * CAP_STREAM_RING;
	struct {
		void *at;
		uint64_t size;
	} here = { dst, size }, there = { (void *)src, size };

	if ((uint64_t)dst - g_arena->rings < rings)
		__tsan_write_range(dst, (long)size);
	if ((uint64_t)src - g_arena->rings < rings)
		__tsan_read_range((void *)src, (long)size);
	return !size || syscall(__NR_process_vm_readv, g_arena->pid, &here, 1, &there, 1, 0) == (long)size ? 0 : -EFAULT;
}

/* ---- gates and traps ---- */

void leave_monitor(struct thread *t)
{
	take_kick(t);
	if (!t->kick)
		return;
	t->kick = 0;
	if (__atomic_load_n(&t->cvm->dying, __ATOMIC_ACQUIRE))
		thread_leave(t);
	trap_deliver(t);
}

/* The upcall itself is nothing: goes on in the cVM. */
_Noreturn void trap_deliver(struct thread *t)
{
	if (__atomic_load_n(&t->cvm->dying, __ATOMIC_ACQUIRE))
		thread_leave(t);
	if (__atomic_load_n(&t->expired, __ATOMIC_RELAXED) && t->depth)
		call_expired(t);
	longjmp(g_self->gate, 1);
}

void trap_leave_kicked(struct thread *t, const struct upcall_frame *frame)
{
	(void)frame;
	leave_monitor(t);
}

_Noreturn void call_leave(void);
_Noreturn void call_leave(void)
{
	g_self->t->by_words = 0;
	longjmp(g_self->gate, 1);
}

void call_clean(void);
void call_clean(void)
{
}

_Noreturn void cvm_enter(struct thread *t, uint64_t entry, uint64_t stack, uint64_t argument)
{
	(void)entry, (void)stack, (void)argument;
	setjmp(g_self->gate);
	leave_monitor(t);
	drive(t);
}

static void *begin(void *argument)
{
	struct host_thread *h = argument;
	struct thread *t = h->t;

	become_host_thread(h);
	if (!setjmp(h->end))
		thread_main(t);
	__atomic_store_n(h->tid, 0, __ATOMIC_RELEASE); /* CLONE_CHILD_CLEARTID */
	free(h);
	return NULL;
}

long thread_clone(uint64_t flags, uint64_t stack, uint32_t *child_tid, struct thread *t, uint64_t cookie1)
{
	struct host_thread *h = host_thread_new(t);
	pthread_attr_t attributes;
	pthread_t thread;

	(void)flags, (void)stack, (void)cookie1;
	h->tid = child_tid;
	__atomic_store_n(&g_kicked[t->id], 0, __ATOMIC_RELAXED);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, 256 << 10);
	if (pthread_create(&thread, &attributes, begin, h)) {
		free(h);
		return -EAGAIN;
	}
	return TID_FIRST + t->id;
}

/* ---- the rest ---- */

int trap_altstack(struct thread *t)
{
	(void)t;
	return 0;
}

int filter_install(const struct cvm *c)
{
	(void)c;
	return 0;
}

int domain_create(struct cvm *c)
{
	c->domain = (int32_t)c->index + 1;
	return 0;
}

void domain_destroy(struct cvm *c)
{
	c->domain = 0;
}

void domain_vcpu_fill(const struct cvm *c, struct vcpu_page *v, bool program)
{
	v->pkru = program ? c->domain_program : c->domain_register;
}

int domain_assign(const struct cvm *c, uint64_t addr, uint64_t size, int prot)
{
	(void)c;
	return (int)host(__NR_mprotect, addr, size, prot);
}

int code_check_image(struct code_image *image)
{
	image->text_size = CVM_PAGE_SIZE;
	return 0;
}

int code_map(struct cvm *c, struct code_image *image, uint64_t addr)
{
	(void)c, (void)image, (void)addr;
	return 0;
}

long reopen(int fd, uint64_t flags)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return kernel(open(path, (int)flags | O_CLOEXEC));
}

void event_send(uint32_t type, uint32_t cvm, const void *payload, uint32_t size)
{
	(void)type, (void)cvm, (void)payload, (void)size;
}

/* Hostcalls that are not here. */
#define X(name, nargs)                                                                                                \
	__attribute__((weak)) long hc_##name(struct thread *t, const uint64_t *a)                                     \
	{                                                                                                             \
		return (void)t, (void)a, -ENOSYS;                                                                     \
	}
HOSTCALL_TABLE(X)
#undef X
