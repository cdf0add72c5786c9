/*
 * Threads and processes: clone, exec, exit, and the small per-thread registrations. Entry points of the system call table.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "core/uaccess.h"
#include "fs/inode.h"
#include "served/served.h"
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
#define CLONE_PROCESS_FLAGS (CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND)
#define CLONE_NEW_FLAGS                                                                                              \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define FS_BASE_END (1ull << 47)

/* Whose system calls another cVM serves has one process: the server knows no others. */
static bool refused(void)
{
	static uint32_t said;

	if (likely(!g_served))
		return false;
	if (!__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED))
		log_text("a cVM whose system calls another one serves cannot create processes or replace its program");
	return true;
}

void thread_prepare(struct thread *t, const struct clone_request *c)
{
	/* Linux ignores bad addresses here too. */
	if (c->flags & CLONE_PARENT_SETTID)
		(void)!put_user(t->tid, c->parent_tid);
	if (c->flags & CLONE_CHILD_SETTID)
		t->set_child_tid = c->child_tid;
	if (c->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = (uint32_t *)c->child_tid;
}

/* Before the new thread runs. */
static void prepare(struct thread *t, void *data)
{
	thread_prepare(t, data);
}

static long clone_process(struct regs *r, struct clone_request *c)
{
	if (c->flags & CLONE_NEW_FLAGS)
		return -EPERM;
	if ((c->flags & ~(CLONE_PROCESS_FLAGS | CLONE_OTHER_FLAGS)) || c->exit_signal < 0 || c->exit_signal > SIGNAL_COUNT)
		return -EINVAL;
	if ((c->flags & CLONE_SETTLS) && c->tls >= FS_BASE_END)
		return -EPERM;
	return refused() ? -ENOSYS : process_clone(r, c);
}

/* What the flags do not ask for may be anything. */
static bool addresses_in_program(const struct clone_request *c)
{
	return address_in_program(c->stack) && (!(c->flags & CLONE_SETTLS) || address_in_program(c->tls)) &&
	       (!(c->flags & CLONE_PIDFD) || in_program(c->pidfd)) &&
	       (!(c->flags & CLONE_PARENT_SETTID) || in_program(c->parent_tid)) &&
	       (!(c->flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) || in_program(c->child_tid));
}

static long do_clone(struct regs *r, struct clone_request *c)
{
	struct regs child = *r;
	uint64_t fs;
	int32_t tid;
	int error;

	if (!addresses_in_program(c))
		return -EFAULT;
	if (!(c->flags & CLONE_THREAD)) {
		if ((c->flags & (CLONE_SIGHAND | CLONE_VM)) == CLONE_SIGHAND)
			return -EINVAL;
		return clone_process(r, c);
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
		.pidfd = (int32_t *)r->rdx,
		.tls = r->r8,
		.exit_signal = (int32_t)(r->rdi & CSIGNAL),
	};

	if ((c.flags & CLONE_PIDFD) && (c.flags & CLONE_PARENT_SETTID))
		return -EINVAL;
	return do_clone(r, &c);
}

long sys_clone3(struct regs *r)
{
	uint64_t size = r->rsi;
	struct clone_args a;
	struct clone_request c;
	int err;

	if (size > PAGE_SIZE)
		return -E2BIG;
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	err = copy_struct_from_user(&a, sizeof(a), (void *)r->rdi, size);
	if (err)
		return err;
	if ((a.flags & CSIGNAL) || a.set_tid_size || (a.stack != 0) != (a.stack_size != 0))
		return -EINVAL;
	if ((a.flags & CLONE_THREAD) && a.exit_signal)
		return -EINVAL;
	c = (struct clone_request){ .flags = a.flags, .stack = a.stack + a.stack_size, .parent_tid = (int32_t *)a.parent_tid,
				    .child_tid = (int32_t *)a.child_tid, .pidfd = (int32_t *)a.pidfd, .tls = a.tls,
				    .exit_signal = (int32_t)MIN(a.exit_signal, (uint64_t)INT32_MAX) };
	return do_clone(r, &c);
}

long sys_fork(struct regs *r)
{
	struct clone_request c = { .exit_signal = SIGCHLD };

	return do_clone(r, &c);
}

long sys_vfork(struct regs *r)
{
	struct clone_request c = { .flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD };

	return do_clone(r, &c);
}

/* --- exec --- */

#define STRING_MAX 0x20000ul /* MAX_ARG_STRLEN */
#define STRINGS_MAX 0x200000ul /* a quarter of the largest stack */

/* How many pointers the list has before its NULL. */
static long count_pointers(uint64_t user)
{
	for (size_t n = 0; n < STRINGS_MAX / sizeof(uint64_t); n++) {
		uint64_t p;

		if (get_user(p, (void *)(user + n * sizeof(p))))
			return -EFAULT;
		if (!p)
			return (long)n;
	}
	return -E2BIG;
}

/* A growing block of strings. */
struct strings {
	char *bytes;
	size_t size, used;
};

static int strings_add(struct strings *s, uint64_t user)
{
	for (;;) {
		size_t room = s->size - s->used, size;
		ssize_t n = room ? copy_string_from_user(s->bytes + s->used, (const char *)user, room) : -ENAMETOOLONG;
		char *more;

		if (n >= 0) {
			s->used += (size_t)n + 1;
			return 0;
		}
		if (n != -ENAMETOOLONG)
			return (int)n;
		if (room >= STRING_MAX || s->size >= STRINGS_MAX)
			return -E2BIG;
		size = MAX(s->size * 2, PAGE_SIZE);
		more = kmalloc(size);
		if (!more)
			return -ENOMEM;
		if (s->used)
			memcpy(more, s->bytes, s->used);
		kfree(s->bytes);
		s->bytes = more;
		s->size = size;
	}
}

/* The program's list of strings as one of the libOS, in one block; a missing list is an empty one. */
static int list_from_user(uint64_t user, const char *if_empty, const char ***out)
{
	long count = user ? count_pointers(user) : 0;
	size_t n = count > 0 ? (size_t)count : if_empty ? 1 : 0;
	struct strings s = { 0 };
	const char **list;
	int err = count < 0 ? (int)count : 0;

	for (long i = 0; i < count && !err; i++) {
		uint64_t p;

		err = get_user(p, (void *)(user + (uint64_t)i * sizeof(p))) || !address_in_program(p) ? -EFAULT : strings_add(&s, p);
	}
	list = err ? NULL : kmalloc((n + 1) * sizeof(*list) + s.used + 1);
	if (!err && !list)
		err = -ENOMEM;
	if (!err) {
		char *at = (char *)(list + n + 1);

		if (s.used)
			memcpy(at, s.bytes, s.used);
		else
			*at = '\0';
		for (size_t i = 0; i < n; at += strlen(at) + 1)
			list[i++] = at;
		list[n] = NULL;
		*out = list;
	}
	kfree(s.bytes);
	return err;
}

static long do_exec(struct exec_strings *s, uint64_t argv, uint64_t envp)
{
	long ret = list_from_user(argv, "", &s->argv);

	if (!ret)
		ret = list_from_user(envp, NULL, &s->envp);
	if (!ret)
		ret = refused() ? -ENOSYS : process_exec(s);
	exec_strings_free(s);
	return ret;
}

long sys_execve(struct regs *r)
{
	struct exec_strings s = { 0 };
	int err = path_from_user((const char *)r->rdi, &s.path);

	s.name = err ? NULL : pathbuf_get();
	if (!s.name) {
		pathbuf_put(s.path);
		return err ? err : -ENOMEM;
	}
	format(s.name, PATH_SIZE, "%s", s.path);
	return do_exec(&s, r->rsi, r->rdx);
}

/* Relative to a descriptor a file is found as the program could find it itself: below /proc/self/fd. */
static int name_at(struct exec_strings *s, int dirfd, const char *path, int flags)
{
	struct file *f;
	int n;

	if (*path == '/' || (dirfd == AT_FDCWD && *path)) {
		format(s->path, PATH_SIZE, "%s", path);
		format(s->name, PATH_SIZE, "%s", path);
		return 0;
	}
	if (!*path && !(flags & AT_EMPTY_PATH))
		return -ENOENT;
	f = fd_get(dirfd);
	if (!f)
		return -EBADF;
	file_put(f);
	n = format(s->path, PATH_SIZE, "/proc/self/fd/%d%s%s", dirfd, *path ? "/" : "", path);
	format(s->name, PATH_SIZE, "/dev/fd/%d%s%s", dirfd, *path ? "/" : "", path);
	return (size_t)n < PATH_SIZE ? 0 : -ENAMETOOLONG;
}

static int refuse_link(const char *path)
{
	struct walk w;
	int err = path_walk(&w, NULL, path, 0);

	if (err)
		return err;
	err = w.dentry && is_link(w.dentry->inode) ? -ELOOP : 0;
	walk_done(&w);
	return err;
}

long sys_execveat(struct regs *r)
{
	struct exec_strings s = { pathbuf_get(), pathbuf_get(), NULL, NULL };
	int flags = (int)r->r8, err = s.path && s.name ? 0 : -ENOMEM;
	char *path = NULL;

	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		err = -EINVAL;
	if (!err)
		err = path_from_user((const char *)r->rsi, &path);
	if (!err)
		err = name_at(&s, (int)r->rdi, path, flags);
	if (!err && (flags & AT_SYMLINK_NOFOLLOW) && *path)
		err = refuse_link(s.path);
	pathbuf_put(path);
	if (err) {
		exec_strings_free(&s);
		return err;
	}
	return do_exec(&s, r->rdx, r->r10);
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
