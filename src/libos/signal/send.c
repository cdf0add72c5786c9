/*
 * Sending: queues of pending signals, the choice of the thread that gets a process signal, and what a signal does at
 * once (stop and continue cancel each other, ignored ones vanish). Lock order: process->lock, then signals.lock; both
 * are held while a thread is picked and notified, so that it cannot end meanwhile.
 */
#include "abi/exec.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "process/exec_service.h"
#include "signal/internal.h"
#include "signal/timer.h"
#include "thread/entry.h"
#include "tty/console.h"

static uint64_t g_outside; /* signals from outside the cVM that are not queued yet; atomic */

static void pending_init(struct signal_pending *q)
{
	q->set = 0;
	list_init(&q->queue);
}

void signal_process_init(struct process *p)
{
	pending_init(&p->signals.pending);
	waitq_init(&p->signals.waitq);
}

void signal_thread_init(struct thread *t, sigmask_t blocked)
{
	pending_init(&t->signals.pending);
	t->signals.blocked = blocked;
	t->signals.altstack_flags = SS_DISABLE;
}

static void pending_flush(struct process *p, struct signal_pending *q, sigmask_t set)
{
	q->set &= ~set;
	list_for_each_safe(pos, next, &q->queue) {
		struct queued_signal *s = list_entry(pos, struct queued_signal, link);

		if (!(SIGBIT(s->info.si_signo) & set))
			continue;
		list_remove(&s->link);
		p->signals.queued--;
		kfree(s);
	}
}

/* Both locks held. */
static void flush_everywhere(struct process *p, sigmask_t set)
{
	pending_flush(p, &p->signals.pending, set);
	list_for_each(pos, &p->threads)
		pending_flush(p, &list_entry(pos, struct thread, link)->signals.pending, set);
}

static bool handler_ignores(const struct process *p, int sig)
{
	uint64_t handler = p->signals.action[sig - 1].handler;

	return handler == (uint64_t)SIG_IGN || (handler == (uint64_t)SIG_DFL && (SIGBIT(sig) & SIGNAL_IGNORE_SET));
}

void signal_process_free(struct process *p)
{
	pending_flush(p, &p->signals.pending, ~0ull);
}

void signal_release_stopped(struct process *p)
{
	__atomic_store_n(&p->signals.stopped, 0, __ATOMIC_SEQ_CST);
	hostcall(HC_futex_wake, &p->signals.stopped, INT32_MAX);
}

void signal_reset_handlers(struct process *p)
{
	for (int i = 0; i < SIGNAL_COUNT; i++) {
		uint64_t handler = p->signals.action[i].handler == (uint64_t)SIG_IGN ? (uint64_t)SIG_IGN : (uint64_t)SIG_DFL;

		p->signals.action[i] = (struct signal_action){ .handler = handler };
	}
}

int signal_copies_add(struct process *p, uint64_t begin, uint64_t end, uint64_t exit)
{
	struct process_signals *s = &p->signals;
	bool room;

	mutex_lock(&s->lock);
	room = s->copies_count < BOOT_CAPABILITY_COPIES_MAX;
	if (room)
		s->copies[s->copies_count++] = (struct copy_range){ begin, end, exit };
	mutex_unlock(&s->lock);
	return room ? 0 : -ENOSPC;
}

uint64_t signal_copies_exit(struct process *p, uint64_t rip)
{
	struct process_signals *s = &p->signals;
	uint64_t exit = 0;

	mutex_lock(&s->lock);
	for (uint32_t i = 0; i < s->copies_count && !exit; i++)
		if (rip >= s->copies[i].begin && rip < s->copies[i].end)
			exit = s->copies[i].exit;
	mutex_unlock(&s->lock);
	return exit;
}

void signal_exec(struct thread *t)
{
	struct process *p = t->process;

	mutex_lock(&p->signals.lock);
	signal_reset_handlers(p);
	p->signals.copies_count = 0;
	t->signals.altstack_base = t->signals.altstack_size = 0;
	t->signals.altstack_flags = SS_DISABLE;
	mutex_unlock(&p->signals.lock);
}

void signal_action_changed(struct process *p, int sig)
{
	if (handler_ignores(p, sig))
		flush_everywhere(p, SIGBIT(sig));
}

/* An expiry of a timer whose signal still waits only counts. */
static bool timer_overran(struct signal_pending *q, const siginfo_t *info)
{
	list_for_each(pos, &q->queue) {
		struct queued_signal *s = list_entry(pos, struct queued_signal, link);

		if (s->info.si_code == SI_OWN_TIMER && s->info.si_signo == info->si_signo &&
		    s->info.si_tid == info->si_tid) {
			s->info.si_overrun += info->si_overrun + 1;
			return true;
		}
	}
	return false;
}

