/*
 * Controlling terminals and job control (tty/terminal.h), by the rules of Linux's tty_jobctrl.c. Called by tty/pty.c and fs/stdio.c for
 * their terminals, by fs/dev.c for /dev/tty, and by process/ and fs/proc_self.c.
 */
#include "tty/terminal.h"
#include "core/uaccess.h"
#include "fs/file.h"
#include "process/process.h"
#include "signal/internal.h"
#include "thread/thread.h"

#include <asm/ioctls.h>

static struct mutex g_lock;
static struct list g_terminals = LIST_INIT(g_terminals); /* by link; g_lock */

static int32_t word(const int32_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static void set_word(int32_t *at, int32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELAXED);
}

void terminal_add(struct terminal *t)
{
	mutex_lock(&g_lock);
	list_append(&g_terminals, &t->link);
	mutex_unlock(&g_lock);
}

void terminal_remove(struct terminal *t)
{
	mutex_lock(&g_lock);
	list_remove(&t->link);
	mutex_unlock(&g_lock);
}

static bool controls(const struct terminal *t, const struct process *p)
{
	return word(&t->session) == word(&p->sid) && !p->no_terminal;
}

/* g_lock held. */
static struct terminal *find(const struct process *p)
{
	list_for_each(pos, &g_terminals) {
		struct terminal *t = list_entry(pos, struct terminal, link);

		if (controls(t, p))
			return t;
	}
	return NULL;
}

/* g_lock held. */
static void take(struct terminal *t, struct process *p)
{
	p->no_terminal = false;
	set_word(&t->group, word(&p->pgid));
	set_word(&t->session, word(&p->sid));
}

static bool leads(const struct process *p)
{
	return word(&p->sid) == p->pid;
}

void terminal_give(struct terminal *t, struct process *p)
{
	mutex_lock(&g_lock);
	take(t, p);
	mutex_unlock(&g_lock);
}

void terminal_opened(struct terminal *t, int flags)
{
	struct process *p = current()->process;

	if ((flags & O_NOCTTY) || (flags & O_ACCMODE) == O_WRONLY || !leads(p))
		return;
	mutex_lock(&g_lock);
	if (!word(&t->session) && !find(p))
		take(t, p);
	mutex_unlock(&g_lock);
}

struct file *terminal_open_own(int flags, int *error)
{
	struct terminal *t;
	struct file *f;

	mutex_lock(&g_lock);
	t = find(current()->process);
	if (t)
		t->ops->get(t);
	mutex_unlock(&g_lock);
	*error = -ENXIO;
	if (!t)
		return NULL;
	f = t->ops->open(t, flags | O_NOCTTY, error);
	t->ops->put(t);
	return f;
}

static bool is_ignored(struct thread *t, int sig)
{
	return (t->signals.blocked & SIGBIT(sig)) || t->process->signals.action[sig - 1].handler == (uint64_t)SIG_IGN;
}

bool terminal_foreground(const struct terminal *t)
{
	int32_t group = word(&t->group);

	return !group || group == word(&current()->process->pgid);
}

int terminal_check(const struct terminal *t, int sig)
{
	struct process *p = current()->process;

	if (likely(terminal_foreground(t)) || !controls(t, p))
		return 0;
	if (is_ignored(current(), sig))
		return sig == SIGTTIN ? -EIO : 0;
	if (process_group_is_orphaned(p))
		return -EIO;
	process_signal_group(p->pgid, sig);
	return -ERESTARTSYS;
}

void terminal_signal(const struct terminal *t, int sig)
{
	process_signal_group(word(&t->group), sig);
}

/* The session has it no longer; its foreground group. g_lock held. */
static int32_t release(struct terminal *t)
{
	int32_t group = word(&t->group);

	set_word(&t->session, 0);
	set_word(&t->group, 0);
	return group;
}

void terminal_hang_up(struct terminal *t)
{
	int32_t session, group;
	struct process *leader;

	mutex_lock(&g_lock);
	session = word(&t->session);
	group = release(t);
	leader = session ? process_find(session) : NULL;
	if (leader)
		leader->hung_up = group;
	mutex_unlock(&g_lock);
	if (leader) {
		(void)signal_send_process(leader, SIGHUP, NULL);
		(void)signal_send_process(leader, SIGCONT, NULL);
	}
	process_put(leader);
}

void terminal_leader_ended(struct process *p)
{
	struct terminal *t;
	int32_t group = 0;

	if (!leads(p))
		return;
	mutex_lock(&g_lock);
	t = find(p);
	if (t)
		group = release(t);
	else if (p->hung_up && process_session_of_group(p->hung_up) == p->sid)
		group = p->hung_up;
	mutex_unlock(&g_lock);
	process_signal_group(group, SIGHUP);
	if (!t)
		process_signal_group(group, SIGCONT);
}

static long become_controlling(struct terminal *t, const struct file *f, bool steal)
{
	struct process *p = current()->process;
	long ret = 0;

	mutex_lock(&g_lock);
	if (leads(p) && word(&t->session) == p->sid)
		ret = 0;
	else if (!leads(p) || find(p) || (word(&t->session) && !(steal && p->euid == 0)) ||
		 ((f->flags & O_ACCMODE) == O_WRONLY && p->euid))
		ret = -EPERM;
	else
		take(t, p);
	mutex_unlock(&g_lock);
	return ret;
}

static long give_up(struct terminal *t)
{
	struct process *p = current()->process;
	int32_t group = 0;
	bool own;

	mutex_lock(&g_lock);
	own = controls(t, p);
	if (own && leads(p))
		group = release(t);
	else if (own)
		p->no_terminal = true;
	mutex_unlock(&g_lock);
	process_signal_group(group, SIGHUP);
	process_signal_group(group, SIGCONT);
	return own ? 0 : -ENOTTY;
}

static long set_group(struct terminal *t, const int32_t *user)
{
	struct process *p = current()->process;
	int32_t group, session;
	long ret = terminal_check(t, SIGTTOU);

	if (ret)
		return ret == -EIO ? -ENOTTY : ret;
	if (get_user(group, user))
		return -EFAULT;
	if (group < 0)
		return -EINVAL;
	if (!controls(t, p))
		return -ENOTTY;
	mutex_lock(&g_lock);
	session = process_session_of_group(group);
	if (!session || session != p->sid)
		ret = session ? -EPERM : -ESRCH;
	else
		set_word(&t->group, group);
	mutex_unlock(&g_lock);
	return ret;
}

bool terminal_knows(unsigned long request)
{
	return request == TIOCSCTTY || request == TIOCNOTTY || request == TIOCGPGRP || request == TIOCSPGRP || request == TIOCGSID;
}

long terminal_ioctl(struct terminal *t, const struct file *f, bool own, unsigned long request, void *user)
{
	bool mine = !own || controls(t, current()->process);

	switch (request) {
	case TIOCSCTTY:
		return become_controlling(t, f, user == (void *)1);
	case TIOCNOTTY:
		return own ? give_up(t) : -ENOTTY;
	case TIOCGPGRP:
		return mine ? put_user(word(&t->group), (int32_t *)user) : -ENOTTY;
	case TIOCSPGRP:
		return set_group(t, user);
	case TIOCGSID:
		return mine && word(&t->session) ? put_user(word(&t->session), (int32_t *)user) : -ENOTTY;
	default:
		return -ENOTTY;
	}
}

void terminal_of(const struct process *p, uint32_t *device, int32_t *group)
{
	struct terminal *t;

	mutex_lock(&g_lock);
	t = find(p);
	*device = t ? t->device : 0;
	*group = t ? word(&t->group) : -1;
	mutex_unlock(&g_lock);
}
