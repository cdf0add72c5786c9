/*
 * Processes: numbers, groups and sessions, waiting for children, limits, prctl. Entry points of the system call table.
 */
#include "core/uaccess.h"
#include "fs/file.h"
#include "fs/limit.h"
#include "ipc/eventfd.h"
#include "signal/cpu_limit.h"
#include "signal/internal.h"
#include "sys/syscalls.h"
#include "thread/isolated.h"

#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/securebits.h>
#include <linux/time.h>
#include <linux/wait.h>

long sys_getpid(struct regs *r)
{
	(void)r;
	return current()->process->pid;
}

long sys_getppid(struct regs *r)
{
	(void)r;
	return __atomic_load_n(&current()->process->ppid, __ATOMIC_RELAXED);
}

/* --- groups and sessions --- */

static struct process *named(uint64_t pid)
{
	struct process *p = current()->process;

	return (int32_t)pid == 0 || (int32_t)pid == p->pid ? process_get(p) : process_find((int32_t)pid);
}

static long number_of(uint64_t pid, size_t offset)
{
	struct process *p = named(pid);
	long ret = p ? *(int32_t *)((char *)p + offset) : -ESRCH;

	process_put(p);
	return ret;
}

long sys_getpgid(struct regs *r)
{
	return number_of(r->rdi, offsetof(struct process, pgid));
}

long sys_getpgrp(struct regs *r)
{
	(void)r;
	return current()->process->pgid;
}

long sys_getsid(struct regs *r)
{
	return number_of(r->rdi, offsetof(struct process, sid));
}

struct group_search {
	int32_t pgid, sid;
	bool found;
};

static void look_for_group(struct process *p, void *data)
{
	struct group_search *s = data;

	s->found |= p->pgid == s->pgid && (!s->sid || p->sid == s->sid);
}

/* Tree lock held. sid 0: in any session. */
static bool group_exists(int32_t pgid, int32_t sid)
{
	struct group_search s = { pgid, sid, false };

	process_for_each(look_for_group, &s);
	return s.found;
}

/* Tree lock held. */
static long set_group(struct process *p, int32_t pgid)
{
	struct process *self = current()->process;

	if (p != self && p->parent != self)
		return -ESRCH;
	if (p->sid != self->sid)
		return -EPERM;
	if (p != self && p->has_execed)
		return -EACCES;
	if (p->pid == p->sid)
		return -EPERM;
	if (pgid != p->pid && !group_exists(pgid, self->sid))
		return -EPERM;
	__atomic_store_n(&p->pgid, pgid, __ATOMIC_RELAXED);
	return 0;
}

long sys_setpgid(struct regs *r)
{
	int32_t pgid = (int32_t)r->rsi;
	struct process *p;
	long ret;

	if (pgid < 0 || (!pgid && (int32_t)r->rdi < 0))
		return -EINVAL;
	p = named(r->rdi);
	if (!p)
		return -ESRCH;
	process_tree_lock();
	ret = set_group(p, pgid ? pgid : p->pid);
	process_tree_unlock();
	process_put(p);
	return ret;
}

long sys_setsid(struct regs *r)
{
	struct process *p = current()->process;
	long ret = -EPERM;

	(void)r;
	process_tree_lock();
	if (!group_exists(p->pid, 0)) {
		__atomic_store_n(&p->pgid, p->pid, __ATOMIC_RELAXED);
		__atomic_store_n(&p->sid, p->pid, __ATOMIC_RELAXED);
		p->no_terminal = false;
		ret = p->pid;
	}
	process_tree_unlock();
	return ret;
}

/* --- waiting --- */

static struct rusage usage_of(uint64_t cpu_ns)
{
	struct rusage usage;

	memset(&usage, 0, sizeof(usage));
	usage.ru_utime.tv_sec = (long)(cpu_ns / NSEC_PER_SEC);
	usage.ru_utime.tv_usec = (long)(cpu_ns % NSEC_PER_SEC / 1000);
	return usage;
}