static int enqueue(struct process *p, struct signal_pending *q, int sig, const siginfo_t *info, bool front)
{
	struct queued_signal *s = NULL;

	if (info && info->si_code == SI_OWN_TIMER && timer_overran(q, info))
		return 0;
	if (sig < SIGRTMIN && (q->set & SIGBIT(sig)))
		return 0;
	if (p->signals.queued < SIGNAL_QUEUE_MAX || sig < SIGRTMIN)
		s = kmalloc(sizeof(*s));
	if (!s && sig >= SIGRTMIN)
		return -EAGAIN;
	q->set |= SIGBIT(sig);
	if (!s)
		return 0; /* only the bit: signal_take makes up the rest */
	if (info) {
		s->info = *info;
	} else {
		memset(&s->info, 0, sizeof(s->info));
		s->info.si_code = SI_KERNEL;
	}
	s->info.si_signo = sig;
	p->signals.queued++;
	if (front)
		list_insert_after(&q->queue, &s->link);
	else
		list_append(&q->queue, &s->link);
	return 0;
}

/* Stop signals and SIGCONT undo each other when they are sent. Both locks held. */
static void stop_and_continue(struct process *p, int sig)
{
	if (SIGBIT(sig) & SIGNAL_STOP_SET) {
		flush_everywhere(p, SIGBIT(SIGCONT));
	} else if (sig == SIGCONT || sig == SIGKILL) {
		flush_everywhere(p, SIGNAL_STOP_SET);
		p->signals.continued++;
		signal_release_stopped(p);
	}
}

static bool wants(const struct thread *t, int sig)
{
	return !(t->signals.blocked & SIGBIT(sig) & ~SIGNAL_UNBLOCKABLE);
}

/* The first thread if it takes the signal, else the calling one, else any. Both locks held. */
static struct thread *choose(struct process *p, int sig)
{
	struct thread *found = NULL;

	list_for_each(pos, &p->threads) {
		struct thread *t = list_entry(pos, struct thread, link);

		if (!wants(t, sig))
			continue;
		if (t->tid == p->pid)
			return t;
		if (!found || t == current())
			found = t;
	}
	return found;
}

static int send_locked(struct process *p, struct thread *t, int sig, const siginfo_t *info)
{
	struct thread *main = thread_find(p, p->pid), *judge = t ? t : main;
	int err;

	if (__atomic_load_n(&p->state, __ATOMIC_ACQUIRE) != PROCESS_RUNS)
		return 0;
	stop_and_continue(p, sig);
	/* A blocked signal is kept even if it is ignored now: the action may change before it is unblocked. */
	if (handler_ignores(p, sig) && (!judge || wants(judge, sig)))
		return 0;
	err = enqueue(p, t ? &t->signals.pending : &p->signals.pending, sig, info, false);
	if (err)
		return err;
	if (!t)
		t = choose(p, sig);
	if (t && wants(t, sig))
		thread_notify(t, WORK_SIGNAL);
	return 0;
}

static int send(struct process *p, struct thread *t, int sig, const siginfo_t *info)
{
	int err;

	mutex_lock(&p->signals.lock);
	err = send_locked(p, t, sig, info);
	mutex_unlock(&p->signals.lock);
	return err;
}

int signal_send_process(struct process *p, int sig, const siginfo_t *info)
{
	int err;

	mutex_lock(&p->lock);
	err = send(p, NULL, sig, info);
	mutex_unlock(&p->lock);
	waitq_wake(&p->signals.waitq, 0);
	return err;
}

int signal_send_thread(struct thread *t, int sig, const siginfo_t *info)
{
	struct process *p = t->process;
	int err;

	mutex_lock(&p->lock);
	err = send(p, t, sig, info);
	mutex_unlock(&p->lock);
	waitq_wake(&p->signals.waitq, 0);
	return err;
}

void signal_send_self(int sig)
{
	const struct process *p = current()->process;
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = SI_USER;
	info.si_pid = p->pid;
	info.si_uid = p->uid;
	(void)signal_send_thread(current(), sig, &info);
}

int signal_send_tid(struct process *p, int32_t tid, int sig, const siginfo_t *info)
{
	struct thread *t;
	int err = -ESRCH;

	mutex_lock(&p->lock);
	t = thread_find(p, tid);
	if (t)
		err = sig ? send(p, t, sig, info) : 0;
	else if (tid == p->pid) /* the first thread has left, the process not, or it is a zombie */
		err = 0;
	mutex_unlock(&p->lock);
	if (t && sig)
		waitq_wake(&p->signals.waitq, 0);
	return err;
}

void signal_force(struct thread *t, const siginfo_t *info)
{
	struct process *p = t->process;
	int sig = info->si_signo;
	struct signal_action *action = &p->signals.action[sig - 1];

	mutex_lock(&p->signals.lock);
	if ((t->signals.blocked & SIGBIT(sig)) || action->handler == (uint64_t)SIG_IGN) {
		action->handler = (uint64_t)SIG_DFL;
		t->signals.blocked &= ~SIGBIT(sig);
	}
	enqueue(p, &t->signals.pending, sig, info, true);
	mutex_unlock(&p->signals.lock);
	thread_notify(t, WORK_SIGNAL);
}

struct waitq *signal_waitq(struct process *p)
{
	return &p->signals.waitq;
}

