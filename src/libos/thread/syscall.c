/*
 * Dispatch of system calls by number. The table comes from sys/syscalls.h; what is not in it is ENOSYS and, if the
 * command asked for it, logged once. Called by signal/upcall.c (sites that are not rewritten) and the restart of an
 * interrupted call in signal/deliver.c; by entry.S (rewritten sites) for what it does not find in the table itself.
 */
#include "abi/boot.h"
#include "core/log.h"
#include "mm/mm.h"
#include "served/served.h"
#include "sys/syscalls.h"
#include "sys/trace.h"
#include "thread/entry.h"
#include "thread/isolated.h"

#define SYSCALL_COUNT 512
#define EFAULT_RETRIES 100 /* other threads execute meanwhile what this one wants to write: mm/write_exec.c */

typedef long syscall_handler(struct regs *r);

#define SYS_HANDLER(name, args) [__NR_##name] = sys_##name,
syscall_handler *const g_handlers[SYSCALL_COUNT] __attribute__((visibility("hidden"))) = { SYSCALL_TABLE(SYS_HANDLER) };
#undef SYS_HANDLER

uint64_t g_fast_limit = SYSCALL_COUNT;

static syscall_handler *handler_of(uint64_t nr)
{
	if (likely(nr < SYSCALL_COUNT))
		return g_handlers[nr];
	switch (nr) {
#define SYS_CASE(name, args) case __NR_##name: return sys_##name;
		SYSCALLS_PRIVATE(SYS_CASE)
#undef SYS_CASE
	default: return NULL;
	}
}

static uint64_t g_unknown_said[SYSCALL_COUNT / 64];

static void say_unknown(uint64_t nr)
{
	uint64_t bit = 1ull << (nr % 64);

	if (nr >= SYSCALL_COUNT) {
		log_text("system call %lu is not implemented", nr);
		return;
	}
	if (__atomic_fetch_or(&g_unknown_said[nr / 64], bit, __ATOMIC_RELAXED) & bit)
		return;
	log_text("system call %lu (%s) is not implemented", nr, trace_syscall_name(nr));
}

/* Numbers without handler, and everything with --trace. */
static long dispatch_slow(struct regs *r, uint32_t flags)
{
	uint64_t nr = r->orig_rax;
	syscall_handler *handler = handler_of(nr);
	long ret;

	if (unlikely(g_served) && served_syscall(r, &ret)) {
		if (handler)
			trace_enter(r);
	} else if (!handler) {
		if (flags & (BOOT_FLAG_TRACE | BOOT_FLAG_LOG_UNKNOWN))
			say_unknown(nr);
		ret = -ENOSYS;
	} else {
		trace_enter(r);
		ret = handler(r);
	}
	if (flags & BOOT_FLAG_TRACE)
		trace_exit(r, ret);
	return ret;
}

/* What a result may still ask for; entry.S knows which do. */
long syscall_finish(struct regs *r, long ret)
{
	struct thread *t = current();

	/* not behind rt_sigreturn: the result is the interrupted code's rax */
	for (int i = 0; unlikely(ret == -EFAULT) && (long)r->orig_rax >= 0 && i < EFAULT_RETRIES && mm_make_writable(); i++)
		ret = dispatch_slow(r, t->process->boot_flags);
	/* Of these two entry.S has what the hostcall gave: retry_file_call. */
	if (ret == -EINTR && (r->orig_rax == __NR_pread64 || r->orig_rax == __NR_pwrite64))
		ret = -ERESTARTNOINTR;
	/* Codes that must not reach the program, and a mask to put back: thread_return_work sees to them. */
	if (unlikely(is_restart_code(ret) || t->restore_mask))
		__atomic_fetch_or(&t->work, WORK_SIGNAL, __ATOMIC_RELAXED);
	return ret;
}

/* Of the registers that look like addresses of the libOS, is one an address? Others hold numbers, or what was left there: C
 * libraries do not clear what a call, or the mode that they ask for, does not look at. */
static bool address_names_libos(const struct regs *r)
{
	const char *letters = trace_syscall_args(r->orig_rax);

	if (r->orig_rax >= SYSCALL_COUNT) /* Linux's have letters, and numbers without handler do nothing */
		return true;
	for (int i = 0; letters && letters[i]; i++)
		if (strchr("psbrta", letters[i]) && !address_in_program((uint64_t)arg(r, i)))
			return true;
	return false;
}

long syscall_dispatch(struct regs *r)
{
	struct thread *t = current();
	uint64_t nr = r->orig_rax;

	t->regs = r;
	if (in_stack_room(t, r->rsp)) /* not by entry.S */
		mm_stack_reach(r->rsp);
	if (unlikely(isolated() && !registers_in_program(r) && address_names_libos(r)))
		return -EFAULT;
	return syscall_finish(r, likely(nr < g_fast_limit && g_handlers[nr]) ? g_handlers[nr](r) :
										dispatch_slow(r, t->process->boot_flags));
}
