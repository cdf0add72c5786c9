/*
 * Threads of a cVM. A thread is 1:1 a host thread made by the monitor; `current()` reads its pointer from
 * the vCPU page. Offsets used by entry.S are asserted below.
 */
#ifndef LIBOS_THREAD_H
#define LIBOS_THREAD_H

#include "abi/hostcall.h"
#include "abi/vcpu.h"
#include "core/list.h"
#include "core/lock.h"
#include "core/types.h"
#include "process/process.h"
#include "signal/signal.h"
#include "thread/asm_offsets.h"

/* Program registers at a system call or interruption, at the top of the kernel stack. The last five words are what
 * iretq pops. System call arguments: rdi rsi rdx r10 r8 r9, number in orig_rax. */
struct regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t orig_rax; /* system call number, or -1 if the program was interrupted elsewhere */
	uint64_t rip, cs, rflags, rsp, ss;
};

/* thread->work bits: anything set makes blocking hostcalls return -EINTR and the return to the program slow. */
#define WORK_SIGNAL 1u /* maybe a deliverable signal */
#define WORK_EXIT 2u   /* the thread has to end (exit_group, fatal signal, exec by another) */
#define WORK_TURN 8u   /* others wait for its turn (process/turn.h); or it is only to look again, for turn_interrupted */
#define WORK_RETURN 4u /* the whole context changed: leave through iretq (set last thing in a system call) */

#define SCHED_CPUS_MAX 1024u

/* How a thread asked to be scheduled (sys/sys_sched.c): recorded, and inherited. */
struct thread_sched {
	uint8_t policy;	    /* SCHED_* */
	bool reset_on_fork; /* not inherited */
	uint16_t ioprio;
	uint64_t cpus[SCHED_CPUS_MAX / 64]; /* none: all of the host's */
};

struct thread {
	uint64_t kernel_stack;	 /* top of the kernel stack (entry.S) */
	uint64_t user_rsp;	 /* scratch of the system call entry (entry.S) */
	uint32_t work;		 /* WORK_*, atomic (entry.S) */
	uint32_t wake_word;	 /* thread_sleep: 1 woken, 2 asleep; futex */
	uint64_t fast_syscalls;	 /* entered through rewritten sites (entry.S) */
	struct regs *regs;	 /* current entry's registers on the kernel stack (entry.S) */
	bool restore_mask;	 /* signals.saved_mask comes back at the end of this system call (entry.S) */
	bool alone;		 /* the process has no other thread; atomic, set under process->lock */
	uint8_t asleep;		 /* 'S' in a hostcall that may wait (entry.S), 'D' in vfork, else 0; atomic */
	struct file **fds;	 /* process->files->first: all of a system call's way to its file is in one cache line */
	uint64_t stack_room, stack_room_size; /* where the first stack may have no memory yet (mm/stack.c, entry.S) */
	uint64_t slow_syscalls;	 /* entered through upcalls */

	struct process *process; /* owner; never changes; a reference */
	struct family *turn;	 /* it has the turn in this family (process/turn.h), or NULL */
	struct list link;	 /* process->threads; process->lock */
	int32_t tid;		 /* what the program sees; the first thread's is the pid, and who calls execve gets that */
	uint32_t vcpu;		 /* for hostcall thread_kick */
	int32_t wake_eventfd;	 /* host handle written to wake this thread from hostcall poll, -1 if none yet */
	int32_t timer;		 /* host handle, -1 if none yet: thread_timer */
	uint32_t polling;	 /* 1 while it waits in hostcall poll: wake through wake_eventfd. atomic */
	uint32_t *clear_child_tid; /* program address or NULL */
	int32_t *set_child_tid;	   /* clone's CLONE_CHILD_SETTID: written by the new thread, whose memory it may be */
	void *robust_list;	 /* program address of struct robust_list_head, or NULL */
	size_t robust_list_size;
	char comm[16];

	struct thread_sched sched;     /* process->lock */
	uint64_t cpu_seen;	       /* processor time so far, as RLIMIT_CPU counts it; process->lock */
	struct thread_signals signals; /* signal/signal.h */
	struct upcall_frame *upcall;   /* 16-aligned, part of this thread's pages */
	void *pages;		       /* kernel stack and upcall stack */
	uint32_t exited;	       /* futex word: cleared by the monitor when the stack is free */

	void (*start)(void *arg); /* a thread of the libOS itself: what it runs, else NULL */
	void *start_arg;
	uint32_t mxcsr, fpu_control; /* inherited from the creator */
	uint8_t no_linger;	     /* so many waits more sleep at once (turn_linger, loop_linger) */
	bool restarting;	     /* this dispatch restarts an interrupted call with a timeout ... */
	int64_t restart_deadline;    /* ... that ends then (CLOCK_MONOTONIC) */
	uint64_t fault_address, fault_error; /* of the last fault, as ucontext shows them */
	uint32_t fault_trapno;
	uint64_t turn_rip;	     /* mm/write_exec.c: instruction of the last fault there, */
	uint32_t turn_count;	     /* how often it wanted both kinds of access in turns, */
	bool turn_fetch;	     /* and which one last */
	uint32_t wx_cleared;	     /* struct mm's, as this thread saw it last */
	struct list trace_link;	     /* sys/trace.c: */
	const struct regs *trace_call; /* the system call it is in, or NULL */
	bool trace_announced;	     /* "unfinished" was printed */
	void *xsave_area;	     /* 64-aligned, g_xsave_size bytes: sigreturn's copy */
	uint64_t program_area;	     /* isolated: registers on the program's side (isolated.S), */
	uint64_t entered;	     /* and what the program's hostcall thread_switch returns to */
#ifdef CVM_LOCK_ORDER
	struct lock_held held[LOCKS_HELD_MAX]; /* core/lock_order.c: in the order in which they were taken */
	uint32_t held_count;
#endif
};