/* Taken off one queue: the first of its kind, and the bit goes with the last. */
static bool take_from(struct process *p, struct signal_pending *q, int sig, siginfo_t *info)
{
	struct queued_signal *found = NULL;
	bool more = false;

	list_for_each(pos, &q->queue) {
		struct queued_signal *s = list_entry(pos, struct queued_signal, link);

		if (s->info.si_signo != sig)
			continue;
		more = found != NULL;
		if (more)
			break;
		found = s;
	}
	if (!more)
		q->set &= ~SIGBIT(sig);
	if (!found) {
		memset(info, 0, sizeof(*info));
		info->si_signo = sig;
		info->si_code = SI_USER;
		return true;
	}
	*info = found->info;
	list_remove(&found->link);
	p->signals.queued--;
	kfree(found);
	if (info->si_code == SI_OWN_TIMER) {
		info->si_code = SI_TIMER;
		timer_delivered(info);
	}
	return true;
}

static int lowest(sigmask_t set)
{
	if (set & SIGBIT(SIGKILL))
		return SIGKILL;
	if (set & SIGNAL_SYNCHRONOUS_SET)
		set &= SIGNAL_SYNCHRONOUS_SET;
	return set ? __builtin_ctzll(set) + 1 : 0;
}

int signal_take(struct thread *t, sigmask_t set, siginfo_t *info)
{
	struct process *p = t->process;
	int sig = lowest(t->signals.pending.set & set);

	if (sig && !(p->signals.pending.set & set & SIGBIT(SIGKILL))) {
		take_from(p, &t->signals.pending, sig, info);
		return sig;
	}
	sig = lowest(p->signals.pending.set & set);
	if (sig)
		take_from(p, &p->signals.pending, sig, info);
	return sig;
}

bool signal_dequeue(sigmask_t set, siginfo_t *info)
{
	struct thread *t = current();
	int sig;

	signal_send_noted();
	mutex_lock(&t->process->signals.lock);
	sig = signal_take(t, set & ~SIGNAL_UNBLOCKABLE, info);
	mutex_unlock(&t->process->signals.lock);
	return sig != 0;
}

/* Process signals that t no longer takes go to a thread that does. Both locks held. */
static void retarget(struct process *p, struct thread *t, sigmask_t set)
{
	set &= p->signals.pending.set;
	while (set) {
		int sig = __builtin_ctzll(set) + 1;
		struct thread *other = choose(p, sig);

		if (other && other != t)
			thread_notify(other, WORK_SIGNAL);
		set &= set - 1;
	}
}

void signal_set_blocked(struct thread *t, sigmask_t blocked)
{
	struct process *p = t->process;
	sigmask_t newly;

	blocked &= ~SIGNAL_UNBLOCKABLE;
	mutex_lock(&p->signals.lock);
	newly = blocked & ~t->signals.blocked;
	t->signals.blocked = blocked;
	if ((t->signals.pending.set | p->signals.pending.set) & ~blocked)
		thread_notify(t, WORK_SIGNAL);
	newly &= p->signals.pending.set;
	mutex_unlock(&p->signals.lock);
	if (likely(!newly))
		return;
	mutex_lock(&p->lock);
	mutex_lock(&p->signals.lock);
	retarget(p, t, newly);
	mutex_unlock(&p->signals.lock);
	mutex_unlock(&p->lock);
}

void signal_set_temporary_mask(sigmask_t mask)
{
	struct thread *t = current();

	if (!t->restore_mask) {
		t->signals.saved_mask = t->signals.blocked;
		t->restore_mask = true;
	}
	signal_set_blocked(t, mask);
}

void signal_restore_mask(void)
{
	struct thread *t = current();

	if (!t->restore_mask)
		return;
	t->restore_mask = false;
	signal_set_blocked(t, t->signals.saved_mask);
}

void signal_thread_exit(struct thread *t)
{
	struct process *p = t->process;

	mutex_lock(&p->signals.lock);
	pending_flush(p, &t->signals.pending, ~0ull);
	t->signals.blocked = ~0ull;
	retarget(p, t, ~0ull);
	mutex_unlock(&p->signals.lock);
}

void signal_note_outside(struct thread *t)
{
	long bits = hostcall(HC_cvm_events);

	if (bits == 0)
		return;
	__atomic_fetch_or(&g_outside, (uint64_t)bits, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&t->work, WORK_SIGNAL, __ATOMIC_SEQ_CST);
}

void signal_send_noted(void)
{
	uint64_t bits;
	siginfo_t info;

	if (likely(!__atomic_load_n(&g_outside, __ATOMIC_RELAXED)))
		return;
	bits = __atomic_exchange_n(&g_outside, 0, __ATOMIC_SEQ_CST);
	if (bits & SIGBIT(EXEC_WAKE_SIGNAL))
		exec_service_wake();
	bits &= ~SIGBIT(EXEC_WAKE_SIGNAL);
	memset(&info, 0, sizeof(info));
	for (; bits; bits &= bits - 1) {
		info.si_signo = __builtin_ctzll(bits) + 1;
		if (console_signal(info.si_signo))
			continue;
		info.si_code = SI_USER;
		signal_send_process(g_process, info.si_signo, &info);
	}
}
