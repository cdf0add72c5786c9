/*
 * The process: numbers, groups, waiting for children that do not exist yet, limits, prctl. Entry points of the system
 * call table. There is one process with pid 1 in its own group and session.
 */
#include "core/uaccess.h"
#include "signal/internal.h"
#include "sys/syscalls.h"

#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/securebits.h>
#include <linux/wait.h>


long sys_getpid(struct regs *r)
{
	(void)r;
	return current()->process->pid;
}

long sys_getppid(struct regs *r)
{
	(void)r;
	return current()->process->ppid;
}

static bool is_me(uint64_t pid)
{
	return (int32_t)pid == 0 || (int32_t)pid == current()->process->pid;
}

long sys_getpgid(struct regs *r)
{
	return is_me(r->rdi) ? current()->process->pgid : -ESRCH;
}

long sys_getpgrp(struct regs *r)
{
	(void)r;
	return current()->process->pgid;
}

/* A session leader cannot change its group. */
long sys_setpgid(struct regs *r)
{
	if ((int32_t)r->rsi < 0)
		return -EINVAL;
	return is_me(r->rdi) ? -EPERM : -ESRCH;
}

long sys_getsid(struct regs *r)
{
	return is_me(r->rdi) ? current()->process->sid : -ESRCH;
}

long sys_setsid(struct regs *r)
{
	(void)r;
	return -EPERM;
}

long sys_wait4(struct regs *r)
{
	if (r->rdx & ~(uint64_t)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	return -ECHILD;
}

long sys_waitid(struct regs *r)
{
	if ((r->r10 & ~(uint64_t)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)) ||
	    !(r->r10 & (WEXITED | WSTOPPED | WCONTINUED)) || r->rdi > P_PIDFD)
		return -EINVAL;
	return -ECHILD;
}

/* Recorded for PR_GET_*; nothing here depends on them. Words of the process: one at a time, atomic. */
static struct {
	uint32_t parent_death_signal, dumpable, no_new_privileges, keep_caps, timer_slack, subreaper, thp_disable, mce_kill;
} g_prctl = { .dumpable = 1, .timer_slack = 50000 };

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

long sys_prctl(struct regs *r)
{
	uint64_t a = r->rsi;

	switch ((int)r->rdi) {
	case PR_SET_NAME: return set_name((void *)a);
	case PR_GET_NAME: return copy_to_user((void *)a, current()->comm, sizeof(current()->comm));
	case PR_SET_PDEATHSIG: return set_flag(&g_prctl.parent_death_signal, a, SIGNAL_COUNT);
	case PR_GET_PDEATHSIG: return put_user((int)g_prctl.parent_death_signal, (int *)a);
	case PR_SET_DUMPABLE: return set_flag(&g_prctl.dumpable, a, 1);
	case PR_GET_DUMPABLE: return g_prctl.dumpable;
	case PR_SET_NO_NEW_PRIVS:
		return a != 1 || r->rdx || r->r10 || r->r8 ? -EINVAL : set_flag(&g_prctl.no_new_privileges, 1, 1);
	case PR_GET_NO_NEW_PRIVS: return g_prctl.no_new_privileges;
	case PR_SET_KEEPCAPS: return set_flag(&g_prctl.keep_caps, a, 1);
	case PR_GET_KEEPCAPS: return g_prctl.keep_caps;
	case PR_SET_TIMERSLACK: return set_flag(&g_prctl.timer_slack, a ? a : 50000, UINT32_MAX);
	case PR_GET_TIMERSLACK: return g_prctl.timer_slack;
	case PR_SET_CHILD_SUBREAPER: return set_flag(&g_prctl.subreaper, a != 0, 1);
	case PR_GET_CHILD_SUBREAPER: return put_user((int)g_prctl.subreaper, (int *)a);
	case PR_SET_THP_DISABLE: return set_flag(&g_prctl.thp_disable, a != 0, 1);
	case PR_GET_THP_DISABLE: return g_prctl.thp_disable;
	case PR_GET_SECCOMP: return 0;
	case PR_CAPBSET_READ: return a <= CAP_LAST_CAP ? 0 : -EINVAL;
	case PR_CAPBSET_DROP: return a <= CAP_LAST_CAP ? 0 : -EINVAL;
	case PR_GET_SECUREBITS: return g_prctl.keep_caps ? 1 << SECURE_KEEP_CAPS : 0;
	case PR_GET_TIMING: return PR_TIMING_STATISTICAL;
	case PR_SET_TIMING: return a == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	default: return -EINVAL;
	}
}

long sys_personality(struct regs *r)
{
	return (uint32_t)r->rdi == 0xffffffff || r->rdi == 0 ? 0 : -EINVAL;
}

/* All run at the cVM's own weight. */
/* One nice value for all, remembered only: what the host gives a cVM is the command's to say. */
static int32_t g_nice; /* atomic */

long sys_getpriority(struct regs *r)
{
	if (r->rdi > PRIO_USER)
		return -EINVAL;
	return 20 - __atomic_load_n(&g_nice, __ATOMIC_RELAXED);
}

long sys_setpriority(struct regs *r)
{
	int nice = (int)r->rdx;

	if (r->rdi > PRIO_USER)
		return -EINVAL;
	nice = MAX(MIN(nice, 19), -20);
	if (nice < __atomic_load_n(&g_nice, __ATOMIC_RELAXED))
		return -EACCES;
	__atomic_store_n(&g_nice, nice, __ATOMIC_RELAXED);
	return 0;
}

static int set_limit(struct process *p, unsigned resource, const struct rlimit64 *new)
{
	struct rlimit64 *l = &p->rlimits[resource];

	if (new->rlim_cur > new->rlim_max)
		return -EINVAL;
	if (new->rlim_max > l->rlim_max)
		return -EPERM;
	*l = *new;
	return 0;
}

/* With the process lock, since a limit is two words. */
static long limits(uint64_t resource, const struct rlimit64 *new, struct rlimit64 *old)
{
	struct process *p = current()->process;
	long err = 0;

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	mutex_lock(&p->lock);
	if (old)
		*old = p->rlimits[resource];
	if (new)
		err = set_limit(p, (unsigned)resource, new);
	mutex_unlock(&p->lock);
	return err;
}

long sys_prlimit64(struct regs *r)
{
	struct rlimit64 new, old;
	long err;

	if (!is_me(r->rdi))
		return -ESRCH;
	if (r->rdx && get_user(new, (void *)r->rdx))
		return -EFAULT;
	err = limits(r->rsi, r->rdx ? &new : NULL, &old);
	if (err || !r->r10)
		return err;
	return put_user(old, (struct rlimit64 *)r->r10);
}

long sys_getrlimit(struct regs *r)
{
	struct rlimit64 old;
	long err = limits(r->rdi, NULL, &old);

	return err ? err : put_user(old, (struct rlimit64 *)r->rsi);
}

long sys_setrlimit(struct regs *r)
{
	struct rlimit64 new;

	if (get_user(new, (void *)r->rsi))
		return -EFAULT;
	return limits(r->rdi, &new, NULL);
}
