/* Signals: entry points of the system call table (signal(7)). The mechanism is in signal/. */
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "fs/vfs.h"
#include "ipc/eventfd.h"
#include "signal/internal.h"
#include "sys/syscalls.h"
#include "sys/wait_args.h"
#include "thread/clock.h"

#define MINSIGSTKSZ_ 2048

static bool signal_valid(int sig)
{
	return sig > 0 && sig <= SIGNAL_COUNT;
}

/* 0 only asks whether there is somebody. */
static bool signal_sendable(int sig)
{
	return !sig || signal_valid(sig);
}

long sys_rt_sigaction(struct regs *r)
{
	struct process *p = current()->process;
	int sig = (int)r->rdi;
	struct signal_action new, old;

	if (r->r10 != sizeof(sigmask_t) || !signal_valid(sig))
		return -EINVAL;
	if (r->rsi) {
		if (get_user(new, (void *)r->rsi))
			return -EFAULT;
		if (SIGBIT(sig) & SIGNAL_UNBLOCKABLE)
			return -EINVAL;
		new.mask &= ~SIGNAL_UNBLOCKABLE;
	}
	mutex_lock(&p->lock);
	mutex_lock(&p->signals.lock);
	old = p->signals.action[sig - 1];
	if (r->rsi) {
		p->signals.action[sig - 1] = new;
		signal_action_changed(p, sig);
	}
	mutex_unlock(&p->signals.lock);
	mutex_unlock(&p->lock);
	return r->rdx ? put_user(old, (struct signal_action *)r->rdx) : 0;
}

long sys_rt_sigprocmask(struct regs *r)
{
	struct thread *t = current();
	sigmask_t old = t->signals.blocked, set;

	if (r->r10 != sizeof(sigmask_t))
		return -EINVAL;
	if (r->rsi) {
		if (get_user(set, (void *)r->rsi))
			return -EFAULT;
		switch ((int)r->rdi) {
		case SIG_BLOCK: set |= old; break;
		case SIG_UNBLOCK: set = old & ~set; break;
		case SIG_SETMASK: break;
		default: return -EINVAL;
		}
		if ((set & ~SIGNAL_UNBLOCKABLE) != old)
			signal_set_blocked(t, set);
	}
	return r->rdx ? put_user(old, (sigmask_t *)r->rdx) : 0;
}

long sys_rt_sigpending(struct regs *r)
{
	struct thread *t = current();
	sigmask_t set;

	if (r->rsi > sizeof(sigmask_t))
		return -EINVAL;
	signal_send_noted();
	mutex_lock(&t->process->signals.lock);
	set = (t->signals.pending.set | t->process->signals.pending.set) & t->signals.blocked;
	mutex_unlock(&t->process->signals.lock);
	return copy_to_user((void *)r->rdi, &set, r->rsi);
}

/* Sleeps until a signal is there; never returns 0. */
static long wait_for_signal(void)
{
	while (!thread_sleep(-1))
		;
	return -ERESTARTNOHAND;
}

long sys_rt_sigsuspend(struct regs *r)
{
	sigmask_t set;

	if (r->rsi != sizeof(set))
		return -EINVAL;
	if (get_user(set, (void *)r->rdi))
		return -EFAULT;
	signal_set_temporary_mask(set);
	return wait_for_signal();
}

long sys_pause(struct regs *r)
{
	(void)r;
	return wait_for_signal();
}

/* Until a signal of `set` is taken: its number, -EAGAIN after the deadline, or -EINTR if another one's handler runs. */
static long wait_for_set(struct thread *t, sigmask_t set, int64_t deadline, siginfo_t *info)
{
	struct waiter w;
	bool taken;
	int err = 0;

	waiter_init_thread(&w, 0);
	waitq_add(&t->process->signals.waitq, &w);
	while (!(taken = signal_dequeue(set, info)) && !err) /* what interrupts the sleep may be a signal of the set */
		err = thread_sleep(deadline < 0 ? -1 : MAX(deadline - clock_now(CLOCK_MONOTONIC), 0));
	waitq_remove(&w);
	if (taken)
		return info->si_signo;
	return err == -ETIMEDOUT ? -EAGAIN : wait_again(t, deadline);
}

