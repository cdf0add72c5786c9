/*
 * Signals of the host: faults and trapped system calls of cVM code, and kicks.
 *
 * The kernel runs the handler with access to key 0 only, on the thread's alternate stack in key-0 memory. The handler
 * therefore never touches cVM memory nor the vCPU page, and never widens PKRU: it notes what happened in struct
 * thread and returns, through rt_sigreturn, not to the cVM but to trap_entry, as the monitor. cVM code that jumps into
 * the handler faults at its first access to key-0 memory.
 */
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <linux/audit.h>
#include <linux/signal.h>
#include <linux/types.h>

#include "host/syscall.h"
#include "monitor/trap.h"

#define RFLAGS_TRAP 0x100

extern char gate_enter[], gate_commit[], gate_leave[], gate_tail[], gate_move_result[], gate_tail_end[];
extern char cvm_enter_label[] __asm__("cvm_enter"), enter_tail[], enter_tail_end[];
extern char call_leave_label[] __asm__("call_leave"), call_tail[], call_jump[], call_tail_end[];
extern char interruptible_begin[], interruptible_end[], interruptible_exit[];
void signal_entry(int sig);
void signal_restorer(void);
void trap_entry(void);
void trap_handle(int sig, siginfo_t *info, struct ucontext *uc, struct thread *t);

static inline bool between(uint64_t rip, const char *from, const char *to)
{
	return rip >= (uint64_t)from && rip < (uint64_t)to;
}

/* The thread was in the monitor: kicks are noted, copy routines continue at their exit, all else is a bug of ours. */
static void trap_in_monitor(int sig, siginfo_t *info, struct sigcontext *sc, struct thread *t)
{
	if (sig == KICK_SIGNAL) {
		t->kick = 1;
		if (between(sc->rip, interruptible_begin, interruptible_end))
			sc->rip = (uint64_t)interruptible_exit;
		else if (between(sc->rip, gate_leave, gate_tail))
			sc->rip = (uint64_t)gate_leave;
		else if (between(sc->rip, call_leave_label, call_tail))
			sc->rip = (uint64_t)call_leave_label;
		return;
	}
	if ((sig == SIGSEGV || sig == SIGBUS) && between(sc->rip, copy_fault_begin, copy_fault_end)) {
		sc->rip = (uint64_t)copy_fault_exit;
		return;
	}
	if (sig == SIGTRAP && (sc->eflags & RFLAGS_TRAP)) {
		sc->eflags &= ~(uint64_t)RFLAGS_TRAP; /* came in with the gate; see FLAGS_UNSAFE */
		return;
	}
	struct channel_report numbers = { .signal = sig, .rip = sc->rip, .address = (uint64_t)info->si_addr };
	host_die(UINT32_MAX, "monitor", &numbers);
}

/* Interrupted inside a gate but still, or already, on the cVM's side of it: make it a context outside the gates. */
static void leave_gate_window(struct thread *t)
{
	struct upcall_frame *f = &t->trap;

	t->trap_pop = false;
	if (f->rip > (uint64_t)gate_enter && f->rip <= (uint64_t)gate_commit) {
		f->rip = (uint64_t)gate_enter;
	} else if (between(f->rip, gate_tail, gate_tail_end)) {
		if (f->rip > (uint64_t)gate_tail && f->rip <= (uint64_t)gate_move_result)
			f->rax = f->r8;
		f->rdi = f->rsi = f->r8 = f->r9 = f->r10 = f->r11 = 0;
		t->trap_pop = true;
	} else if (between(f->rip, enter_tail, enter_tail_end)) {
		*f = (struct upcall_frame){ .rdi = f->rip == (uint64_t)enter_tail ? f->rcx : f->rdi, .rip = f->r9,
					    .cs = f->cs, .rflags = f->rflags, .rsp = f->rsp, .ss = f->ss };
	}
	if (between(f->rip, call_tail, call_tail_end)) {
		f->rdi = f->rax = 0;
		t->trap_pop = f->rip != (uint64_t)call_jump;
		if (!t->trap_pop)
			f->rip = f->rcx;
	}
	if (f->rip == (uint64_t)gate_enter || t->trap_pop)
		f->rcx = f->rdx = 0;
}

