/*
 * The signal frame on the program's stack, as Linux builds it on x86-64: return address, struct ucontext, siginfo, and
 * above them the vector state in XSAVE's standard format. Unwinders, debuggers' habits and handlers that edit the
 * context rely on every field. What comes back by rt_sigreturn is the program's own business, but it is copied and
 * made harmless for XRSTOR and iretq first.
 */
#include "core/log.h"
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "mm/mm.h"
#include "signal/internal.h"
#include "thread/entry.h"
#include "thread/isolated.h"

#include <asm/sigcontext.h>
#include <asm/ucontext.h>

#define RED_ZONE 128
#define XSAVE_HEADER 512
#define XSAVE_HEADER_SIZE 64
#define MXCSR_OFFSET 24
#define MXCSR_MASK_OFFSET 28
#define MXCSR_MASK_DEFAULT 0xffbfu
#define SW_BYTES_OFFSET 464
#define STATE_FP_SSE 3ull
/* What a program may change of its flags: CF PF AF ZF SF TF DF OF RF AC. */
#define FLAGS_OF_PROGRAM 0x50dd5ull
#define RFLAGS_RF 0x10000ull

struct signal_frame {
	uint64_t return_address;
	struct ucontext uc;
	siginfo_t info;
};
_Static_assert(offsetof(struct signal_frame, info) == 8 + 304, "Linux's struct rt_sigframe");
_Static_assert(sizeof(struct sigcontext) == 256, "Linux's struct sigcontext");

/* Everything in its initial state; only MXCSR is read from it. */
static const struct {
	uint8_t legacy[MXCSR_OFFSET];
	uint32_t mxcsr, mxcsr_mask;
	uint8_t rest[XSAVE_HEADER + XSAVE_HEADER_SIZE - 32];
} g_initial_state __attribute__((aligned(64))) = { .mxcsr = 0x1f80 };
_Static_assert(sizeof(g_initial_state) == 576, "legacy area and header");

void signal_frame_init(void)
{
	if (g_start->xsave_size < sizeof(g_initial_state) || g_start->xsave_size > THREAD_VECTOR_MAX)
		panic("vector state of %lu bytes: 576 to %llu are possible", g_start->xsave_size, THREAD_VECTOR_MAX);
}

bool signal_on_altstack(const struct thread *t, uint64_t rsp)
{
	const struct thread_signals *s = &t->signals;

	return !(s->altstack_flags & SS_AUTODISARM) && rsp > s->altstack_base &&
	       rsp - s->altstack_base <= s->altstack_size;
}

/* Where the frame may begin from above; 0 if the alternate stack would overflow. */
static uint64_t frame_top(const struct thread *t, const struct regs *r, const struct signal_action *action,
			  uint64_t below)
{
	const struct thread_signals *s = &t->signals;
	bool nested = signal_on_altstack(t, r->rsp), entering = false;
	uint64_t sp = r->rsp - RED_ZONE;

	if ((action->flags & SA_ONSTACK) && s->altstack_size && !nested) {
		sp = s->altstack_base + s->altstack_size;
		entering = true;
	}
	if ((nested || entering) && (sp < s->altstack_base || sp - s->altstack_base < below))
		return 0;
	return sp;
}

static int save_vectors(uint64_t area)
{
	uint64_t size = g_start->xsave_size;
	struct _fpx_sw_bytes sw = {
		.magic1 = FP_XSTATE_MAGIC1,
		.extended_size = (uint32_t)size + FP_XSTATE_MAGIC2_SIZE,
		.xfeatures = g_start->xsave_mask,
		.xstate_size = (uint32_t)size,
	};
	uint32_t magic2 = FP_XSTATE_MAGIC2;

	if (zero_user((void *)area, size) || vector_save((void *)area, g_start->xsave_mask))
		return -EFAULT;
	if (copy_to_user((void *)(area + SW_BYTES_OFFSET), &sw, sizeof(sw)))
		return -EFAULT;
	return copy_to_user((void *)(area + size), &magic2, sizeof(magic2));
}

static void fill_context(struct thread *t, const struct regs *r, struct ucontext *uc, uint64_t area)
{
	struct sigcontext *sc = &uc->uc_mcontext;
	struct thread_signals *s = &t->signals;

	uc->uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	uc->uc_stack.ss_sp = (void *)s->altstack_base;
	uc->uc_stack.ss_size = s->altstack_size;
	uc->uc_stack.ss_flags = s->altstack_flags;
	uc->uc_sigmask = t->restore_mask ? s->saved_mask : s->blocked;
	sc->r8 = r->r8, sc->r9 = r->r9, sc->r10 = r->r10, sc->r11 = r->r11;
	sc->r12 = r->r12, sc->r13 = r->r13, sc->r14 = r->r14, sc->r15 = r->r15;
	sc->rdi = r->rdi, sc->rsi = r->rsi, sc->rbp = r->rbp, sc->rbx = r->rbx;
	sc->rdx = r->rdx, sc->rax = r->rax, sc->rcx = r->rcx, sc->rsp = r->rsp;
	sc->rip = r->rip, sc->eflags = r->rflags;
	sc->cs = USER_CS, sc->ss = USER_SS;
	sc->err = t->fault_error;
	sc->trapno = t->fault_trapno;
	sc->cr2 = t->fault_address;
	sc->oldmask = uc->uc_sigmask;
	sc->fpstate = (void *)area;
}

