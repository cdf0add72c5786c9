/*
 * The way back to the program when thread->work is set: queue what came from outside, stop if told to, deliver signals
 * to their handlers or carry out their default action, and restart or end interrupted system calls as Linux does
 * (signal(7)). Called by entry.S only, with the program's registers at the top of the kernel stack.
 */
#include "core/hostcall.h"
#include "core/log.h"
#include "mm/mm.h"
#include "process/turn.h"
#include "signal/cpu_limit.h"
#include "signal/internal.h"
#include "thread/entry.h"

/* With a handler to run: restart by going back to the `syscall` instruction behind the frame, or fail with EINTR. The
 * two bytes in front of a system call's return address are a `syscall` in rewritten code too (translate.h). */
static void restart_behind_handler(struct regs *r, const struct signal_action *action)
{
	long ret = (long)r->rax;

	if ((long)r->orig_rax < 0 || !is_restart_code(ret))
		return;
	if (ret == -ERESTARTNOINTR || (ret == -ERESTARTSYS && (action->flags & SA_RESTART))) {
		r->rax = r->orig_rax;
		r->rip -= 2;
	} else {
		r->rax = (uint64_t)-EINTR;
	}
	r->orig_rax = (uint64_t)-1;
}

/* Without handler: the same call again, at once. */
static void restart_now(struct thread *t, struct regs *r)
{
	long ret = (long)r->rax;

	if ((long)r->orig_rax < 0 || !is_restart_code(ret))
		return;
	t->restarting = ret == -ERESTART_RESTARTBLOCK;
	r->rax = (uint64_t)syscall_dispatch(r);
	t->restarting = false;
}

static _Noreturn void die_of(struct thread *t, const struct regs *r, const siginfo_t *info)
{
	int sig = info->si_signo;

	if (SIGBIT(sig) & SIGNAL_CORE_SET)
		crash_report(t, r, info);
	process_exit((uint32_t)sig | 0x100);
}

/* A stop signal was taken; does it stop the process? One of the terminal does not where nobody could let it go on, and none
 * does if something let it go on meanwhile. The signal lock is held, and given up on the way. */
static bool is_to_stop(struct process *p, int sig)
{
	uint32_t continued = p->signals.continued;
	bool orphaned;

	if (sig == SIGSTOP)
		return true;
	mutex_unlock(&p->signals.lock);
	orphaned = process_group_is_orphaned(p);
	mutex_lock(&p->signals.lock);
	return !orphaned && p->signals.continued == continued;
}

/* `stopped` is set. */
static void stop_threads(struct process *p)
{
	mutex_lock(&p->lock);
	list_for_each(pos, &p->threads)
		thread_notify(list_entry(pos, struct thread, link), WORK_SIGNAL);
	mutex_unlock(&p->lock);
}

static void wait_while_stopped(struct process *p)
{
	if (likely(!__atomic_load_n(&p->signals.stopped, __ATOMIC_SEQ_CST) && !__atomic_load_n(&p->stop_signal, __ATOMIC_RELAXED)))
		return;
	while (__atomic_load_n(&p->signals.stopped, __ATOMIC_SEQ_CST) && !(current()->work & WORK_EXIT)) {
		/* Whoever told this thread of a signal from outside meanwhile: perhaps it lets us go on. */
		__atomic_fetch_and(&current()->work, ~(WORK_SIGNAL | WORK_RETURN | WORK_TURN), __ATOMIC_SEQ_CST);
		signal_send_noted();
		if (!__atomic_load_n(&p->signals.stopped, __ATOMIC_SEQ_CST))
			break;
		turn_release(current());
		(void)hostcall_blocking(HC_futex_wait, &p->signals.stopped, 1, p->program && p->program->family ? TURN_LOOK_NS : -1);
		signal_send_noted();
	}
	turn_resume(current());
	if (!p->exiting && !(p->signals.pending.set & SIGBIT(SIGKILL)))
		process_stopped(p, 0);
}

/* The next signal that has a handler; default actions happen on the way. 0 if there is none. */
static int next_handled(struct thread *t, struct regs *r, siginfo_t *info, struct signal_action *action)
{
	struct process *p = t->process;
	bool first;
	int sig;

	mutex_lock(&p->signals.lock);
	while ((sig = signal_take(t, ~t->signals.blocked, info))) {
		struct signal_action *a = &p->signals.action[sig - 1];

		if (a->handler == (uint64_t)SIG_IGN)
			continue;
		if (a->handler != (uint64_t)SIG_DFL) {
			*action = *a;
			if (a->flags & SA_RESETHAND)
				a->handler = (uint64_t)SIG_DFL;
			break;
		}
		if (SIGBIT(sig) & SIGNAL_IGNORE_SET)
			continue;
		if (!(SIGBIT(sig) & SIGNAL_STOP_SET)) {
			mutex_unlock(&p->signals.lock);
			die_of(t, r, info);
		}
		if (!is_to_stop(p, sig))
			continue;
		first = !__atomic_exchange_n(&p->signals.stopped, 1, __ATOMIC_SEQ_CST);
		mutex_unlock(&p->signals.lock);
		if (first) {
			stop_threads(p);
			process_stopped(p, sig);
		}
		wait_while_stopped(p);
		if (current()->work & WORK_EXIT)
			return 0;
		mutex_lock(&p->signals.lock);
	}
	mutex_unlock(&p->signals.lock);
	return sig;
}

/* A frame that does not fit: SIGSEGV, without handler if that was SIGSEGV's own. */
static void frame_failed(struct thread *t, int sig)
{
	siginfo_t info = { .si_signo = SIGSEGV, .si_code = SI_KERNEL };

	if (sig == SIGSEGV)
		t->process->signals.action[SIGSEGV - 1].handler = (uint64_t)SIG_DFL;
	signal_force(t, &info);
}

static bool deliver_one(struct thread *t, struct regs *r)
{
	struct thread_signals *s = &t->signals;
	struct signal_action action;
	siginfo_t info;
	int sig = next_handled(t, r, &info, &action);

	if (!sig)
		return false;
	r->rip = out_of_line_origin(r->rip);
	restart_behind_handler(r, &action);
	if (signal_frame_push(t, r, &info, &action)) {
		frame_failed(t, sig);
		return true;
	}
	t->restore_mask = false; /* the frame has it */
	signal_set_blocked(t, s->blocked | action.mask | (action.flags & SA_NODEFER ? 0 : SIGBIT(sig)));
	return true;
}

void thread_return_work(struct regs *r)
{
	struct thread *t = current();

	do {
		uint32_t work = __atomic_fetch_and(&t->work, ~(WORK_SIGNAL | WORK_RETURN | WORK_TURN), __ATOMIC_SEQ_CST);

		if (unlikely(work & WORK_TURN) && t->turn) /* not for signals: who gets many would never come to anything else */
			turn_yield(t);
		if (t->work & WORK_EXIT)
			thread_exit(0);
		signal_send_noted();
		if (unlikely(__atomic_load_n(&g_cpu_limits, __ATOMIC_RELAXED)))
			cpu_limit_check();
		wait_while_stopped(t->process);
		while (deliver_one(t, r))
			;
		if (t->restore_mask) {
			signal_restore_mask();
			while (deliver_one(t, r))
				;
		}
		restart_now(t, r);
	} while (__atomic_load_n(&t->work, __ATOMIC_SEQ_CST));
}