long sys_rt_sigtimedwait(struct regs *r)
{
	sigmask_t set;
	siginfo_t info;
	int64_t deadline = -1;
	long sig;

	if (r->r10 != sizeof(set))
		return -EINVAL;
	if (get_user(set, (void *)r->rdi))
		return -EFAULT;
	sig = r->rdx ? wait_deadline((const struct timespec *)r->rdx, CLOCK_MONOTONIC, false, &deadline) : 0;
	if (sig)
		return sig;
	sig = wait_for_set(current(), set, deadline, &info);
	if (sig > 0 && r->rsi && put_user(info, (siginfo_t *)r->rsi))
		return -EFAULT;
	return sig;
}

static void info_of_caller(siginfo_t *info, int sig, int code)
{
	memset(info, 0, sizeof(*info));
	info->si_signo = sig;
	info->si_code = code;
	info->si_pid = current()->process->pid;
	info->si_uid = current()->process->uid;
}

static long send_to_process(struct process *p, int sig, siginfo_t *info)
{
	return sig ? signal_send_process(p, sig, info) : 0;
}

/* --- kill --- */

struct kill_request {
	int32_t pgid; /* 0: everybody but the first process and the caller */
	int sig;
	siginfo_t *info;
	bool found;
	struct process *self; /* comes last: it may not return */
};

static void kill_one(struct process *p, void *data)
{
	struct kill_request *k = data;

	if (k->pgid ? p->pgid != k->pgid : p == g_process || p == current()->process)
		return;
	k->found = true;
	if (p == current()->process)
		k->self = p;
	else
		(void)send_to_process(p, k->sig, k->info);
}

static long kill_many(int32_t pgid, int sig, siginfo_t *info)
{
	struct kill_request k = { .pgid = pgid, .sig = sig, .info = info };

	process_tree_lock();
	process_for_each(kill_one, &k);
	process_tree_unlock();
	if (k.self)
		(void)send_to_process(k.self, sig, info);
	return k.found ? 0 : -ESRCH;
}

/* A thread's number names its process, too. */
static long kill_pid(int32_t pid, int sig, siginfo_t *info)
{
	struct process *p = process_find(pid);
	long ret;

	if (!p)
		p = process_of_thread(pid);
	ret = p ? send_to_process(p, sig, info) : -ESRCH;
	process_put(p);
	return ret;
}

long sys_kill(struct regs *r)
{
	int pid = (int)r->rdi, sig = (int)r->rsi;
	siginfo_t info;

	if (!signal_sendable(sig))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	info_of_caller(&info, sig, SI_USER);
	if (pid > 0)
		return kill_pid(pid, sig, &info);
	return kill_many(pid == -1 ? 0 : pid == 0 ? current()->process->pgid : -pid, sig, &info);
}

static long send_to_thread(int32_t tgid, int32_t tid, int sig, siginfo_t *info)
{
	struct process *p;
	long ret = -ESRCH;

	if (tid <= 0 || tgid == 0 || tgid < -1 || !signal_sendable(sig))
		return -EINVAL;
	p = process_of_thread(tid);
	if (p && (tgid == -1 || tgid == p->pid))
		ret = signal_send_tid(p, tid, sig, info);
	process_put(p);
	return ret;
}

long sys_tkill(struct regs *r)
{
	siginfo_t info;

	info_of_caller(&info, (int)r->rsi, SI_TKILL);
	return send_to_thread(-1, (int32_t)r->rdi, (int)r->rsi, &info);
}

long sys_tgkill(struct regs *r)
{
	siginfo_t info;

	if ((int32_t)r->rdi <= 0)
		return -EINVAL;
	info_of_caller(&info, (int)r->rdx, SI_TKILL);
	return send_to_thread((int32_t)r->rdi, (int32_t)r->rsi, (int)r->rdx, &info);
}

/* As Linux: what only kernel and kill say, nobody may say to others. */
static bool is_forged(const siginfo_t *info, int32_t pid)
{
	return (info->si_code >= 0 || info->si_code == SI_TKILL) && pid != current()->process->pid;
}

long sys_rt_sigqueueinfo(struct regs *r)
{
	int sig = (int)r->rsi;
	siginfo_t info;

	if (get_user(info, (void *)r->rdx))
		return -EFAULT;
	info.si_signo = sig;
	if (!signal_sendable(sig))
		return -EINVAL;
	if (is_forged(&info, (int32_t)r->rdi))
		return -EPERM;
	return kill_pid((int)r->rdi, sig, &info);
}

