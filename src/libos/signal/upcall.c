/*
 * Upcalls: the monitor interrupted this thread (a kick, a fault, a system call that was not rewritten) and starts
 * upcall_entry on the upcall stack. Decides by the interrupted place what that means: the program's context moves to
 * the kernel stack and is handled there; the libOS's own is resumed, perhaps at another place (see entry.S's windows).
 * Runs while the monitor keeps further kicks back and a further fault ends the cVM: so until thread_upcall_done no lock
 * is taken and no program memory touched.
 */
#include "abi/slot.h"
#include "core/hostcall.h"
#include "core/log.h"
#include "mm/mm.h"
#include "signal/internal.h"
#include "thread/entry.h"
#include "thread/isolated.h"

_Static_assert(HC_thread_upcall_done == 13, "entry.S");
_Static_assert(offsetof(struct upcall_event, regs) + sizeof(struct regs) == sizeof(struct upcall_event), "at the top");
_Static_assert(offsetof(struct upcall_frame, rdi) == REGS_RDI && offsetof(struct upcall_frame, rip) == REGS_ORIG_RAX,
	       "the frame is struct regs without orig_rax");

#define JUMP_TO_LIBOS_SIZE 8 /* jmp *%gs:VCPU_SYSCALL_ENTRY */
#define PAGE_FAULT_WRITE 2ul  /* bits of the processor's error code */
#define PAGE_FAULT_FETCH 16ul
#define LEA_SIZE 7	     /* lea resume(%rip), %rcx */

static inline bool between(uint64_t rip, const char *from, const char *to)
{
	return rip >= (uint64_t)from && rip < (uint64_t)to;
}

static inline uint64_t gate_address(void)
{
	uint64_t gate;
	__asm__("mov %%gs:%c1, %0" : "=r"(gate) : "i"(VCPU_GATE));
	return gate;
}

static bool on_kernel_stack(const struct thread *t, uint64_t rsp)
{
	return rsp <= t->kernel_stack && rsp > t->kernel_stack - KERNEL_STACK_PAGES * PAGE_SIZE;
}

/* libOS code, or what it called outside (gates, the vDSO). */
static bool in_libos(const struct thread *t, const struct upcall_frame *f)
{
	uint64_t slot = (uint64_t)syscall_entry & SLOT_MASK;

	return (f->rip >= slot + SLOT_LIBOS_TEXT && f->rip < slot + SLOT_LIBOS_DATA) || on_kernel_stack(t, f->rsp);
}

static void frame_to_regs(struct regs *r, const struct upcall_frame *f)
{
	memcpy(r, f, offsetof(struct upcall_frame, rip));
	r->orig_rax = (uint64_t)-1;
	memcpy(&r->rip, &f->rip, 5 * sizeof(uint64_t));
}

/* In a translator's stub, between the moved instructions and the jump into the libOS: the system call has begun. */
static bool in_system_call_stub(const struct upcall_frame *f)
{
	static const uint8_t jump[JUMP_TO_LIBOS_SIZE] = { 0x65, 0xff, 0x24, 0x25, VCPU_SYSCALL_ENTRY };
	uint64_t offset = (f->rip & ~SLOT_MASK) - SLOT_IMAGE_BASE;
	const uint8_t *code = (const uint8_t *)f->rip;

	if ((f->rip & SLOT_MASK) != ((uint64_t)syscall_entry & SLOT_MASK) || offset >= SLOT_IMAGE_END - SLOT_IMAGE_BASE)
		return false;
	if (!(offset / SLOT_STUB_DELTA & 1) || (f->rip & (PAGE_SIZE - 1)) > PAGE_SIZE - LEA_SIZE - JUMP_TO_LIBOS_SIZE)
		return false;
	if (code[0] == 0x48 && code[1] == 0x8d && code[2] == 0x0d)
		code += LEA_SIZE;
	return memcmp(code, jump, sizeof(jump)) == 0;
}

