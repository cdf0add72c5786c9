/*
 * Who is whose child, what parents are told, and waiting for it (process/process.h). Processes are few: lists are searched.
 */
#include "abi/boot.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "process/process.h"
#include "signal/internal.h"
#include "thread/thread.h"
#include "tty/console.h"

#include <linux/wait.h>
#include <linux/sched.h>

#define SA_NOCLDSTOP_ 1ull /* asm-generic/signal-defs.h */
#define SA_NOCLDWAIT_ 2ull

static struct mutex g_lock;
static struct list g_all = LIST_INIT(g_all); /* struct process by link */

void process_tree_lock(void)
{
	mutex_lock(&g_lock);
}

void process_tree_unlock(void)
{
	mutex_unlock(&g_lock);
}

void process_for_each(void (*visit)(struct process *p, void *data), void *data)
{
	list_for_each(pos, &g_all)
		visit(list_entry(pos, struct process, link), data);
}

struct process *process_find(int32_t pid)
{
	struct process *found = NULL;

	mutex_lock(&g_lock);
	list_for_each(pos, &g_all) {
		struct process *p = list_entry(pos, struct process, link);

		if (p->pid == pid)
			found = process_get(p);
	}
	mutex_unlock(&g_lock);
	return found;
}

struct process *process_of_thread(int32_t tid)
{
	struct process *found = NULL;

	mutex_lock(&g_lock);
	list_for_each(pos, &g_all) {
		struct process *p = list_entry(pos, struct process, link);

		mutex_lock(&p->lock);
		if (!found && (p->pid == tid || thread_find(p, tid))) /* its number is the first thread's as long as it lasts */
			found = process_get(p);
		mutex_unlock(&p->lock);
	}
	mutex_unlock(&g_lock);
	return found;
}

int32_t process_next(int32_t from)
{
	int32_t best = -1;

	mutex_lock(&g_lock);
	list_for_each(pos, &g_all) {
		int32_t pid = list_entry(pos, struct process, link)->pid;

		if (pid >= from && (best < 0 || pid < best))
			best = pid;
	}
	mutex_unlock(&g_lock);
	return best;
}

/* A number that is still a group's or a session's would make the new process one of them. Tree lock held. */
static bool names_group(int32_t number)
{
	list_for_each(pos, &g_all) {
		struct process *p = list_entry(pos, struct process, link);

		if (p->pgid == number || p->sid == number)
			return true;
	}
	return false;
}

/* A signal for a group reaches all who are in it: the new process is there when it is sent, or its parent has the signal now. */
int process_adopt(struct process *p, struct process *parent)
{
	int32_t number;

	mutex_lock(&g_lock);
	if (parent && (__atomic_load_n(&current()->work, __ATOMIC_SEQ_CST) & (WORK_SIGNAL | WORK_EXIT))) {
		mutex_unlock(&g_lock);
		return -ERESTARTNOINTR;
	}
	number = number_take();
	while (number && names_group(number)) {
		number_give(number);
		number = number_take();
	}
	if (number && (!parent || parent->state == PROCESS_RUNS)) {
		p->pid = number;
		p->parent = parent;
		if (parent) {
			p->pgid = parent->pgid;
			p->sid = parent->sid;
		}
		__atomic_store_n(&p->ppid, parent ? parent->pid : 0, __ATOMIC_RELAXED);
		if (parent)
			list_append(&parent->children, &p->sibling);
		list_append(&g_all, &p->link);
		process_get(p);
	} else if (number) {
		number_give(number);
		number = 0;
	}
	mutex_unlock(&g_lock);
	return number ? 0 : -EAGAIN;
}

/* Out of the tree, which gives up its reference. Tree lock held. */
static void leave_tree(struct process *p)
{
	__atomic_store_n(&p->state, PROCESS_GONE, __ATOMIC_RELAXED);
	p->parent = NULL;
	list_remove(&p->sibling);
	list_remove(&p->link);
	number_give(p->pid);
	process_put(p);
}

void process_disown(struct process *p)
{
	mutex_lock(&g_lock);
	if (p->parent)
		waitq_wake(&p->parent->child_events, 0); /* who has seen this child waits for it */
	leave_tree(p);
	waitq_wake(&p->ended, 0);
	mutex_unlock(&g_lock);
}

/* What a parent is told of p. code: CLD_*; status: exit code or signal. */
static siginfo_t news_of(const struct process *p, int code, int status)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGCHLD;
	info.si_code = code;
	info.si_pid = p->pid;
	info.si_uid = p->uid;
	info.si_status = status;
	return info;
}