long sys_wait4(struct regs *r)
{
	struct wait_request rq = { .options = (int)r->rdx | WEXITED };
	int32_t pid = (int32_t)r->rdi;
	struct rusage usage;
	long ret;

	if (r->rdx & ~(uint64_t)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	rq.which = pid == -1 ? P_ALL : pid > 0 ? P_PID : P_PGID;
	rq.id = pid < 0 ? -pid : pid;
	ret = process_wait(&rq);
	if (ret <= 0)
		return ret;
	usage = usage_of(rq.cpu_ns);
	if ((r->rsi && put_user(rq.status, (int *)r->rsi)) || (r->r10 && put_user(usage, (struct rusage *)r->r10)))
		return -EFAULT;
	return ret;
}

/* What the descriptor stands for, with a reference, or NULL; *nonblock is set if it is one that does not wait. */
static struct process *process_of_pidfd(int fd, bool *nonblock)
{
	struct file *f = fd_get_open(fd);
	struct process *p = f ? pidfd_process(f) : NULL;

	if (p) {
		*nonblock = f->flags & O_NONBLOCK;
		process_get(p);
	}
	if (f)
		file_put(f);
	return p;
}

long sys_waitid(struct regs *r)
{
	struct wait_request rq = { .which = (int)r->rdi, .id = (int32_t)r->rsi, .options = (int)r->r10 };
	struct process *named_one = NULL;
	bool nonblock = false;
	struct rusage usage;
	long ret;

	if ((r->r10 & ~(uint64_t)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)) ||
	    !(r->r10 & (WEXITED | WSTOPPED | WCONTINUED)) || r->rdi > P_PIDFD)
		return -EINVAL;
	if ((rq.which == P_PID && rq.id <= 0) || (rq.which == P_PGID && rq.id < 0) || (rq.which == P_PIDFD && rq.id < 0))
		return -EINVAL;
	if (rq.which == P_PIDFD) {
		rq.process = named_one = process_of_pidfd(rq.id, &nonblock);
		if (!named_one)
			return -EBADF;
		rq.options |= nonblock ? WNOHANG : 0;
	}
	ret = process_wait(&rq);
	process_put(named_one);
	if (ret < 0)
		return ret;
	if (!ret && nonblock && !(r->r10 & WNOHANG))
		return -EAGAIN;
	usage = usage_of(ret ? rq.cpu_ns : 0);
	if ((ret && r->r8 && put_user(usage, (struct rusage *)r->r8)) || (r->rdx && put_user(rq.info, (siginfo_t *)r->rdx)))
		return -EFAULT;
	return 0;
}

static long set_flag(uint32_t *flag, uint64_t value, uint64_t max)
{
	if (value > max)
		return -EINVAL;
	__atomic_store_n(flag, (uint32_t)value, __ATOMIC_RELAXED);
	return 0;
}

static long set_name(const void *user)
{
	struct thread *t = current();
	char name[sizeof(t->comm)];
	ssize_t n = copy_string_from_user(name, user, sizeof(name));

	if (n == -EFAULT)
		return n;
	name[sizeof(name) - 1] = 0;
	memcpy(t->comm, name, sizeof(name));
	return 0;
}

/* Nobody has a capability that could be kept over execve. */
static long ambient(uint64_t what, uint64_t capability, bool more)
{
	if (more || (what == PR_CAP_AMBIENT_CLEAR_ALL ? capability != 0 : capability > CAP_LAST_CAP))
		return -EINVAL;
	switch (what) {
	case PR_CAP_AMBIENT_CLEAR_ALL:
	case PR_CAP_AMBIENT_LOWER:
	case PR_CAP_AMBIENT_IS_SET: return 0;
	case PR_CAP_AMBIENT_RAISE: return -EPERM;
	default: return -EINVAL;
	}
}

static bool prctl_has_address(int option)
{
	return option == PR_SET_NAME || option == PR_GET_NAME || option == PR_GET_PDEATHSIG || option == PR_GET_CHILD_SUBREAPER;
}

long sys_prctl(struct regs *r)
{
	struct process_words *w = &current()->process->words;
	uint64_t a = r->rsi;
	bool more = r->rdx || r->r10 || r->r8;

	if (!address_in_program(a) && prctl_has_address((int)r->rdi))
		return -EFAULT;
	switch ((int)r->rdi) {
	case PR_SET_NAME: return set_name((void *)a);
	case PR_GET_NAME: return copy_to_user((void *)a, current()->comm, sizeof(current()->comm));
	case PR_SET_PDEATHSIG: return set_flag(&w->death_signal, a, SIGNAL_COUNT);
	case PR_GET_PDEATHSIG: return put_user((int)w->death_signal, (int *)a);
	case PR_SET_DUMPABLE: return set_flag(&w->dumpable, a, 1);
	case PR_GET_DUMPABLE: return w->dumpable;
	case PR_SET_NO_NEW_PRIVS:
		return a != 1 || more ? -EINVAL : set_flag(&w->no_new_privileges, 1, 1);
	case PR_GET_NO_NEW_PRIVS: return a || more ? -EINVAL : (long)w->no_new_privileges;
	case PR_SET_KEEPCAPS: return set_flag(&w->keep_caps, a, 1);
	case PR_GET_KEEPCAPS: return w->keep_caps;
	case PR_SET_TIMERSLACK: return set_flag(&w->timer_slack, (int64_t)a > 0 ? a : w->timer_slack_default, UINT32_MAX);
	case PR_GET_TIMERSLACK: return w->timer_slack;
	case PR_SET_CHILD_SUBREAPER: return set_flag(&w->subreaper, a != 0, 1);
	case PR_GET_CHILD_SUBREAPER: return put_user((int)w->subreaper, (int *)a);
	case PR_SET_THP_DISABLE: return more ? -EINVAL : set_flag(&w->thp_disable, a != 0, 1);
	case PR_GET_THP_DISABLE: return a || more ? -EINVAL : (long)w->thp_disable;
	case PR_GET_SECCOMP: return 0;
	case PR_CAPBSET_READ: return a <= CAP_LAST_CAP ? 0 : -EINVAL;
	case PR_CAPBSET_DROP: return a <= CAP_LAST_CAP ? 0 : -EINVAL;
	case PR_CAP_AMBIENT: return ambient(a, r->rdx, r->r10 || r->r8);
	case PR_GET_SECUREBITS: return w->keep_caps ? 1 << SECURE_KEEP_CAPS : 0;
	case PR_GET_TIMING: return PR_TIMING_STATISTICAL;
	case PR_SET_TIMING: return a == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	default: return -EINVAL;
	}
}