/* Windows of entry.S whose look at thread->work may be out of date: look again. */
static void leave_window(struct thread *t, struct upcall_frame *f)
{
	if (f->rip == gate_address() && on_kernel_stack(t, f->rsp)) {
		uint64_t back = *(uint64_t *)f->rsp;

		if (back == (uint64_t)blocking_end || back == (uint64_t)words_end || back == (uint64_t)call_exit_end ||
		    back == (uint64_t)program_leave_end) {
			f->rsp += 8;
			f->rip = back == (uint64_t)blocking_end	 ? (uint64_t)blocking_begin :
				 back == (uint64_t)words_end	 ? (uint64_t)words_begin :
				 back == (uint64_t)call_exit_end ? (uint64_t)call_exit_begin :
								   (uint64_t)slow_exit_begin;
		}
	} else if (between(f->rip, call_exit_begin, call_exit_end)) {
		f->rip = (uint64_t)call_exit_begin;
	} else if (between(f->rip, program_leave, program_leave_end)) {
		f->rip = (uint64_t)slow_exit_begin;
	} else if (between(f->rip, blocking_begin, blocking_end)) {
		f->rip = (uint64_t)blocking_begin;
	} else if (between(f->rip, words_begin, words_end)) {
		f->rip = (uint64_t)words_begin;
	} else if (between(f->rip, fast_exit_begin, fast_exit_jump)) {
		f->rip = (uint64_t)fast_exit_begin;
	} else if (between(f->rip, slow_exit_begin, slow_exit_iret)) {
		f->rip = (uint64_t)slow_exit_begin;
	}
}

static _Noreturn void libos_fault(struct thread *t, const struct upcall_frame *f)
{
	uint64_t text = ((uint64_t)syscall_entry & SLOT_MASK) + SLOT_LIBOS_TEXT;

	log_crash("libOS: signal %d code %d at %lx (text+0x%lx), address %lx, tid %d, system call %ld", f->signal, f->code,
		  f->rip, f->rip - text, f->address, t->tid, t->regs ? (long)t->regs->orig_rax : -1);
	log_crash("  rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx rsp %lx", f->rax, f->rbx, f->rcx, f->rdx,
		  f->rsi, f->rdi, f->rbp, f->rsp);
	log_crash("  r8 %lx r9 %lx r10 %lx r11 %lx r12 %lx r13 %lx r14 %lx r15 %lx", f->r8, f->r9, f->r10, f->r11, f->r12,
		  f->r13, f->r14, f->r15);
	if (on_kernel_stack(t, f->rsp))
		for (uint64_t sp = f->rsp & ~7ull, n = 0; sp < t->kernel_stack && n < 24; sp += 8) {
			uint64_t word = *(uint64_t *)sp;

			if (word - text < SLOT_LIBOS_DATA - SLOT_LIBOS_TEXT)
				log_crash("  stack: text+0x%lx", word - text), n++;
		}
	panic("fault in the libOS");
}

static void libos_interrupted(struct thread *t, struct upcall_frame *f)
{
	if (f->trap == HC_TRAP_KICK) {
		leave_window(t, f);
	} else if (f->trap == HC_TRAP_SYSCALL) {
		f->rax = (uint64_t)-ENOSYS; /* the vDSO's fallback: clock.c has another */
	} else if (between(f->rip, copy_fault_begin, copy_fault_end)) {
		f->rip = (uint64_t)copy_fault_exit;
	} else if (between(f->rip, uaccess_start, uaccess_end)) {
		f->rip = (uint64_t)uaccess_fixup;
	} else if (f->rip == (uint64_t)vector_save_insn) {
		f->rip = (uint64_t)vector_save_fixup;
	} else if (f->signal == SIGTRAP && (f->rflags & RFLAGS_TF)) {
		f->rflags &= ~(uint64_t)RFLAGS_TF; /* the program single-steps itself into a system call */
	} else {
		libos_fault(t, f);
	}
}