long sys_rt_tgsigqueueinfo(struct regs *r)
{
	siginfo_t info;

	if (get_user(info, (void *)r->r10))
		return -EFAULT;
	info.si_signo = (int)r->rdx;
	if ((int32_t)r->rdi <= 0)
		return -EINVAL;
	if (is_forged(&info, (int32_t)r->rdi))
		return -EPERM;
	return send_to_thread((int32_t)r->rdi, (int32_t)r->rsi, (int)r->rdx, &info);
}

#define PIDFD_SIGNAL_THREAD 1u /* newer than Debian 12's headers, as is THREAD_GROUP: 2 */
#define PIDFD_SIGNAL_GROUP 4u
#define PIDFD_SIGNAL_FLAGS 7u

static long pidfd_send(struct process *p, int sig, unsigned flags, siginfo_t *info)
{
	if (__atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == PROCESS_GONE)
		return -ESRCH;
	if (flags == PIDFD_SIGNAL_THREAD)
		return signal_send_tid(p, p->pid, sig, info);
	if (flags == PIDFD_SIGNAL_GROUP)
		return kill_many(p->pgid, sig, info);
	return send_to_process(p, sig, info);
}

/* What a pidfd, or a process's directory in /proc, stands for: one reference in *out, or negative errno. */
static int process_of_fd(int fd, struct process **out)
{
	struct file *f = fd_get_open(fd);
	struct process *p = f ? pidfd_process(f) : NULL;
	int err = p ? 0 : f ? procfs_process(f, out) : -EBADF;

	if (p)
		*out = process_get(p);
	if (f)
		file_put(f);
	return err;
}

long sys_pidfd_send_signal(struct regs *r)
{
	int sig = (int)r->rsi;
	unsigned flags = (unsigned)r->r10;
	struct process *p;
	siginfo_t info;
	long ret;

	if ((flags & ~PIDFD_SIGNAL_FLAGS) || (flags & (flags - 1)))
		return -EINVAL;
	ret = process_of_fd((int)r->rdi, &p);
	if (ret)
		return ret;
	info_of_caller(&info, sig, flags == PIDFD_SIGNAL_THREAD ? SI_TKILL : SI_USER);
	ret = r->rdx && get_user(info, (void *)r->rdx) ? -EFAULT : 0;
	if (!ret && (info.si_signo != sig || !signal_sendable(sig)))
		ret = -EINVAL;
	if (!ret && r->rdx && is_forged(&info, p->pid))
		ret = -EPERM;
	if (!ret)
		ret = pidfd_send(p, sig, flags, &info);
	process_put(p);
	return ret;
}

static int set_altstack(struct thread_signals *s, const stack_t *new)
{
	int mode = new->ss_flags & ~SS_AUTODISARM;

	if (mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		s->altstack_base = s->altstack_size = 0;
	} else {
		if (new->ss_size < MINSIGSTKSZ_)
			return -ENOMEM;
		s->altstack_base = (uint64_t)new->ss_sp;
		s->altstack_size = new->ss_size;
	}
	s->altstack_flags = new->ss_flags & ~SS_ONSTACK;
	return 0;
}

long sys_sigaltstack(struct regs *r)
{
	struct thread *t = current();
	struct thread_signals *s = &t->signals;
	bool on = signal_on_altstack(t, r->rsp);
	stack_t new, old = { .ss_sp = (void *)s->altstack_base, .ss_size = s->altstack_size };

	old.ss_flags = (s->altstack_size ? (on ? SS_ONSTACK : 0) : SS_DISABLE) | (s->altstack_flags & SS_AUTODISARM);
	if (r->rdi) {
		int err;

		if (get_user(new, (void *)r->rdi))
			return -EFAULT;
		if (on)
			return -EPERM;
		err = set_altstack(s, &new);
		if (err)
			return err;
	}
	return r->rsi ? put_user(old, (stack_t *)r->rsi) : 0;
}

long sys_rt_sigreturn(struct regs *r)
{
	return signal_frame_pop(current(), r);
}

/* Nothing to restart: the libOS restarts by itself. */
long sys_restart_syscall(struct regs *r)
{
	(void)r;
	return -EINTR;
}
