/*
 * Threads: creation on host threads that the monitor makes, wake-ups, and exit. A thread's kernel stack, upcall stack
 * and struct thread are one allocation, reused by later threads once the monitor says that the host thread has left
 * (thread->exited). Called by sys/sys_thread.c, main.c and everybody who waits or wakes.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/file.h"
#include "process/turn.h"
#include "signal/cpu_limit.h"
#include "signal/internal.h"
#include "sys/trace.h"
#include "thread/clock.h"
#include "thread/create.h"
#include "thread/entry.h"
#include "thread/futex.h"
#include "thread/isolated.h"

#include <linux/time.h>

#define THREAD_PAGES (GUARD_PAGES + KERNEL_STACK_PAGES + UPCALL_STACK_PAGES + STATE_PAGES)
#define STACKS_KEPT 32u

struct thread_state {
	struct upcall_frame upcall __attribute__((aligned(64))); /* first: not all that is hot begins a page, and so shares a cache set */
	struct thread thread __attribute__((aligned(64)));
	uint8_t vector[] __attribute__((aligned(64)));
};
_Static_assert(sizeof(struct thread_state) + THREAD_VECTOR_MAX <= STATE_PAGES * PAGE_SIZE, "they fit their pages");

static struct mutex g_stacks_lock;
static void *g_stacks[STACKS_KEPT]; /* allocations free for reuse; g_stacks_lock */
static uint32_t g_stack_count;
static struct list g_leaving = LIST_INIT(g_leaving); /* threads whose stacks are still in use; g_stacks_lock */

static uint64_t g_fast_syscalls_ended, g_slow_syscalls_ended; /* of ended threads; atomic */

static struct thread_state *state_of(void *pages)
{
	return (void *)((char *)pages + (THREAD_PAGES - STATE_PAGES) * PAGE_SIZE);
}

static void stack_give(void *pages)
{
	process_put(state_of(pages)->thread.process);
	if (g_stack_count < STACKS_KEPT) {
		g_stacks[g_stack_count++] = pages;
		return;
	}
	if (hostcall(HC_mem_protect, pages, PAGE_SIZE, 3 /* R|W */))
		return;
	if (isolated())
		program_area_give(state_of(pages)->thread.program_area);
	kpages_free(pages, THREAD_PAGES);
}

/* Stacks whose host thread has left go back. */
static void stacks_collect(void)
{
	list_for_each_safe(pos, next, &g_leaving) {
		struct thread *t = list_entry(pos, struct thread, link);

		if (__atomic_load_n(&t->exited, __ATOMIC_ACQUIRE))
			continue;
		list_remove(&t->link);
		stack_give(t->pages);
	}
}

static void *stack_take(void)
{
	uint64_t area = 0;
	void *pages = NULL;

	mutex_lock(&g_stacks_lock);
	stacks_collect();
	if (g_stack_count)
		pages = g_stacks[--g_stack_count];
	mutex_unlock(&g_stacks_lock);
	if (pages)
		return pages;
	pages = kpages_alloc(THREAD_PAGES);
	if (!pages)
		return NULL;
	if (isolated()) {
		mutex_lock(&g_stacks_lock);
		area = state_of(pages)->thread.program_area = program_area_take();
		mutex_unlock(&g_stacks_lock);
	}
	if ((area || !isolated()) && !hostcall(HC_mem_protect, pages, PAGE_SIZE, 0))
		return pages;
	mutex_lock(&g_stacks_lock);
	if (area)
		program_area_give(area);
	mutex_unlock(&g_stacks_lock);
	kpages_free(pages, THREAD_PAGES);
	return NULL;
}

static struct thread *thread_alloc(struct process *p)
{
	void *pages = stack_take();
	struct thread_state *s;
	struct thread *t;
	uint64_t area;

