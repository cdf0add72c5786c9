/*
 * Virtual signals: everything signal(7) promises, kept by the libOS. The host knows nothing of them but kicks.
 */
#ifndef LIBOS_SIGNAL_H
#define LIBOS_SIGNAL_H

#include "abi/boot.h"
#include "core/list.h"
#include "core/lock.h"
#include "core/types.h"
#include "core/waitq.h"
#include <asm/signal.h>
#include <asm/siginfo.h>

struct thread;
struct process;

typedef uint64_t sigmask_t; /* bit n-1 is signal n */
#define SIGBIT(n) (1ull << ((n)-1))
#define SIGNAL_COUNT 64
#define SIGNAL_QUEUE_MAX 1024 /* queued real-time signals per process (RLIMIT_SIGPENDING) */

struct queued_signal {
	struct list link;
	siginfo_t info;
};

struct signal_pending {
	sigmask_t set;
	struct list queue; /* struct queued_signal, in order of arrival */
};

/* As rt_sigaction(2) hands it over. */
struct signal_action {
	uint64_t handler; /* SIG_DFL, SIG_IGN or an address */
	uint64_t flags;
	uint64_t restorer;
	sigmask_t mask;
};

/* Faults in [begin, end) are no signals but go on at `exit` (abi/boot.h, BOOT_CAPABILITY_COPIES). */
struct copy_range {
	uint64_t begin, end, exit;
};

/* Part of struct process; `lock` guards all of it and every thread's pending set. */
struct process_signals {
	struct mutex lock;
	struct signal_action action[SIGNAL_COUNT];
	struct signal_pending pending;
	uint32_t queued;
	uint32_t stopped;    /* futex word: 1 while a stop signal holds the whole process */
	uint32_t continued;  /* how often something let it go on */
	struct waitq waitq;  /* signal_waitq() */
	struct copy_range copies[BOOT_CAPABILITY_COPIES_MAX];
	uint32_t copies_count;
};

/* Part of struct thread. */
struct thread_signals {
	struct signal_pending pending; /* process lock */
	sigmask_t blocked;	       /* written by the thread itself */
	sigmask_t saved_mask;	       /* sigsuspend, ppoll, pselect, epoll_pwait: with restore_mask, restored after delivery */
	uint64_t altstack_base, altstack_size;
	int32_t altstack_flags;
};

/* 0 or -ENOSPC */
nodiscard int signal_copies_add(struct process *p, uint64_t begin, uint64_t end, uint64_t exit);
/* Where a fault at rip goes on, or 0. */
uint64_t signal_copies_exit(struct process *p, uint64_t rip);

/* Queue a signal for a process (any thread that does not block it) or one thread; info may be NULL (SI_KERNEL).
 * 0, -EAGAIN (queue full, real-time signals only), -ESRCH. Ignored signals are dropped as Linux does. */
int signal_send_process(struct process *p, int sig, const siginfo_t *info);
int signal_send_thread(struct thread *t, int sig, const siginfo_t *info);
void signal_send_self(int sig); /* for what the calling thread does (SIGPIPE): from its own process, as Linux says it */
/* A synchronous fault of the calling thread: cannot be blocked or ignored. */
void signal_force(struct thread *t, const siginfo_t *info);
/* The calling thread's wait uses `mask` until the next return to the program (sigsuspend, ppoll ...). */
void signal_set_temporary_mask(sigmask_t mask);
void signal_restore_mask(void); /* if there was one in its place */
/* signalfd: take one pending signal of `set` off the calling thread's or process's queue. False if none. */
bool signal_dequeue(sigmask_t set, siginfo_t *info);
/* Woken whenever a signal is queued for the process: signalfd and sigtimedwait wait here. */
struct waitq *signal_waitq(struct process *p);

#endif