int signal_frame_push(struct thread *t, struct regs *r, const siginfo_t *info, const struct signal_action *action)
{
	uint64_t size = g_start->xsave_size + FP_XSTATE_MAGIC2_SIZE;
	uint64_t top = frame_top(t, r, action, size + 64 + sizeof(struct signal_frame) + 24);
	uint64_t area = ALIGN_DOWN(top - size, 64);
	uint64_t sp = ALIGN_DOWN(area - sizeof(struct signal_frame), 16) - 8;
	struct signal_frame f;

	if (!top || !(action->flags & SA_RESTORER) || !address_in_program(sp) || !address_in_program(area))
		return -EFAULT;
	memset(&f, 0, sizeof(f));
	f.return_address = action->restorer;
	f.info = *info;
	fill_context(t, r, &f.uc, area);
	if (in_stack_room(t, sp))
		mm_stack_reach(sp);
	while (save_vectors(area) || copy_to_user((void *)sp, &f, sizeof(f)))
		if (!mm_make_writable())
			return -EFAULT;
	if (t->signals.altstack_flags & SS_AUTODISARM) {
		t->signals.altstack_base = t->signals.altstack_size = 0;
		t->signals.altstack_flags = SS_DISABLE;
	}
	vector_load(&g_initial_state, g_start->xsave_mask);
	r->rdi = (uint64_t)info->si_signo;
	r->rsi = sp + offsetof(struct signal_frame, info);
	r->rdx = sp + offsetof(struct signal_frame, uc);
	r->rax = 0;
	r->rip = action->handler;
	r->rsp = sp;
	r->rflags &= ~(RFLAGS_DF | RFLAGS_RF | RFLAGS_TF);
	return 0;
}

/* Copies the area and makes it one that XRSTOR cannot refuse. */
static int load_vectors(struct thread *t, uint64_t area)
{
	uint8_t *copy = t->xsave_area;
	struct _fpx_sw_bytes sw;
	uint64_t *header = (uint64_t *)(copy + XSAVE_HEADER), kept = STATE_FP_SSE;
	uint32_t *mxcsr = (uint32_t *)(copy + MXCSR_OFFSET), magic2, mask;

	if (!address_in_program(area) || copy_from_user(&sw, (void *)(area + SW_BYTES_OFFSET), sizeof(sw)))
		return -EFAULT;
	memset(copy, 0, g_start->xsave_size);
	if (sw.magic1 == FP_XSTATE_MAGIC1 && sw.xstate_size >= sizeof(g_initial_state) &&
	    sw.xstate_size <= g_start->xsave_size && !get_user(magic2, (void *)(area + sw.xstate_size)) &&
	    magic2 == FP_XSTATE_MAGIC2) {
		if (copy_from_user(copy, (void *)area, sw.xstate_size))
			return -EFAULT;
		kept = header[0] & sw.xfeatures & g_start->xsave_mask;
	} else if (copy_from_user(copy, (void *)area, XSAVE_HEADER)) {
		return -EFAULT;
	}
	memset(header, 0, XSAVE_HEADER_SIZE);
	header[0] = kept;
	mask = *(uint32_t *)(copy + MXCSR_MASK_OFFSET);
	/* The program may have changed the mask too: trust the one bit that processors differ in only downwards. */
	*mxcsr &= mask ? mask & (MXCSR_MASK_DEFAULT | 0x40) : MXCSR_MASK_DEFAULT;
	vector_load(copy, g_start->xsave_mask);
	return 0;
}

static void load_altstack(struct thread *t, const stack_t *stack)
{
	int mode = stack->ss_flags & ~SS_AUTODISARM;

	if (signal_on_altstack(t, t->regs->rsp) || (mode && mode != SS_ONSTACK && mode != SS_DISABLE))
		return;
	t->signals.altstack_flags = stack->ss_flags & ~SS_ONSTACK;
	t->signals.altstack_base = mode == SS_DISABLE ? 0 : (uint64_t)stack->ss_sp;
	t->signals.altstack_size = mode == SS_DISABLE ? 0 : stack->ss_size;
}

static void load_regs(struct regs *r, const struct sigcontext *sc)
{
	r->r8 = sc->r8, r->r9 = sc->r9, r->r10 = sc->r10, r->r11 = sc->r11;
	r->r12 = sc->r12, r->r13 = sc->r13, r->r14 = sc->r14, r->r15 = sc->r15;
	r->rdi = sc->rdi, r->rsi = sc->rsi, r->rbp = sc->rbp, r->rbx = sc->rbx;
	r->rdx = sc->rdx, r->rax = sc->rax, r->rcx = sc->rcx, r->rsp = sc->rsp;
	r->rip = sc->rip;
	r->rflags = (sc->eflags & FLAGS_OF_PROGRAM) | RFLAGS_IF | 2;
	r->cs = USER_CS;
	r->ss = USER_SS;
	r->orig_rax = (uint64_t)-1;
}

long signal_frame_pop(struct thread *t, struct regs *r)
{
	struct signal_frame f;
	siginfo_t info = { .si_signo = SIGSEGV, .si_code = SI_KERNEL };

	if (!address_in_program(r->rsp - 8) || copy_from_user(&f, (void *)(r->rsp - 8), sizeof(f)))
		goto bad;
	signal_set_blocked(t, f.uc.uc_sigmask);
	load_regs(r, &f.uc.uc_mcontext);
	if (!f.uc.uc_mcontext.fpstate)
		vector_load(&g_initial_state, g_start->xsave_mask);
	else if (load_vectors(t, (uint64_t)f.uc.uc_mcontext.fpstate))
		goto bad;
	load_altstack(t, &f.uc.uc_stack);
	__atomic_fetch_or(&t->work, WORK_RETURN, __ATOMIC_RELAXED);
	return (long)r->rax;
bad:
	signal_force(t, &info);
	return 0;
}
