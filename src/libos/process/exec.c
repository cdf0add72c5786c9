/*
 * execve(2) (process/process.h): the files are looked at while the old program could still go on; then every other thread
 * ends, the old program's memory goes, and what Linux says must not outlive it.
 */
#include "abi/boot.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "fs/inode.h"
#include "ipc/mqueue.h"
#include "loader/exec.h"
#include "mm/mm.h"
#include "process/process.h"
#include "process/turn.h"
#include "signal/internal.h"
#include "signal/timer.h"
#include "sys/trace.h"
#include "thread/create.h"
#include "thread/entry.h"

#define WHY_SIZE 1024u

void exec_strings_free(struct exec_strings *s)
{
	pathbuf_put(s->path);
	pathbuf_put(s->name);
	kfree(s->argv);
	kfree(s->envp);
}

/* Waits until every other thread has ended: the caller has the process's number then. -EINTR: the process is ending, or
 * another thread was first. */
static int become_single(void)
{
	struct thread *t = current();
	struct process *p = t->process;
	int ret = 0;

	mutex_lock(&p->lock);
	if (p->exiting || p->exec_thread) {
		mutex_unlock(&p->lock);
		return -EINTR;
	}
	p->exec_thread = t;
	list_for_each(pos, &p->threads) {
		struct thread *other = list_entry(pos, struct thread, link);

		if (other != t)
			thread_notify(other, WORK_EXIT);
	}
	while (p->thread_count > 1 && !p->exiting) {
		uint32_t count = p->thread_count;

		mutex_unlock(&p->lock);
		turn_release(t);
		(void)hostcall(HC_futex_wait, &p->thread_count, count, TURN_LOOK_NS);
		mutex_lock(&p->lock);
	}
	p->exec_thread = NULL;
	if (p->exiting) {
		ret = -EINTR;
	} else if (t->tid != p->pid) {
		number_give(t->tid);
		t->tid = p->pid;
	}
	mutex_unlock(&p->lock);
	turn_resume(t);
	return ret;
}

static void replace_program(struct process *p, struct program *program)
{
	struct thread *t = current();
	struct program *old;

	thread_tell_joiners(t);
	mutex_lock(&p->lock);
	old = p->program;
	p->program = program;
	mutex_unlock(&p->lock);
	program_put(old);
	turn_release(t);
	process_vfork_done(p);
}

/* What does not outlive the old program. */
static void forget(struct thread *t)
{
	struct process *p = t->process;

	fdtable_close(p->files, true);
	mqueue_exec(p);
	signal_exec(t);
	timers_end(p, false);
	p->words.dumpable = 1;
	p->words.keep_caps = 0;
	p->suid = p->fsuid = p->euid;
	p->sgid = p->fsgid = p->egid;
	process_tree_lock();
	p->has_execed = true;
	process_tree_unlock();
	t->clear_child_tid = NULL;
	t->robust_list = NULL;
	t->restore_mask = false;
}

long process_exec(struct exec_strings *s)
{
	struct process *p = current()->process;
	char *why = kmalloc(WHY_SIZE);
	struct program *program;
	struct exec_start at;
	struct exec *e;
	int ret = -ENOMEM;

	if (!why)
		return ret;
	e = exec_open(s->path, s->name, s->argv, s->envp, why, WHY_SIZE, &ret);
	program = e ? program_create(p->mm) : NULL;
	if (e && !program)
		ret = -ENOMEM;
	if (!ret)
		ret = become_single();
	if (ret) {
		if (exec_is_remarkable(ret))
			log_text("execve: %s", why);
		exec_close(e);
		program_put(program);
		kfree(why);
		return exec_errno(ret);
	}
	if (p->boot_flags & BOOT_FLAG_TRACE)
		trace_exit(current()->regs, 0);
	replace_program(p, program);
	forget(current());
	ret = exec_map(e, s->envp, &at);
	exec_close(e);
	exec_strings_free(s);
	if (ret)
		log_text("execve: %s", why);
	kfree(why);
	if (ret)
		process_exit(SIGKILL | 0x100);
	__asm__ volatile("wrfsbase %0" : : "r"(0ul));
	thread_enter_program(at.rip, at.rsp);
}