/* The same of a zombie. */
static siginfo_t end_of(const struct process *p, int status)
{
	bool killed = status & 0x7f;

	return news_of(p, killed ? CLD_KILLED : CLD_EXITED, killed ? status & 0x7f : status >> 8);
}

/* By `sig`, or 0: only who waits. Tree lock held. */
static void tell_parent(struct process *p, int sig, siginfo_t info)
{
	info.si_signo = sig;
	info.si_utime = (long)(p->cpu_ns / 10000000);
	if (sig)
		(void)signal_send_process(p->parent, sig, &info);
	waitq_wake(&p->parent->child_events, 0);
}

/* Whole: another thread may just be changing it. */
static struct signal_action action_for_children(struct process *parent)
{
	struct signal_action a;

	mutex_lock(&parent->signals.lock);
	a = parent->signals.action[SIGCHLD - 1];
	mutex_unlock(&parent->signals.lock);
	return a;
}

/* A zombie and its parent: the signal, and whether anybody will ask. True if it may go at once. Tree lock held. */
static bool tell_of_end(struct process *p, int status)
{
	struct signal_action child = action_for_children(p->parent);
	bool unasked = p->exit_signal == SIGCHLD &&
		       (child.handler == (uint64_t)SIG_IGN || (child.flags & SA_NOCLDWAIT_));

	tell_parent(p, unasked && child.handler == (uint64_t)SIG_IGN ? 0 : p->exit_signal, end_of(p, status));
	return unasked;
}

/* NULL: the libOS. */
static struct process *reaper_of(struct process *p)
{
	for (struct process *a = p->parent; a; a = a->parent)
		if (a->words.subreaper && a->state == PROCESS_RUNS)
			return a;
	return p->boot_flags & BOOT_FLAG_INIT ? NULL : g_process;
}

/* Tree lock held. */
static void give_away_children(struct process *p)
{
	struct process *reaper = reaper_of(p);

	list_for_each_safe(pos, next, &p->children) {
		struct process *child = list_entry(pos, struct process, sibling);
		int sig = (int)child->words.death_signal;

		list_remove(&child->sibling);
		if (reaper)
			list_append(&reaper->children, &child->sibling);
		child->parent = reaper;
		__atomic_store_n(&child->ppid, reaper ? reaper->pid : g_process->pid, __ATOMIC_RELAXED);
		if (child->state == PROCESS_ZOMBIE) {
			child->exit_signal = SIGCHLD;
			if (!reaper || tell_of_end(child, (int)child->exit_status))
				leave_tree(child);
		} else if (sig) {
			siginfo_t info = { .si_signo = sig, .si_code = SI_USER };

			info.si_pid = p->pid;
			info.si_uid = p->uid;
			(void)signal_send_process(child, sig, &info);
		}
	}
}

void process_became_zombie(struct process *p, int status)
{
	void (*at_end)(void *arg, int status, const char *why) = p->at_end;

	process_get(p);
	mutex_lock(&g_lock);
	give_away_children(p);
	p->exit_status = (uint32_t)status;
	__atomic_store_n(&p->state, PROCESS_ZOMBIE, __ATOMIC_RELEASE);
	waitq_wake(&p->ended, 0);
	if (!p->parent || tell_of_end(p, status))
		leave_tree(p);
	mutex_unlock(&g_lock);
	if (at_end)
		at_end(p->at_end_arg, status, p->why);
	process_put(p);
}

/* Tree lock held. */
static void set_stopped(struct process *p, int sig)
{
	__atomic_store_n(&p->stop_signal, sig, __ATOMIC_RELAXED);
	p->stop_told = sig != 0;
	p->continue_due = sig == 0;
	if (p->parent) {
		bool quiet = action_for_children(p->parent).flags & SA_NOCLDSTOP_;

		tell_parent(p, quiet ? 0 : SIGCHLD, sig ? news_of(p, CLD_STOPPED, sig) : news_of(p, CLD_CONTINUED, SIGCONT));
	}
}

/* One thread tells that the process stopped, any that it went on; what comes between is seen from `stopped`. */
void process_stopped(struct process *p, int sig)
{
	mutex_lock(&g_lock);
	if (p->stop_signal && (sig || !__atomic_load_n(&p->signals.stopped, __ATOMIC_SEQ_CST)))
		set_stopped(p, 0);
	if (sig)
		set_stopped(p, sig);
	mutex_unlock(&g_lock);
	if (sig && p == g_process)
		console_stopped();
}

