/*
 * Host threads of cVMs: blocks, creation, kicks, leaving; and the end of a cVM as seen by its threads. A thread leaves
 * the monitor for good only in thread_leave, on its own monitor stack; its block is free again when the kernel has
 * cleared the tid word. thread_lock guards `use` of every block and the thread counts.
 */
#include <linux/mman.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/time.h>

#include "host/syscall.h"
#include "monitor/hostcalls.h"
#include "monitor/trap.h"

#define CLONE_FLAGS                                                                                                   \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID)
#define CPU_CLOCK_OF(tid) ((long)(int32_t)((~(uint32_t)(tid) << 3) | 6))

/* A block that nobody uses; its stacks get guards the first time. thread_lock held. */
static struct thread *block_take(void)
{
	uint32_t id = 1;

	while (id < THREADS_MAX && (thread_block(id)->use == THREAD_USED || __atomic_load_n(&thread_block(id)->tid, __ATOMIC_ACQUIRE)))
		id++;
	if (id == THREADS_MAX)
		return NULL;
	struct thread *t = thread_block(id);
	if (id >= g_arena->blocks_used) {
		if (host(__NR_mprotect, (uint64_t)t + THREAD_GUARD_LOW, CVM_PAGE_SIZE, PROT_NONE) ||
		    host(__NR_mprotect, (uint64_t)t + THREAD_GUARD_HIGH, CVM_PAGE_SIZE, PROT_NONE))
			return NULL;
		g_arena->blocks_used = id + 1;
	}
	memset(t, 0, offsetof(struct thread, where)); /* a caller's frame may still name it: see return_to_caller */
	__atomic_store_n(&t->where, (LOAD(t->where) / THREAD_WHERES + 1) * THREAD_WHERES + THREAD_HERE, __ATOMIC_SEQ_CST);
	t->id = id;
	t->use = THREAD_USED;
	t->stack = (uint64_t)t + THREAD_STACK_TOP;
	t->vcpu = vcpu_page(id);
	return t;
}

extern char gate_enter[], xrstor_gate[];

void vcpu_show(struct vcpu_page *v, const struct thread *context)
{
	v->syscall_entry = context->start.syscall_entry;
	v->libos_thread = context->start.libos_thread;
	v->program_area = context->start.program_area;
	v->id = context->id;
	domain_vcpu_fill(context->home, v, context->program);
}

void thread_set_program(struct thread *t, bool program)
{
	t->as->program = program;
	domain_vcpu_fill(t->cvm, t->vcpu, program);
}

/* The only way from an isolated libOS's program into it, at its one place; and the way back. */
long hc_thread_switch(struct thread *t, const uint64_t *a)
{
	uint64_t program_sp = t->user_sp;
	bool to_program = !t->as->program;

	if (!(t->cvm->config->flags & LAUNCH_CVM_ISOLATED))
		return -EPERM;
	thread_set_program(t, to_program);
	t->user_sp = to_program ? a[0] : t->as->start.libos_stack;
	return to_program ? 0 : (long)program_sp;
}

static void vcpu_fill(struct thread *t)
{
	struct vcpu_page *v = t->vcpu;

	v->self = (uint64_t)v;
	v->gate = (uint64_t)gate_enter;
	v->xrstor_gate = (uint64_t)xrstor_gate;
	v->monitor_thread = (uint64_t)t;
	vcpu_show(v, t);
}

/* thread_lock held. */
static void one_less(struct cvm *c)
{
	uint64_t one = 1;

	if (!__atomic_sub_fetch(&c->threads, 1, __ATOMIC_RELEASE))
		host(__NR_write, g_arena->wake_fd, &one, sizeof one);
}