	if (!pages)
		return NULL;
	s = state_of(pages);
	area = s->thread.program_area; /* belongs to the pages */
	memset(s, 0, sizeof(*s));
	t = &s->thread;
	t->program_area = area;
	t->entered = (uint64_t)libos_entered;
	t->pages = pages;
	t->upcall = &s->upcall;
	t->xsave_area = s->vector;
	/* struct regs ends here; 8 modulo 16, so that entry.S calls C with an aligned stack */
	t->kernel_stack = (uint64_t)pages + (GUARD_PAGES + KERNEL_STACK_PAGES) * PAGE_SIZE - 8;
	t->process = process_get(p);
	t->fds = p->files ? p->files->first : NULL;
	t->vcpu = UINT32_MAX;
	t->wake_eventfd = t->timer = -1;
	t->exited = 1;
	list_init(&t->link);
	signal_thread_init(t, 0);
	float_control_get(&t->mxcsr, &t->fpu_control);
	return t;
}

static void thread_free(struct thread *t)
{
	mutex_lock(&g_stacks_lock);
	stack_give(t->pages);
	mutex_unlock(&g_stacks_lock);
}

static struct hc_thread host_thread(struct thread *t, uint64_t fs_base)
{
	return (struct hc_thread){
		.entry = (uint64_t)thread_entry,
		.stack = t->kernel_stack - sizeof(struct regs),
		.libos_thread = (uint64_t)t,
		.upcall_entry = (uint64_t)upcall_entry,
		.upcall_stack = t->kernel_stack + 8 + UPCALL_STACK_PAGES * PAGE_SIZE,
		.upcall_frame = (uint64_t)t->upcall,
		.syscall_entry = (uint64_t)(isolated() ? program_syscall : syscall_entry),
		.fs_base = fs_base,
		.libos_stack = (uint64_t)&t->entered,
		.program_area = t->program_area,
	};
}

static int launch(struct thread *t, uint64_t fs_base)
{
	struct hc_thread hc = host_thread(t, fs_base);
	long vcpu = hostcall(HC_thread_create, &hc);

	return vcpu < 0 ? (int)vcpu : 0;
}

/* p->threads is as it shall be. p->lock held, or nobody else is there yet. */
static void count_threads(struct process *p, int change)
{
	p->thread_count += (uint32_t)change;
	list_for_each(pos, &p->threads)
		if (p->thread_count <= 2)
			__atomic_store_n(&list_entry(pos, struct thread, link)->alone, p->thread_count == 1, __ATOMIC_RELEASE);
}

/* Makes t known and lets it run, or frees it. `prepare` runs in between, p->lock held. */
static struct thread *thread_start(struct thread *t, uint64_t fs_base, void (*prepare)(struct thread *t, void *data),
				   void *data, int32_t *tid, int *error)
{
	struct process *p = t->process;

	mutex_lock(&p->lock);
	t->tid = p->thread_count ? number_take() : p->pid;
	*error = p->exiting || p->exec_thread || !t->tid ? -EAGAIN : 0;
	if (!*error) {
		*tid = t->tid;
		list_append(&p->threads, &t->link);
		count_threads(p, 1);
		if (prepare)
			prepare(t, data);
		/* What came for the process while it had no thread, or stops it and was told to those there are. */
		if (p->signals.pending.set || __atomic_load_n(&p->signals.stopped, __ATOMIC_SEQ_CST))
			t->work = WORK_SIGNAL;
		*error = launch(t, fs_base);
		if (*error) {
			list_remove(&t->link);
			count_threads(p, -1);
		}
	}
	mutex_unlock(&p->lock);
	if (!*error)
		return t;
	if (t->tid && t->tid != p->pid)
		number_give(t->tid);
	thread_free(t);
	return NULL;
}

struct thread *thread_create_prepared(struct process *p, const struct regs *regs, uint64_t fs_base,
				      void (*prepare)(struct thread *t, void *data), void *data, int32_t *tid, int *error)
{
	struct thread *t = thread_alloc(p);

	*error = -ENOMEM;
	if (!t)
		return NULL;
	t->regs = (struct regs *)(t->kernel_stack - sizeof(*regs));
	*t->regs = *regs;
	t->regs->orig_rax = (uint64_t)-1;
	signal_thread_init(t, current()->signals.blocked);
	memcpy(t->comm, current()->comm, sizeof(t->comm));
	t->sched = current()->sched; /* half of what another thread is just setting, at worst */
	t->sched.reset_on_fork = false;
	return thread_start(t, fs_base, prepare, data, tid, error);
}