struct upcall_target upcall_handle(struct upcall_frame *f)
{
	struct thread *t = current();
	bool program = f->trap & HC_TRAP_PROGRAM;

	f->trap &= ~(uint32_t)HC_TRAP_PROGRAM;
	if (f->trap == HC_TRAP_KICK)
		signal_note_outside(t);
	if (program) /* the monitor says so: where rip and rsp point is of no interest then */
		isolated_context(t, f);
	else if (f->rip == (uint64_t)fast_exit_jump)
		f->rip = f->rcx;
	else if (f->rip == (uint64_t)slow_exit_iret)
		memcpy(&f->rip, (void *)f->rsp, 5 * sizeof(uint64_t));
	else if (isolated() || in_libos(t, f) || (f->trap == HC_TRAP_KICK && in_system_call_stub(f))) {
		bool switched = on_kernel_stack(t, f->rsp);
		uint64_t top = switched ? f->rsp : t->kernel_stack;
		struct regs *r;

		libos_interrupted(t, f);
		r = (struct regs *)ALIGN_DOWN(top - sizeof(*r), 16);
		frame_to_regs(r, f);
		return (struct upcall_target){ (uint64_t)r, 0 };
	}
	struct upcall_event *ev = (struct upcall_event *)(t->kernel_stack - sizeof(*ev));
	ev->trap = f->trap;
	ev->signal = f->signal;
	ev->code = f->code;
	ev->trapno = f->trapno;
	ev->error = f->error;
	ev->address = f->address;
	frame_to_regs(&ev->regs, f);
	return (struct upcall_target){ (uint64_t)ev, 1 };
}

/* The whole slot is reserved on the host, and what lies outside belongs to others: for the program only its own
 * mappings are there. */
static int segv_code(const struct upcall_event *ev)
{
	struct mm_range range;
	char name[1];

	if (ev->signal != SIGSEGV || (ev->code != SEGV_ACCERR && ev->code != SEGV_PKUERR))
		return ev->code;
	return mm_find(ev->address, &range, name, sizeof(name)) ? SEGV_ACCERR : SEGV_MAPERR;
}

static void program_fault(struct thread *t, struct upcall_event *ev)
{
	struct mm_fault fault = { .address = ev->address, .rip = ev->regs.rip, .write = ev->error & PAGE_FAULT_WRITE,
				  .fetch = ev->error & PAGE_FAULT_FETCH, .key = ev->code == SEGV_PKUERR };
	siginfo_t info;
	uint64_t copy;

	if (ev->signal == SIGSEGV && mm_handle_fault(&fault) == 0) {
		ev->regs.rip = fault.rip;
		return;
	}
	copy = ev->signal == SIGSEGV || ev->signal == SIGBUS ? signal_copies_exit(t->process, ev->regs.rip) : 0;
	if (copy) {
		ev->regs.rip = copy;
		return;
	}
	ev->regs.rip = out_of_line_origin(ev->regs.rip);
	if (ev->signal != SIGSEGV && ev->signal != SIGBUS) /* then it is an instruction's */
		ev->address = out_of_line_origin(ev->address);
	t->fault_trapno = ev->trapno;
	t->fault_error = ev->error;
	t->fault_address = ev->address;
	memset(&info, 0, sizeof(info));
	info.si_signo = ev->signal;
	info.si_code = segv_code(ev);
	info.si_addr = (void *)ev->address;
	signal_force(t, &info);
}

struct regs *upcall_program(struct upcall_event *ev)
{
	struct thread *t = current();
	struct regs *r = &ev->regs;

	t->regs = r;
	hostcall(HC_thread_upcall_done);
	switch (ev->trap) {
	case HC_TRAP_SYSCALL:
		t->slow_syscalls++;
		r->orig_rax = r->rax;
		r->rcx = r->rip;
		r->r11 = r->rflags;
		r->rax = (uint64_t)syscall_dispatch(r);
		break;
	case HC_TRAP_FAULT:
		program_fault(t, ev);
		break;
	default:
		break;
	}
	return r;
}