static inline struct thread *current(void)
{
	struct thread *t;
	__asm__("mov %%gs:%c1, %0" : "=r"(t) : "i"(VCPU_LIBOS_THREAD));
	return t;
}

static inline bool work_pending(void)
{
	return __atomic_load_n(&current()->work, __ATOMIC_RELAXED) != 0;
}

/* Set bits of t->work and make sure that it notices: kicks it if it is another thread. */
void thread_notify(struct thread *t, uint32_t work);
/* End thread_sleep()/hostcall poll of `t` (spurious wake-ups are harmless). */
void thread_wake(struct thread *t);
/* A handle for hostcall poll, which counts its own time in milliseconds: readable in `ns` > 0. The calling thread's only one; or -1. */
int thread_timer(int64_t ns);

/* Is addr where t's first stack may have no memory yet? Then mm_stack_reach before it is used. entry.S asks the same. */
static inline bool in_stack_room(const struct thread *t, uint64_t addr)
{
	return unlikely(addr - t->stack_room < t->stack_room_size);
}

/* Create a thread of `p` that starts in the program with `regs` (rax = 0 as clone's child sees it). Returns the
 * thread or NULL with *error. */
struct thread *thread_create(struct process *p, const struct regs *regs, uint64_t fs_base, int *error);
_Noreturn void thread_exit(int status);	       /* exit(2) of the calling thread */

/*
 * Start-up, in this order. The host thread that enters libos_entry has no place for upcalls yet: relocation, kheap_init,
 * thread_init, process_create, thread_become_first(p, main, arg), which gives it one. `main` runs as the first thread
 * (tid 1) of the process, on its kernel stack: it makes the mm, the file system and the descriptors, loads the program
 * and calls thread_enter_program.
 */
void thread_init(const struct cvm_start *start); /* size of vector state */
nodiscard int thread_become_first(struct process *p, void (*main)(void *arg), void *arg); /* returns only on failure */
_Noreturn void thread_enter_program(uint64_t rip, uint64_t rsp);
/* A helper thread that never enters the program and that the program never sees (timers). */
nodiscard struct thread *thread_start_hidden(struct process *p, void (*main)(void *arg), void *arg, int *error);
static inline bool thread_is_hidden(const struct thread *t)
{
	return t->tid == 0;
}
/* The thread with that tid; p->lock held. NULL if none. */
struct thread *thread_find(struct process *p, int32_t tid);
/* System calls of all threads so far through rewritten sites, and through upcalls. */
void thread_syscall_counts(uint64_t *fast, uint64_t *slow);
extern const struct cvm_start *g_start; /* as the monitor gave it */

/* Clocks by the vDSO (thread/clock.c): nanoseconds; clock as in clock_gettime(2). */
int64_t clock_now(int clock);

/* Like ERESTARTNOHAND, for calls with a relative timeout: when called again, with t->restarting, they end when they would have. */
#define ERESTART_RESTARTBLOCK ERESTART_LAST

/* When a wait of `timeout` ns (CLOCK_MONOTONIC) ends that the calling thread begins, or begins again. */
static inline int64_t wait_end(const struct thread *t, int64_t timeout)
{
	return t->restarting ? t->restart_deadline : clock_now(1 /* CLOCK_MONOTONIC */) + timeout;
}

/* What a wait returns that was interrupted and may begin again. */
static inline long wait_again(struct thread *t, int64_t end)
{
	t->restart_deadline = end;
	return -ERESTART_RESTARTBLOCK;
}

_Static_assert(offsetof(struct thread, kernel_stack) == THREAD_KERNEL_STACK, "entry.S");
_Static_assert(offsetof(struct thread, user_rsp) == THREAD_USER_RSP, "entry.S");
_Static_assert(offsetof(struct thread, work) == THREAD_WORK, "entry.S");
_Static_assert(offsetof(struct thread, fast_syscalls) == THREAD_FAST_SYSCALLS, "entry.S");
_Static_assert(offsetof(struct thread, regs) == THREAD_REGS, "entry.S");
_Static_assert(offsetof(struct thread, restore_mask) == THREAD_RESTORE_MASK, "entry.S");
_Static_assert(offsetof(struct thread, asleep) == THREAD_ASLEEP, "entry.S");
_Static_assert(offsetof(struct thread, stack_room) == THREAD_STACK_ROOM, "entry.S");
_Static_assert(offsetof(struct thread, stack_room_size) == THREAD_STACK_ROOM_SIZE, "entry.S");
_Static_assert(offsetof(struct thread, wake_word) == THREAD_WAKE_WORD, "entry.S");
_Static_assert(offsetof(struct regs, r10) == REGS_R10, "entry.S");
_Static_assert(offsetof(struct regs, rax) == REGS_RAX, "entry.S");
_Static_assert(offsetof(struct regs, rdi) == REGS_RDI, "entry.S");
_Static_assert(offsetof(struct regs, rip) == REGS_RIP, "entry.S");
_Static_assert(offsetof(struct regs, rsp) == REGS_RSP, "entry.S");
_Static_assert(sizeof(struct regs) == REGS_SIZE, "entry.S");

#endif