static void save_context(struct upcall_frame *f, const struct sigcontext *sc)
{
	f->r15 = sc->r15, f->r14 = sc->r14, f->r13 = sc->r13, f->r12 = sc->r12;
	f->rbp = sc->rbp, f->rbx = sc->rbx, f->r11 = sc->r11, f->r10 = sc->r10;
	f->r9 = sc->r9, f->r8 = sc->r8, f->rax = sc->rax, f->rcx = sc->rcx;
	f->rdx = sc->rdx, f->rsi = sc->rsi, f->rdi = sc->rdi;
	f->rip = sc->rip, f->rflags = sc->eflags, f->rsp = sc->rsp;
	f->cs = USER_CS, f->ss = USER_SS;
}

static void describe(struct upcall_frame *f, int sig, const siginfo_t *info, const struct sigcontext *sc)
{
	f->trap = sig == KICK_SIGNAL ? HC_TRAP_KICK : HC_TRAP_FAULT;
	if (sig == SIGSYS && info->si_code == SYS_SECCOMP && info->si_arch == AUDIT_ARCH_X86_64)
		f->trap = HC_TRAP_SYSCALL;
	f->signal = sig;
	f->code = info->si_code;
	f->trapno = (uint32_t)sc->trapno;
	f->error = sc->err;
	f->address = f->trap == HC_TRAP_FAULT ? (uint64_t)info->si_addr : 0; /* not pid and uid of who kicks */
	if (f->trap == HC_TRAP_SYSCALL)
		f->rax = (uint64_t)info->si_syscall;
}

/* In an upcall a kick is heard behind it. Behind a deadline that is a patience of so many kicks as the thread hears, not of so much
 * time: while it waits for a processor, as its caller's threads may have it, its callee does nothing wrong. */
static bool deferred(struct thread *t)
{
	if (!t->as->upcall_active || LOAD(t->cvm->dying) || LOAD(t->expired) >= DEADLINE_GRACE)
		return false;
	__atomic_add_fetch(&t->expired, LOAD(t->expired) ? DEADLINE_HEARD : 0, __ATOMIC_RELAXED);
	return t->as->kick_deferred = true;
}

void trap_handle(int sig, siginfo_t *info, struct ucontext *uc, struct thread *t)
{
	struct sigcontext *sc = &uc->uc_mcontext;
	bool inside = t->state == THREAD_IN_MONITOR;

	if (inside && (sig != KICK_SIGNAL || !between(sc->rip, cvm_enter_label, enter_tail))) {
		trap_in_monitor(sig, info, sc, t);
		return;
	}
	if (sig == KICK_SIGNAL && deferred(t))
		return;
	if (inside) { /* about to enter: registers are cvm_enter's arguments */
		t->trap = (struct upcall_frame){ .rdi = sc->rcx, .rip = sc->rip == (uint64_t)cvm_enter_label ? sc->rsi : sc->r9,
						 .cs = USER_CS, .rflags = RFLAGS_CLEAN, .rsp = sc->rdx, .ss = USER_SS };
		t->trap_pop = false;
	} else {
		save_context(&t->trap, sc);
		leave_gate_window(t);
	}
	describe(&t->trap, sig, info, sc);
	t->state = THREAD_IN_MONITOR;
	sc->rip = (uint64_t)trap_entry;
	sc->cs = USER_CS, sc->ss = USER_SS; /* it may have been in 32-bit mode */
	sc->rsp = t->stack;
	sc->rdi = (uint64_t)t;
	sc->eflags = RFLAGS_CLEAN;
	domain_frame_to_monitor((void *)sc->fpstate);
}