struct thread *thread_create(struct process *p, const struct regs *regs, uint64_t fs_base, int *error)
{
	int32_t tid;

	return thread_create_prepared(p, regs, fs_base, NULL, NULL, &tid, error);
}

int thread_become_first(struct process *p, void (*main)(void *), void *arg)
{
	struct thread *t = thread_alloc(p);
	struct hc_thread hc;
	long ret;

	if (!t)
		return -ENOMEM;
	t->start = main;
	t->start_arg = arg;
	t->tid = p->pid;
	list_append(&p->threads, &t->link);
	count_threads(p, 1);
	hc = host_thread(t, 0);
	ret = hostcall(HC_thread_setup, &hc);
	if (ret < 0)
		return (int)ret;
	__asm__ volatile("mov %0, %%rsp\n\tjmp *%1" : : "r"(hc.stack), "r"(hc.entry), "D"(t) : "memory");
	__builtin_unreachable();
}

bool thread_start_first(struct process *p, void (*main)(void *), void *arg, int *error)
{
	struct thread *t = thread_alloc(p);
	int32_t tid;

	*error = -ENOMEM;
	if (!t)
		return false;
	t->start = main;
	t->start_arg = arg;
	return thread_start(t, 0, NULL, NULL, &tid, error) != NULL;
}

struct thread *thread_start_hidden(struct process *p, void (*main)(void *), void *arg, int *error)
{
	struct thread *t = thread_alloc(p);

	*error = -ENOMEM;
	if (!t)
		return NULL;
	t->start = main;
	t->start_arg = arg;
	t->signals.blocked = ~0ull;
	*error = launch(t, 0);
	if (!*error)
		return t;
	thread_free(t);
	return NULL;
}

/* entry.S, on the new thread: returns for a thread that starts in the program. */
void thread_first(struct thread *t)
{
	uint32_t id;

	__asm__("mov %%gs:%c1, %0" : "=r"(id) : "i"(VCPU_ID));
	__atomic_store_n(&t->vcpu, id, __ATOMIC_SEQ_CST); /* before work is looked at: thread_notify */
	float_control_set(&t->mxcsr, &t->fpu_control);
	if (t->start) {
		t->start(t->start_arg);
		thread_exit(0);
	}
	turn_resume(t);
	if (t->set_child_tid)
		(void)!put_user(t->tid, t->set_child_tid); /* Linux ignores a bad address, too */
}

void thread_enter_program(uint64_t rip, uint64_t rsp)
{
	struct thread *t = current();
	struct regs *r = (struct regs *)(t->kernel_stack - sizeof(*r));
	struct regs start = { .orig_rax = (uint64_t)-1, .rip = rip, .cs = USER_CS, .rflags = RFLAGS_IF | 2,
			      .rsp = rsp, .ss = USER_SS };
	static const uint32_t mxcsr = 0x1f80, control = 0x37f;

	float_control_set(&mxcsr, &control);
	/* Every thread's stack starts below the place of its struct regs, so no live frame lies there. */
	*r = start;
	t->regs = r;
	thread_leave_to(r);
}

void thread_notify(struct thread *t, uint32_t work)
{
	uint32_t old = __atomic_fetch_or(&t->work, work, __ATOMIC_SEQ_CST);
	uint32_t vcpu = __atomic_load_n(&t->vcpu, __ATOMIC_SEQ_CST);

	/* A bit that was set already has its kick under way; a thread without vCPU looks at `work` when it starts. */
	if ((old & work) == work || t == current() || vcpu == UINT32_MAX)
		return;
	hostcall(HC_thread_kick, vcpu);
}

void thread_wake(struct thread *t)
{
	uint32_t old = __atomic_exchange_n(&t->wake_word, 1, __ATOMIC_SEQ_CST);

	if (__atomic_load_n(&t->polling, __ATOMIC_SEQ_CST)) {
		uint64_t one = 1;
		hostcall(HC_file_write, t->wake_eventfd, &one, sizeof(one));
	} else if (old == 2) { /* asleep: core/waitq.c */
		hostcall(HC_futex_wake, &t->wake_word, 1);
	}
}

