/*
 * New processes: clone(2), vfork(2) and fork(2), and programs started from outside the cVM
 * (process/process.h). Called by sys/sys_thread.c and process/exec_service.c.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "core/uaccess.h"
#include "fs/vfs.h"
#include "ipc/eventfd.h"
#include "ipc/sysv.h"
#include "loader/exec.h"
#include "mm/mm.h"
#include "process/process.h"
#include "process/turn.h"
#include "signal/internal.h"
#include "sys/trace.h"
#include "thread/create.h"
#include "thread/entry.h"
#include "tty/terminal.h"

#include <linux/sched.h>

#define WHY_SIZE 1024u
#define STATUS_EXEC 126

/* --- clone --- */

/* Before the new process runs. */
static void prepare(struct thread *t, void *data)
{
	const struct clone_request *c = data;

	thread_prepare(t, c);
	t->stack_room = current()->stack_room;
	t->stack_room_size = current()->stack_room_size;
	if ((c->flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM) { /* else two would have the same alternate stack at once */
		const struct thread_signals *s = &current()->signals;

		t->signals.altstack_base = s->altstack_base;
		t->signals.altstack_size = s->altstack_size;
		t->signals.altstack_flags = s->altstack_flags;
	}
}

static int give_pidfd(struct process *p, int32_t *user)
{
	struct file *f = pidfd_create(p, 0);
	int fd = f ? fd_install(f, 0, true) : -ENOMEM, err;

	if (fd < 0)
		return fd;
	err = put_user(fd, user);
	if (err)
		(void)!fd_close(fd);
	return err ? err : fd;
}

static bool is_killed(const struct thread *t)
{
	return (t->signals.pending.set | t->process->signals.pending.set) & SIGBIT(SIGKILL);
}

/* Signals wait, but not the end of this process: true if it is for the caller to end it, and never to go back to the program, whose
 * stack the child has. */
static bool wait_for_vfork(struct process *p)
{
	struct thread *t = current();
	bool killed = false;

	__atomic_store_n(&t->asleep, 'D', __ATOMIC_RELAXED);
	while (__atomic_load_n(&p->vfork_word, __ATOMIC_SEQ_CST) && !(t->work & WORK_EXIT) && !(killed = is_killed(t))) {
		turn_release(t); /* a fork or an exec elsewhere may have given it one */
		(void)hostcall(HC_futex_wait, &p->vfork_word, 1, TURN_LOOK_NS);
	}
	__atomic_store_n(&t->asleep, 0, __ATOMIC_RELAXED);
	turn_resume(t);
	return killed;
}

void process_vfork_done(struct process *p)
{
	if (__atomic_exchange_n(&p->vfork_word, 0, __ATOMIC_SEQ_CST))
		hostcall(HC_futex_wake, &p->vfork_word, 1);
}

static long start_child(struct process *p, const struct regs *r, const struct clone_request *c)
{
	struct regs child = *r;
	int pidfd = -1, err;
	int32_t tid;
	uint64_t fs;

	child.rax = 0;
	child.rsp = c->stack ? c->stack : r->rsp;
	child.cs = USER_CS;
	child.ss = USER_SS;
	__asm__("rdfsbase %0" : "=r"(fs));
	if (c->flags & CLONE_SETTLS)
		fs = c->tls;
	if (c->flags & CLONE_PIDFD) {
		pidfd = give_pidfd(p, c->pidfd);
		if (pidfd < 0)
			return pidfd;
	}
	if (thread_create_prepared(p, &child, fs, prepare, (void *)(uintptr_t)c, &tid, &err))
		return tid;
	if (pidfd >= 0)
		(void)!fd_close(pidfd);
	return err;
}

long process_clone(const struct regs *r, const struct clone_request *c)
{
	struct process *self = current()->process, *p = process_copy(self, true);
	bool killed = false;
	long ret;

	if (!p)
		return -ENOMEM;
	if (c->flags & CLONE_VM) {
		p->program = program_get(self->program);
	} else {
		int error = turn_fork_begin(self->program);

		if (!error) {
			p->program = family_fork(self->program, &error);
			if (p->program)
				error = shm_fork(self->program, p->program);
			turn_fork_end(self->program);
		}
		if (error) {
			process_put(p);
			return error;
		}
	}
	p->exit_signal = c->exit_signal;
	p->vfork_word = c->flags & CLONE_VFORK ? 1 : 0;
	if (c->flags & CLONE_CLEAR_SIGHAND)
		signal_reset_handlers(p);
	ret = process_adopt(p, self);
	if (!ret) {
		ret = start_child(p, r, c);
		if (ret < 0)
			process_disown(p);
		else if (c->flags & CLONE_VFORK)
			killed = wait_for_vfork(p);
	}
	process_put(p);
	if (killed)
		process_exit(SIGKILL | 0x100);
	return ret;
}

/* --- from outside --- */

struct start {
	const char **argv, **envp; /* with their strings one kmalloc'ed block each */
	char *cwd;
};

static void start_free(struct start *s)
{
	if (s) {
		kfree(s->argv);
		kfree(s->envp);
		kfree(s->cwd);
	}
	kfree(s);
}

/* The list and its strings in one block. */
static const char **copy_list(const char *const *list)
{
	size_t n = 0, size = 0;
	const char **copy;
	char *at;

	for (; list[n]; n++)
		size += strlen(list[n]) + 1;
	copy = kmalloc((n + 1) * sizeof(*copy) + size);
	if (!copy)
		return NULL;
	at = (char *)(copy + n + 1);
	for (size_t i = 0; i < n; i++) {
		size_t length = strlen(list[i]) + 1;

		copy[i] = memcpy(at, list[i], length);
		at += length;
	}
	copy[n] = NULL;
	return copy;
}

static _Noreturn void never_started(struct start *s, char *why, int status)
{
	current()->process->why = why;
	start_free(s);
	process_exit((uint32_t)status);
}

/* The first thread of such a process. */
static void run_main(void *arg)
{
	struct process *p = current()->process;
	struct start *s = arg;
	char *why = kmalloc(WHY_SIZE);
	struct exec_start at;
	int err, status;

	if (!why)
		never_started(s, NULL, STATUS_EXEC);
	err = vfs_enter(s->cwd);
	if (err) {
		format(why, WHY_SIZE, "working directory %s: %s", s->cwd, errno_text(-err));
		never_started(s, why, STATUS_EXEC);
	}
	status = exec_first(s->argv[0], s->argv, s->envp, &at, why, WHY_SIZE);
	if (status)
		never_started(s, why, status);
	kfree(why);
	start_free(s);
	if (p->until_begun) {
		p->at_end(p->at_end_arg, 0, NULL);
		p->at_end = NULL;
	}
	thread_enter_program(at.rip, at.rsp);
}

static struct process *process_outside(const struct process_request *rq)
{
	struct process *p = process_copy(g_process, false);

	if (!p)
		return NULL;
	process_renew(p, rq->uid, rq->gid);
	p->program = program_create(p->mm);
	for (int i = 0; i < 3; i++)
		if (rq->files[i])
			fdtable_set(p->files, i, rq->files[i]);
	if (p->program)
		return p;
	process_put(p);
	return NULL;
}

long process_run(const struct process_request *rq, void (*at_end)(void *arg, int status, const char *why), void *arg)
{
	struct start *s = kzalloc(sizeof(*s));
	struct process *p = process_outside(rq);
	int err = -ENOMEM;
	long pid = 0;

	if (s) {
		s->argv = copy_list(rq->argv);
		s->envp = copy_list(rq->envp);
		s->cwd = kstrdup(rq->cwd);
	}
	if (p && s && s->argv && s->envp && s->cwd)
		err = process_adopt(p, NULL);
	if (!err) {
		process_tree_lock();
		pid = p->pgid = p->sid = p->pid;
		p->no_terminal = false;
		process_tree_unlock();
		if (rq->terminal)
			terminal_give(rq->terminal, p);
		p->at_end = at_end;
		p->at_end_arg = arg;
		p->until_begun = rq->until_begun;
		if (!thread_start_first(p, run_main, s, &err))
			process_disown(p);
	}
	if (err)
		start_free(s);
	process_put(p);
	return err ? err : pid;
}

int process_signal(int32_t pid, int sig)
{
	struct process *p = process_find(pid);
	siginfo_t info = { .si_signo = sig, .si_code = SI_USER };
	int err = p ? signal_send_process(p, sig, &info) : -ESRCH;

	process_put(p);
	return err;
}