/* Who is outside the cVM can continue its first process. */
bool process_group_is_orphaned(const struct process *p)
{
	bool orphaned = true;

	mutex_lock(&g_lock);
	list_for_each(pos, &g_all) {
		const struct process *member = list_entry(pos, struct process, link), *parent = member->parent;

		if (member->pgid == p->pgid && member->state == PROCESS_RUNS &&
		    (member == g_process || (parent && parent->pgid != p->pgid && parent->sid == p->sid)))
			orphaned = false;
	}
	mutex_unlock(&g_lock);
	return orphaned;
}

struct group_signal {
	int32_t pgid;
	int sig;
};

static void signal_member(struct process *p, void *data)
{
	const struct group_signal *g = data;

	if (p->pgid == g->pgid)
		(void)signal_send_process(p, g->sig, NULL);
}

void process_signal_group(int32_t pgid, int sig)
{
	struct group_signal g = { pgid, sig };

	if (!pgid)
		return;
	mutex_lock(&g_lock);
	process_for_each(signal_member, &g);
	mutex_unlock(&g_lock);
}

int32_t process_session_of_group(int32_t pgid)
{
	int32_t sid = 0;

	mutex_lock(&g_lock);
	list_for_each(pos, &g_all) {
		const struct process *p = list_entry(pos, struct process, link);

		if (p->pgid == pgid)
			sid = p->sid;
	}
	mutex_unlock(&g_lock);
	return sid;
}

/* --- waiting --- */

static bool is_wanted(const struct wait_request *rq, const struct process *child, const struct process *waiter)
{
	bool clone = child->exit_signal != SIGCHLD;

	if (!(rq->options & __WALL) && clone != !!(rq->options & __WCLONE))
		return false;
	switch (rq->which) {
	case P_PID: return child->pid == rq->id;
	case P_PIDFD: return child == rq->process;
	case P_PGID: return child->pgid == (rq->id ? rq->id : waiter->pgid);
	default: return true;
	}
}

static void answer(struct wait_request *rq, const struct process *p, siginfo_t info, int status)
{
	rq->info = info;
	rq->status = status;
	rq->cpu_ns = p->cpu_ns + p->children_cpu_ns;
}

/* Has the child anything to tell that was asked for? Then it is in *rq. Tree lock held. */
static bool ask_child(struct wait_request *rq, struct process *child, struct process *waiter)
{
	bool keep = rq->options & WNOWAIT;
	int status = (int)child->exit_status;

	if (child->state == PROCESS_ZOMBIE) {
		answer(rq, child, end_of(child, status), status);
		if (!keep) {
			waiter->children_cpu_ns += rq->cpu_ns;
			leave_tree(child);
		}
		return true;
	}
	if (child->stop_told && child->stop_signal && (rq->options & WSTOPPED)) {
		answer(rq, child, news_of(child, CLD_STOPPED, child->stop_signal), child->stop_signal << 8 | 0x7f);
		child->stop_told = keep;
		return true;
	}
	if (child->continue_due && (rq->options & WCONTINUED)) {
		answer(rq, child, news_of(child, CLD_CONTINUED, SIGCONT), 0xffff);
		child->continue_due = keep;
		return true;
	}
	return false;
}

static long look(struct wait_request *rq, struct process *waiter)
{
	long ret = -ECHILD;

	mutex_lock(&g_lock);
	list_for_each_safe(pos, next, &waiter->children) {
		struct process *child = list_entry(pos, struct process, sibling);

		if (!is_wanted(rq, child, waiter) || (child->state == PROCESS_ZOMBIE && !(rq->options & WEXITED)))
			continue;
		ret = 0;
		if (ask_child(rq, child, waiter)) {
			ret = rq->info.si_pid;
			break;
		}
	}
	mutex_unlock(&g_lock);
	return ret;
}

long process_wait(struct wait_request *rq)
{
	struct process *p = current()->process;
	struct waiter w;
	long ret;
	int err = 0;

	memset(&rq->info, 0, sizeof(rq->info));
	waiter_init_thread(&w, 0);
	waitq_add(&p->child_events, &w);
	while (!(ret = look(rq, p)) && !(rq->options & WNOHANG) && !err)
		err = thread_sleep(-1);
	waitq_remove(&w);
	return ret ? ret : err;
}