/* A fault that the libOS cannot be told of. */
static _Noreturn void trap_fatal(struct thread *t, const char *what)
{
	struct channel_report numbers = { .signal = t->trap.signal, .rip = t->trap.rip, .address = t->trap.address };
	struct cvm *c = t->cvm;

	event_report(CHANNEL_REPORT, c->index, what, &numbers);
	cvm_end(c, t->trap.signal, true);
	thread_leave(t);
}

/* On the monitor stack, as the monitor: hand t->trap to the libOS. */
void trap_deliver(struct thread *t)
{
	struct upcall_frame *f = &t->trap;
	struct cvm *c = t->cvm;

	if (__atomic_load_n(&c->dying, __ATOMIC_ACQUIRE))
		thread_leave(t);
	if (unlikely(LOAD(t->expired) && t->depth))
		call_expired(t);
	if (t->trap_pop) {
		/* a program that jumped into a gate's tail may name its libOS's memory there */
		if ((t->as->program && is_libos(c, f->rsp)) || user_in(c, &f->rip, (struct gaddr){ f->rsp }, 8))
			trap_fatal(t, "stack of a hostcall is gone");
		f->rsp += 8;
	}
	__atomic_store_n(&t->trapped, t->trapped + (f->trap == HC_TRAP_SYSCALL), __ATOMIC_RELAXED);
	__atomic_store_n(&t->faults, t->faults + (f->trap == HC_TRAP_FAULT), __ATOMIC_RELAXED);
	if (t->as->upcall_active)
		trap_fatal(t, "fault inside an upcall");
	t->as->upcall_active = true;
	f->trap |= t->as->program ? HC_TRAP_PROGRAM : 0;
	thread_set_program(t, false);
	if (user_out(c, (struct gaddr){ t->as->start.upcall_frame }, f, sizeof *f))
		trap_fatal(t, "no upcall frame");
	cvm_enter(t, t->as->start.upcall_entry, t->as->start.upcall_stack, t->as->start.upcall_frame);
}

void trap_leave_kicked(struct thread *t, const struct upcall_frame *frame)
{
	t->kick = 0;
	if (deferred(t))
		return;
	t->trap = *frame;
	t->trap.trap = HC_TRAP_KICK;
	t->trap.signal = KICK_SIGNAL;
	t->trap.code = 0;
	t->trap.error = t->trap.address = t->trap.trapno = 0;
	t->trap_pop = true;
	trap_deliver(t);
}

int trap_install(void)
{
	static const int signals[] = { SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, KICK_SIGNAL };
	uint64_t keep = 0, all = ~0ull;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct sigaction action = {
			.sa_handler = signal_entry,
			.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTORER,
			.sa_restorer = signal_restorer,
			.sa_mask = 1ull << (KICK_SIGNAL - 1),
		};
		long r = host(__NR_rt_sigaction, signals[i], &action, 0, 8);
		if (r)
			return (int)r;
		keep |= 1ull << (signals[i] - 1);
	}
	/* What the terminal and others send to the process is the command's business (CHANNEL_SIGNAL); stopping works. */
	keep |= 1ull << (SIGTSTP - 1) | 1ull << (SIGTTIN - 1) | 1ull << (SIGTTOU - 1) | 1ull << (SIGCONT - 1);
	all &= ~keep;
	return (int)host(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
}

/* Called by the thread itself. SS_AUTODISARM: the kernel then always starts at the top, whatever rsp was. */
int trap_altstack(struct thread *t)
{
	stack_t stack = { .ss_sp = (char *)t + THREAD_ALTSTACK, .ss_size = THREAD_ALTSTACK_SIZE,
			  .ss_flags = insecure(LAUNCH_INSECURE_NO_AUTODISARM) ? 0 : (int)SS_AUTODISARM };

	return (int)host(__NR_sigaltstack, &stack, 0);
}
