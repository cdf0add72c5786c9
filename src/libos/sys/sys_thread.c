/*
 * Threads: clone as C libraries use it for pthread_create, exit, and the small per-thread registrations. fork, vfork
 * and execve say once that they are missing. Entry points of the system call table.
 */
#include "core/hostcall.h"
#include "core/log.h"
#include "core/uaccess.h"
#include "sys/syscalls.h"
#include "thread/clock.h"
#include "thread/create.h"
#include "thread/entry.h"
#include "thread/isolated.h"

#include <asm/prctl.h>
#include <linux/sched.h>

/* A thread shares all of these here; the rest of the accepted flags change nothing or are handled below. */
#define CLONE_THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_OTHER_FLAGS                                                                                            \
	(CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_IO |    \
	 CLONE_DETACHED | CLONE_UNTRACED | CLONE_PTRACE)
#define FS_BASE_END (1ull << 47)

struct clone_request {
	uint64_t flags, stack;
	int32_t *parent_tid, *child_tid;
	uint64_t tls;
};

static long missing(const char *what)
{
	static uint32_t said;

	if (!__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED))
		log_text("%s: a cVM runs one process so far: creating another, or replacing it, is not implemented", what);
	return -ENOSYS;
}

/* Before the new thread runs. */
static void prepare(struct thread *t, void *data)
{
	const struct clone_request *c = data;

	/* Linux ignores bad addresses here too. */
	if ((c->flags & CLONE_PARENT_SETTID) && put_user(t->tid, c->parent_tid))
		c = data;
	if ((c->flags & CLONE_CHILD_SETTID) && put_user(t->tid, c->child_tid))
		c = data;
	if (c->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = (uint32_t *)c->child_tid;
}

static long do_clone(struct regs *r, struct clone_request *c)
{
	struct regs child = *r;
	uint64_t fs;
	int32_t tid;
	int error;

	if (!(c->flags & CLONE_THREAD)) {
		if ((c->flags & (CLONE_SIGHAND | CLONE_VM)) == CLONE_SIGHAND)
			return -EINVAL;
		return missing("clone");
	}
	if ((c->flags & (CLONE_SIGHAND | CLONE_VM)) != (CLONE_SIGHAND | CLONE_VM))
		return -EINVAL;
	if ((c->flags & CLONE_THREAD_FLAGS) != CLONE_THREAD_FLAGS || (c->flags & ~(CLONE_THREAD_FLAGS | CLONE_OTHER_FLAGS)))
		return -EINVAL;
	__asm__("rdfsbase %0" : "=r"(fs));
	if (c->flags & CLONE_SETTLS)
		fs = c->tls;
	if (fs >= FS_BASE_END)
		return -EPERM;
	if (c->stack)
		child.rsp = c->stack;
	child.rax = 0;
	child.cs = USER_CS;
	child.ss = USER_SS;
	if (!thread_create_prepared(current()->process, &child, fs, prepare, c, &tid, &error))
		return error;
	return tid;
}

long sys_clone(struct regs *r)
{
	struct clone_request c = {
		.flags = r->rdi & 0xffffffff & ~(uint64_t)CSIGNAL,
		.stack = r->rsi,
		.parent_tid = (int32_t *)r->rdx,
		.child_tid = (int32_t *)r->r10,
		.tls = r->r8,
	};

	return do_clone(r, &c);
}

long sys_clone3(struct regs *r)
{
	uint64_t size = r->rsi;
	struct clone_args a;
	struct clone_request c;

	if (size > PAGE_SIZE)
		return -E2BIG;
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	memset(&a, 0, sizeof(a));
	if (copy_from_user(&a, (void *)r->rdi, MIN(size, sizeof(a))))
		return -EFAULT;
	if (!address_in_program(a.pidfd) || !address_in_program(a.parent_tid) || !address_in_program(a.child_tid))
		return -EFAULT;
	if ((a.flags & CSIGNAL) || a.set_tid_size || (a.stack != 0) != (a.stack_size != 0))
		return -EINVAL;
	if ((a.flags & CLONE_THREAD) && a.exit_signal)
		return -EINVAL;
	c = (struct clone_request){ a.flags, a.stack + a.stack_size, (int32_t *)a.parent_tid, (int32_t *)a.child_tid, a.tls };
	return do_clone(r, &c);
}

long sys_fork(struct regs *r)
{
	(void)r;
	return missing("fork");
}

long sys_vfork(struct regs *r)
{
	(void)r;
	return missing("vfork");
}

long sys_execve(struct regs *r)
{
	(void)r;
	return missing("execve");
}

long sys_execveat(struct regs *r)
{
	(void)r;
	return missing("execveat");
}

long sys_exit(struct regs *r)
{
	thread_exit((int)r->rdi);
}

long sys_exit_group(struct regs *r)
{
	process_exit((uint32_t)r->rdi & 0xff);
}

long sys_set_tid_address(struct regs *r)
{
	struct thread *t = current();

	t->clear_child_tid = (uint32_t *)r->rdi;
	return t->tid;
}

long sys_gettid(struct regs *r)
{
	(void)r;
	return current()->tid;
}

long sys_set_robust_list(struct regs *r)
{
	struct thread *t = current();

	if (r->rsi != 24) /* sizeof(struct robust_list_head) */
		return -EINVAL;
	t->robust_list = (void *)r->rdi;
	t->robust_list_size = r->rsi;
	return 0;
}

long sys_get_robust_list(struct regs *r)
{
	struct process *p = current()->process;
	int32_t tid = (int32_t)r->rdi ? (int32_t)r->rdi : current()->tid;
	struct thread *t;
	void *list = NULL;

	mutex_lock(&p->lock);
	t = thread_find(p, tid);
	if (t)
		list = t->robust_list;
	mutex_unlock(&p->lock);
	if (!t)
		return -ESRCH;
	if (put_user((size_t)24, (size_t *)r->rdx) || put_user(list, (void **)r->rsi))
		return -EFAULT;
	return 0;
}

/* GS base names the vCPU and is the monitor's: a program may neither set nor use it. */
long sys_arch_prctl(struct regs *r)
{
	uint64_t fs;

	switch (r->rdi) {
	case ARCH_SET_FS:
		if (r->rsi >= FS_BASE_END)
			return -EPERM;
		__asm__ volatile("wrfsbase %0" : : "r"(r->rsi));
		return 0;
	case ARCH_GET_FS:
		__asm__("rdfsbase %0" : "=r"(fs));
		return put_user(fs, (uint64_t *)r->rsi);
	case ARCH_SET_GS:
		return -EPERM;
	case ARCH_GET_GS:
		return put_user((uint64_t)0, (uint64_t *)r->rsi);
	case ARCH_GET_CPUID:
		return 1;
	case ARCH_SET_CPUID:
		return -ENODEV;
	default:
		return -EINVAL;
	}
}

long sys_sched_yield(struct regs *r)
{
	(void)r;
	return hostcall(HC_thread_yield);
}