int thread_timer(int64_t ns)
{
	struct thread *t = current();
	struct itimerspec in = { .it_value = ns_to_timespec(ns) };

	if (t->timer < 0)
		t->timer = (int)hostcall(HC_timerfd_create, CLOCK_MONOTONIC, O_NONBLOCK);
	return t->timer >= 0 && !hostcall(HC_timerfd_settime, t->timer, 0, &in, NULL) ? t->timer : -1;
}

struct thread *thread_find(struct process *p, int32_t tid)
{
	list_for_each(pos, &p->threads) {
		struct thread *t = list_entry(pos, struct thread, link);

		if (t->tid == tid)
			return t;
	}
	return NULL;
}

void thread_tell_joiners(struct thread *t)
{
	uint32_t *word = t->clear_child_tid;

	robust_list_exit(t);
	if (word && put_user(0u, word) == 0)
		(void)!futex_wake_up(word, 1);
}

static void add_syscalls(struct process *p, void *data)
{
	uint64_t *sum = data;

	mutex_lock(&p->lock);
	list_for_each(pos, &p->threads) {
		struct thread *t = list_entry(pos, struct thread, link);

		sum[0] += t->fast_syscalls;
		sum[1] += t->slow_syscalls;
	}
	mutex_unlock(&p->lock);
}

void thread_syscall_counts(uint64_t *fast, uint64_t *slow)
{
	uint64_t sum[2] = { g_fast_syscalls_ended, g_slow_syscalls_ended };

	process_tree_lock();
	process_for_each(add_syscalls, sum);
	process_tree_unlock();
	*fast = sum[0];
	*slow = sum[1];
}

/* The process goes on without t, or with its last thread goes itself. */
static void leave_process(struct thread *t)
{
	struct process *p = t->process;
	uint64_t cpu_ns = 0;
	bool last;

	if (p != g_process || g_cpu_limits)
		(void)hostcall(HC_thread_cputime, 0, &cpu_ns);
	mutex_lock(&p->lock);
	signal_thread_exit(t);
	mutex_unlock(&p->lock);
	thread_tell_joiners(t);
	__atomic_fetch_add(&g_fast_syscalls_ended, t->fast_syscalls, __ATOMIC_RELAXED);
	__atomic_fetch_add(&g_slow_syscalls_ended, t->slow_syscalls, __ATOMIC_RELAXED);
	t->fast_syscalls = t->slow_syscalls = 0;
	mutex_lock(&p->lock);
	p->cpu_ns += cpu_ns;
	if (t->tid == p->pid)
		memcpy(p->comm, t->comm, sizeof(p->comm));
	last = p->thread_count == 1;
	if (!last) {
		list_remove(&t->link);
		count_threads(p, -1);
		signal_thread_exit(t);
		if (p->exec_thread)
			hostcall(HC_futex_wake, &p->thread_count, 1);
	}
	mutex_unlock(&p->lock);
	if (last) {
		process_end(p);
		mutex_lock(&p->lock);
		list_remove(&t->link);
		signal_thread_exit(t);
		mutex_unlock(&p->lock);
	} else {
		turn_release(t);
		if (t->tid != p->pid)
			number_give(t->tid);
	}
}

void thread_exit(int status)
{
	struct thread *t = current();
	struct process *p = t->process;

	if (!thread_is_hidden(t)) {
		mutex_lock(&p->lock);
		if (t->tid == p->pid && !p->exiting) /* else who ended the process has said how */
			p->exit_status = (uint32_t)status & 0xff;
		mutex_unlock(&p->lock);
		leave_process(t);
	}
	trace_thread_gone(t);
	handle_close(t->wake_eventfd);
	handle_close(t->timer);
	mutex_lock(&g_stacks_lock);
	list_append(&g_leaving, &t->link);
	mutex_unlock(&g_stacks_lock);
	hostcall(HC_thread_exit, &t->exited);
	__builtin_unreachable();
}