long sys_personality(struct regs *r)
{
	return (uint32_t)r->rdi == 0xffffffff || r->rdi == 0 ? 0 : -EINVAL;
}

/* Nice values are remembered only: all run at the cVM's own weight, which is the command's to say. */
struct priority_call {
	int which, nice;
	uint32_t who;
	bool set;
	long ret;
};

static bool is_meant(const struct process *p, const struct priority_call *c)
{
	return c->who == (c->which == PRIO_PROCESS ? (uint32_t)p->pid : c->which == PRIO_PGRP ? (uint32_t)p->pgid : p->uid);
}

/* One that may not be changed does not keep the others from it. */
static void visit_priority(struct process *p, void *data)
{
	struct priority_call *c = data;
	int now = __atomic_load_n(&p->nice, __ATOMIC_RELAXED);

	if (!is_meant(p, c))
		return;
	if (!c->set) {
		c->ret = MAX(c->ret, 20 - now);
	} else if (c->nice < now) {
		c->ret = -EACCES;
	} else {
		__atomic_store_n(&p->nice, c->nice, __ATOMIC_RELAXED);
		c->ret = c->ret == -ESRCH ? 0 : c->ret;
	}
}

static long call_priority(const struct regs *r, bool set, int nice)
{
	struct priority_call c = { .which = (int)r->rdi, .who = (uint32_t)r->rsi, .set = set, .nice = nice, .ret = -ESRCH };
	struct process *me = current()->process, *p;

	if ((uint32_t)r->rdi > PRIO_USER)
		return -EINVAL;
	if (!c.who)
		c.who = c.which == PRIO_PROCESS ? (uint32_t)me->pid : c.which == PRIO_PGRP ? (uint32_t)me->pgid : me->uid;
	if (c.which == PRIO_PROCESS) { /* or one of its threads: a nice value is the process's */
		p = process_of_thread((int32_t)c.who);
		if (!p)
			return -ESRCH;
		c.who = (uint32_t)p->pid;
		process_put(p);
	}
	process_tree_lock();
	process_for_each(visit_priority, &c);
	process_tree_unlock();
	return c.ret;
}

long sys_getpriority(struct regs *r)
{
	return call_priority(r, false, 0);
}

long sys_setpriority(struct regs *r)
{
	return call_priority(r, true, MAX(MIN((int)r->rdx, 19), -20));
}

static int set_limit(struct process *p, unsigned resource, const struct rlimit64 *new)
{
	struct rlimit64 *l = &p->rlimits[resource];

	if (new->rlim_cur > new->rlim_max)
		return -EINVAL;
	if (new->rlim_max > l->rlim_max)
		return -EPERM;
	*l = *new;
	if (resource == RLIMIT_FSIZE && new->rlim_cur != RLIM64_INFINITY)
		__atomic_store_n(&g_file_limits, true, __ATOMIC_RELAXED);
	return 0;
}

/* With the process lock, since a limit is two words. */
static long limits(struct process *p, uint64_t resource, const struct rlimit64 *new, struct rlimit64 *old)
{
	long err = 0;

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	mutex_lock(&p->lock);
	if (old)
		*old = p->rlimits[resource];
	if (new)
		err = set_limit(p, (unsigned)resource, new);
	mutex_unlock(&p->lock);
	if (new && !err && resource == RLIMIT_CPU && (new->rlim_cur & new->rlim_max) != RLIM64_INFINITY)
		err = cpu_limit_begin();
	return err;
}

long sys_prlimit64(struct regs *r)
{
	struct rlimit64 new, old;
	struct process *p;
	long err;

	if (r->rdx && get_user(new, (void *)r->rdx))
		return -EFAULT;
	p = named(r->rdi);
	if (!p)
		return -ESRCH;
	err = limits(p, r->rsi, r->rdx ? &new : NULL, &old);
	process_put(p);
	if (err || !r->r10)
		return err;
	return put_user(old, (struct rlimit64 *)r->r10);
}

long sys_getrlimit(struct regs *r)
{
	struct rlimit64 old;
	long err = limits(current()->process, r->rdi, NULL, &old);

	return err ? err : put_user(old, (struct rlimit64 *)r->rsi);
}

long sys_setrlimit(struct regs *r)
{
	struct rlimit64 new;

	if (get_user(new, (void *)r->rsi))
		return -EFAULT;
	return limits(current()->process, r->rdi, &new, NULL);
}