long thread_create(struct cvm *c, const struct hc_thread *start, bool first)
{
	uint32_t max = insecure(LAUNCH_INSECURE_NO_LIMITS) ? THREADS_MAX : c->config->threads_max, one = 1;

	if (start->fs_base >> 47)
		return -EINVAL;
	LOCKED(&g_arena->thread_lock);
	struct thread *t = c->threads < max && (first || !LOAD(c->dying)) ? block_take() : NULL;
	if (!t)
		return -EAGAIN;
	t->cvm = t->home = c;
	t->as = t;
	t->state = THREAD_IN_MONITOR;
	t->start = *start;
	t->first = first;
	/* The filter is inherited from the creating host thread, which may be another cVM's (call.c). */
	memcpy(t->cookie, first ? c->cookie : current_thread()->cookie, sizeof t->cookie);
	vcpu_fill(t);
	uint32_t threads = __atomic_add_fetch(&c->threads, 1, __ATOMIC_RELAXED); /* before it runs: see handle_get */
	/* Not ~0: the kernel must find it non-zero before it knows the real one; nobody kicks tid 0 or 1. */
	t->tid = 1;
	long tid = thread_clone(CLONE_FLAGS, t->stack, &t->tid, t, current_thread()->cookie[1]);
	if (tid < 0) {
		t->tid = 0;
		t->use = THREAD_FREE;
		one_less(c);
		return tid;
	}
	__atomic_compare_exchange_n(&t->tid, &one, (uint32_t)tid, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	c->stats.threads_peak = MAX(c->stats.threads_peak, threads);
	return t->id;
}

_Noreturn void thread_main(struct thread *t)
{
	struct cvm *c = t->cvm;
	int r = trap_altstack(t);

	/* The first thread of a cVM comes from the supervisor, which has no filter; the others inherit it. */
	if (!r && t->first)
		r = filter_install(c);
	host(__NR_setpriority, 0, 0, c->config->nice); /* who made it may be another cVM's thread (call.c) */
	if (r || LOAD(c->dying)) {
		cvm_end(c, 125, false);
		thread_leave(t);
	}
	__asm__ volatile("wrfsbase %0" : : "r"(t->start.fs_base));
	cvm_enter(t, t->start.entry, t->start.stack, t->start.libos_thread);
}

uint64_t clock_ns(long clock)
{
	int64_t ts[2] = { 0, 0 };

	host(__NR_clock_gettime, clock, ts);
	return (uint64_t)(ts[0] * 1000000000ll + ts[1]);
}

static void add_usage(struct cvm_stats *stats, const struct thread *t, uint64_t cpu_ns)
{
	stats->cpu_ns += cpu_ns;
	stats->hostcalls += LOAD(t->hostcalls);
	stats->trapped_syscalls += LOAD(t->trapped);
	stats->faults += LOAD(t->faults);
}

/* Of a thread that leaves the kernel clears the tid word. */
bool thread_alone(const struct cvm *c)
{
	LOCKED(&g_arena->thread_lock);
	for (uint32_t i = 1; i < g_arena->blocks_used; i++)
		if (thread_block(i) != current_thread() && LOAD(thread_block(i)->cvm) == c && LOAD(thread_block(i)->tid))
			return false;
	return true;
}

_Noreturn void thread_leave(struct thread *t)
{
	struct cvm *c = t->home;

	if (t->depth)
		call_abort(t);
	uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	lock_take(&g_arena->thread_lock);
	if (c->threads == 1 && WHERE_IS(t) != THREAD_GONE) { /* the last one: a close that takes long holds up nobody else */
		lock_give(&g_arena->thread_lock);
		while (!thread_alone(c))
			host(__NR_sched_yield);
		handle_close_all(c);
		lock_take(&g_arena->thread_lock);
	}
	t->use = THREAD_LEAVING;
	if (WHERE_IS(t) != THREAD_GONE) { /* else cvm_end took it off the account, which may be another's now */
		add_usage(&c->stats, t, cpu);
		one_less(c);
	}
	lock_give(&g_arena->thread_lock);
	for (;;)
		host(__NR_exit, 0);
}

void thread_kick(struct thread *t)
{
	uint32_t tid = __atomic_load_n(&t->tid, __ATOMIC_ACQUIRE);

	if (tid > 1)
		host(__NR_tgkill, g_arena->pid, tid, KICK_SIGNAL);
}

void cvm_end(struct cvm *c, int status, bool signaled)
{
	LOCKED(&g_arena->thread_lock);
	if (!LOAD(c->dying)) {
		c->exit_status = status;
		__atomic_store_n(&c->exit_signaled, signaled, __ATOMIC_RELAXED); /* who finds its caller's cVM dying reads its callee's, too */
		__atomic_store_n(&c->dying, 1, __ATOMIC_SEQ_CST); /* before the look at who is where: see become */
	}
	for_each_thread(t) {
		uint64_t away = LOAD(t->where), then = away - THREAD_AWAY + THREAD_GONE;
		bool gone = t->home == c && away % THREAD_WHERES == THREAD_AWAY &&
			    __atomic_compare_exchange_n(&t->where, &away, then, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		if (gone) /* what it called goes on without a caller */
			one_less(c);
		if ((LOAD(t->cvm) == c || (t->home == c && !gone)) && t != current_thread())
			thread_kick(t);
	}
	supervisor_tick();
}

long hc_thread_create(struct thread *t, const uint64_t *a)
{
	struct hc_thread start;

	return user_in(t->cvm, &start, (struct gaddr){ a[0] }, sizeof start) ?: thread_create(t->cvm, &start, false);
}

long hc_thread_setup(struct thread *t, const uint64_t *a)
{
	struct hc_thread start;

	if (user_in(t->cvm, &start, (struct gaddr){ a[0] }, sizeof start))
		return -EFAULT;
	LOCKED(&g_arena->thread_lock);
	t->as->start = start;
	vcpu_show(t->vcpu, t->as);
	vcpu_show(t->as->vcpu, t->as);
	return 0;
}

long hc_thread_exit(struct thread *t, const uint64_t *a)
{
	uint32_t zero = 0;

	if (a[0] && !user_out(t->cvm, (struct gaddr){ a[0] }, &zero, sizeof zero))
		host(__NR_futex, a[0], FUTEX_WAKE, 1 << 30);
	thread_leave(t);
}

/* The thread that a cVM knows by this context: itself, and whoever executes in its place. */
void context_kick(struct thread *t)
{
	/* A thread that is elsewhere looks when it comes back: see kick_again. One kick more than needed is no harm. */
	__atomic_store_n(&t->missed, 1, __ATOMIC_SEQ_CST);
	struct thread *executor = __atomic_load_n(&t->executor, __ATOMIC_SEQ_CST);
	if (executor)
		thread_kick(executor);
	if (LOAD(t->as) == t)
		thread_kick(t);
}

long hc_thread_kick(struct thread *t, const uint64_t *a)
{
	LOCKED(&g_arena->thread_lock);
	struct thread *target = a[0] && a[0] < g_arena->blocks_used ? thread_block((uint32_t)a[0]) : NULL;
	if (!target || target->use != THREAD_USED || target->home != t->cvm)
		return -EINVAL;
	context_kick(target);
	return 0;
}

long hc_thread_upcall_done(struct thread *t, const uint64_t *a)
{
	t->as->upcall_active = false;
	if (t->as->kick_deferred) {
		t->as->kick_deferred = false;
		t->kick = 1;
	}
	return 0;
}

long hc_futex_wait(struct thread *t, const uint64_t *a)
{
	int64_t timeout = (int64_t)a[2], ts[2] = { timeout / 1000000000, timeout % 1000000000 };

	if (!futex_word(t->cvm, a[0]))
		return -EFAULT;
	return host_blocking(__NR_futex, a[0], FUTEX_WAIT, (uint32_t)a[1], timeout < 0 ? NULL : ts);
}

/* FUTEX_REQUEUE takes its second address in r8: five arguments. Nobody is moved from memory that other cVMs may have, too: the kernel
 * asks only whether it can be read, and who waits there would be lost to them. */
long hc_futex_requeue(struct thread *t, const uint64_t *a)
{
	if (!futex_word(t->cvm, a[0]) || !futex_word(t->cvm, a[2]))
		return -EFAULT;
	LOCKED(&t->cvm->mem_lock);
	if (!pages_change(t->cvm, t->cvm->counted, a[0] & -(uint64_t)CVM_PAGE_SIZE, CVM_PAGE_SIZE, PAGES_COUNT))
		return -EACCES;
	return host5(__NR_futex, (long)a[0], FUTEX_REQUEUE, (long)(uint32_t)a[1], (long)(uint32_t)a[3], (long)a[2]);
}

struct cvm_stats thread_stats(const struct cvm *c)
{
	struct cvm_stats now;

	for (uint32_t i = 0, used = 1; i < used; i++) { /* the lock for each: others want it, too */
		LOCKED(&g_arena->thread_lock);
		used = g_arena->blocks_used;
		for (size_t n = 0; !i && n < sizeof now / sizeof(uint64_t); n++) /* some change meanwhile */
			((uint64_t *)&now)[n] = LOAD(((const uint64_t *)&c->stats)[n]);
		struct thread *t = thread_block(i);
		uint32_t tid = __atomic_load_n(&t->tid, __ATOMIC_ACQUIRE);
		if (i && t->use == THREAD_USED && t->home == c && WHERE_IS(t) != THREAD_GONE && tid > 1)
			add_usage(&now, t, clock_ns(CPU_CLOCK_OF(tid)));
	}
	now.wall_ns = clock_ns(CLOCK_MONOTONIC) - c->start_ns;
	now.memory_now = LOAD(c->memory_now);
	return now;
}

long hc_thread_cputime(struct thread *t, const uint64_t *a)
{
	uint64_t ns = a[0] ? thread_stats(t->cvm).cpu_ns : clock_ns(CLOCK_THREAD_CPUTIME_ID);

	return user_out(t->cvm, (struct gaddr){ a[1] }, &ns, sizeof ns);
}
