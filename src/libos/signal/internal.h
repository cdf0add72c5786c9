/* What the files of signal/ share with one another and with thread/; not for others. */
#ifndef LIBOS_SIGNAL_INTERNAL_H
#define LIBOS_SIGNAL_INTERNAL_H

#include "signal/signal.h"
#include "thread/thread.h"

#include <linux/signal.h> /* SS_* */

#define SIGNAL_STOP_SET (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))
#define SIGNAL_IGNORE_SET (SIGBIT(SIGCHLD) | SIGBIT(SIGCONT) | SIGBIT(SIGURG) | SIGBIT(SIGWINCH))
#define SIGNAL_CORE_SET                                                                                              \
	(SIGBIT(SIGQUIT) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGABRT) | SIGBIT(SIGBUS) | SIGBIT(SIGFPE) |     \
	 SIGBIT(SIGSEGV) | SIGBIT(SIGXCPU) | SIGBIT(SIGXFSZ) | SIGBIT(SIGSYS))
#define SIGNAL_SYNCHRONOUS_SET                                                                                       \
	(SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGFPE) | SIGBIT(SIGSYS))
#define SIGNAL_UNBLOCKABLE (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))

/* Upcall code: fetch outside signals from the monitor; they are queued later, in the work loop. Takes no lock. */
void signal_note_outside(struct thread *t);
void signal_send_noted(void); /* queues them */

void signal_process_init(struct process *p);
void signal_process_free(struct process *p);
void signal_release_stopped(struct process *p); /* it ends */
void signal_reset_handlers(struct process *p);	/* what is not ignored gets its default action */
void signal_exec(struct thread *t);		/* handlers and the alternate stack go, all else stays */
void signal_thread_init(struct thread *t, sigmask_t blocked);
/* Drops what is queued for t, which takes no more; its process's signals are for others. p->lock held: before it goes, and again when it
 * is no longer one of p's threads, for SIGKILL, SIGSTOP and what was sent to it alone meanwhile. */
void signal_thread_exit(struct thread *t);
void signal_set_blocked(struct thread *t, sigmask_t blocked);
/* Takes the next signal of `set`, synchronous ones first; the signal lock held. 0 if none. */
int signal_take(struct thread *t, sigmask_t set, siginfo_t *info);
/* The action was set: drops pending instances if the signal is now ignored; process and signal lock held. */
void signal_action_changed(struct process *p, int sig);
/* To the thread with that number (sig 0 only looks): 0, -ESRCH, -EAGAIN. */
int signal_send_tid(struct process *p, int32_t tid, int sig, const siginfo_t *info);
const char *signal_name(int sig); /* "SIGSEGV" */

/* signal/frame.c: 0, or -EFAULT when the program's stack cannot take the frame. */
nodiscard int signal_frame_push(struct thread *t, struct regs *r, const siginfo_t *info,
				const struct signal_action *action);
long signal_frame_pop(struct thread *t, struct regs *r); /* rt_sigreturn */
void signal_frame_init(void);				 /* after g_start is set */

bool signal_on_altstack(const struct thread *t, uint64_t rsp);

/* signal/symbols.c: " (name+0x12)" for an address in the image of `file`, or "". */
#define SYMBOL_TEXT_SIZE 128
void symbol_text(uint64_t addr, const char *file, char *out, size_t size);

void crash_report(struct thread *t, const struct regs *r, const siginfo_t *info);

#endif
