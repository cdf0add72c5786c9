/*
 * The ways into and out of the libOS: system calls that rewritten sites jump here with, upcalls of the monitor, the
 * start of threads, and the one hostcall wrapper that a kick can interrupt. Program and libOS share a domain, so this
 * keeps registers exact; it protects nothing. Where they do not (isolate_libos), isolated.S replaces the ways from and to
 * the program.
 *
 * A kernel stack is empty while its thread runs the program; every entry puts a struct regs at its top. Labels that end
 * in _begin/_end or name one instruction are windows that signal/upcall.c knows: an upcall that interrupts one moves the
 * context to a place where thread->work is looked at again, so that no kick is lost.
 */
#include <linux/errno.h>

#include "abi/hostcall.h"
#include "abi/vcpu.h"
#include "thread/asm_offsets.h"

#define HOSTCALL_THREAD_UPCALL_DONE 13 /* asserted in signal/upcall.c */

	.text

/* Every register of the struct regs at rsp, which is left at the five words that iretq takes. */
	.macro	load_regs
	mov	REGS_R15(%rsp), %r15
	mov	REGS_R14(%rsp), %r14
	mov	REGS_R13(%rsp), %r13
	mov	REGS_R12(%rsp), %r12
	mov	REGS_RBP(%rsp), %rbp
	mov	REGS_RBX(%rsp), %rbx
	mov	REGS_R11(%rsp), %r11
	mov	REGS_R10(%rsp), %r10
	mov	REGS_R9(%rsp), %r9
	mov	REGS_R8(%rsp), %r8
	mov	REGS_RAX(%rsp), %rax
	mov	REGS_RCX(%rsp), %rcx
	mov	REGS_RDX(%rsp), %rdx
	mov	REGS_RSI(%rsp), %rsi
	mov	REGS_RDI(%rsp), %rdi
	lea	REGS_RIP(%rsp), %rsp
	.endm

/*
 * A `syscall` instruction of the program. In: rcx where to go on, rax number, all else as at the instruction; program's
 * stack. Out: by a jump to rcx, rax the result; r11 and flags clobbered, all other registers kept, DF and AC clear.
 */
	.balign 64
	.globl syscall_entry
	.hidden syscall_entry
	.type syscall_entry, @function
syscall_entry:
	mov	%gs:VCPU_LIBOS_THREAD, %r11
	mov	%rsp, THREAD_USER_RSP(%r11)
	mov	THREAD_KERNEL_STACK(%r11), %rsp
	.globl syscall_entry_switched
	.hidden syscall_entry_switched
syscall_entry_switched:
	push	$USER_SS
	push	THREAD_USER_RSP(%r11)
	pushfq
	push	$USER_CS
	push	%rcx
	push	%rax
	push	%rdi
	push	%rsi
	push	%rdx
	push	%rcx
	push	%rax
	push	%r8
	push	%r9
	push	%r10
	push	REGS_RFLAGS-REGS_R10(%rsp) /* r11, as the processor would set it */
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	testl	$(RFLAGS_DF | RFLAGS_AC | RFLAGS_TF), REGS_RFLAGS(%rsp)
	jnz	.Lstrange_flags
.Ldispatch:
	incq	THREAD_FAST_SYSCALLS(%r11)
	mov	%rsp, THREAD_REGS(%r11)
	mov	%rsp, %rdi
	mov	REGS_RSP(%rsp), %rcx
	sub	THREAD_STACK_ROOM(%r11), %rcx
	cmp	THREAD_STACK_ROOM_SIZE(%r11), %rcx
	jb	.Lstack_room
.Lstack_there:
	cmp	g_fast_limit(%rip), %rax
	jae	.Lno_handler
	lea	g_handlers(%rip), %rcx
	mov	(%rcx,%rax,8), %rax
	test	%rax, %rax
	jz	.Lno_handler
	call	*%rax
	mov	%gs:VCPU_LIBOS_THREAD, %r11
	lea	ERESTART_LAST(%rax), %rcx
	cmp	$(ERESTART_LAST - ERESTART_FIRST), %rcx
	jbe	.Lfinish
	cmp	$-EFAULT, %rax
	je	.Lfinish
	cmp	$-EINTR, %rax
	je	.Lfinish
	cmpb	$0, THREAD_RESTORE_MASK(%r11)
	jne	.Lfinish
.Lresult:
	mov	%rax, REGS_RAX(%rsp)

	.globl fast_exit_begin, fast_exit_jump
	.hidden fast_exit_begin, fast_exit_jump
fast_exit_begin: /* from here to the jump: an upcall continues at fast_exit_begin */
	mov	%gs:VCPU_LIBOS_THREAD, %r11
	cmpl	$0, THREAD_WORK(%r11)
	jne	slow_exit
	mov	REGS_R10(%rsp), %r10
	mov	REGS_R9(%rsp), %r9
	mov	REGS_R8(%rsp), %r8
	mov	REGS_RAX(%rsp), %rax
	mov	REGS_RDX(%rsp), %rdx
	mov	REGS_RSI(%rsp), %rsi
	mov	REGS_RDI(%rsp), %rdi
	mov	REGS_RIP(%rsp), %rcx
	mov	REGS_RSP(%rsp), %rsp
fast_exit_jump: /* here: the program's context, with rip = rcx */
	jmp	*%rcx

.Lno_handler:
	call	syscall_dispatch
	jmp	.Lresult
.Lstack_room: /* buffers may lie anywhere above the stack pointer, where nobody has touched the stack yet */
	mov	REGS_RSP(%rsp), %rdi
	call	mm_stack_reach
	mov	%rsp, %rdi
	mov	REGS_ORIG_RAX(%rsp), %rax
	jmp	.Lstack_there
.Lfinish:
	mov	%rsp, %rdi
	mov	%rax, %rsi
	call	syscall_finish
	jmp	.Lresult

.Lstrange_flags:
	andl	$~(RFLAGS_DF | RFLAGS_TF), REGS_RFLAGS(%rsp) /* of a program that single-steps itself we drop TF */
	push	$(RFLAGS_IF | 2)
	popfq
	jmp	.Ldispatch

/*
 * Back to the program with every register of the struct regs at rsp, after whatever thread->work asks for.
 * In: rsp = struct regs, top of the kernel stack.
 */
	.balign 16
	.globl slow_exit, slow_exit_begin, slow_exit_iret
	.hidden slow_exit, slow_exit_begin, slow_exit_iret
	.type slow_exit, @function
slow_exit:
	mov	%rsp, %rdi
	call	thread_return_work
slow_exit_begin: /* from here to slow_exit_iret: an upcall continues at slow_exit_begin */
	mov	%gs:VCPU_LIBOS_THREAD, %r11
	cmpl	$0, THREAD_WORK(%r11)
	jne	slow_exit
	cmpq	$0, g_libos_size(%rip)
	jne	program_leave
	load_regs
slow_exit_iret: /* here: the program's context, its last five words at rsp */
	iretq

/*
 * An upcall of the monitor. In: rdi = struct upcall_frame *, on the upcall stack, DF clear. The frame and this stack are
 * ours until thread_upcall_done, which both ways call from the kernel stack: upcall_handle returns its new rsp.
 */
	.balign 16
	.globl upcall_entry
	.hidden upcall_entry
	.type upcall_entry, @function
upcall_entry:
	xor	%ebp, %ebp
	call	upcall_handle /* rax = new rsp; rdx = 0: struct regs of the libOS to resume; 1: struct upcall_event */
	mov	%rax, %rsp
	test	%edx, %edx
	jz	1f
	mov	%rsp, %rdi
	call	upcall_program /* returns the struct regs to leave with */
	mov	%rax, %rsp
	jmp	slow_exit
1:	mov	$HOSTCALL_THREAD_UPCALL_DONE, %r11d
	call	*%gs:VCPU_GATE
	load_regs
	iretq

/*
 * First instruction of a new thread. In: rdi = struct thread *, rsp = its struct regs at the top of the kernel stack.
 * thread_first does not return for threads of the libOS itself.
 */
	.balign 16
	.globl thread_entry
	.hidden thread_entry
	.type thread_entry, @function
thread_entry:
	xor	%ebp, %ebp
	call	thread_first
	jmp	slow_exit

/* thread_leave_to(regs): into the program with these registers, dropping what is on the kernel stack. */
	.globl thread_leave_to
	.hidden thread_leave_to
	.type thread_leave_to, @function
thread_leave_to:
	mov	%rdi, %rsp
	jmp	slow_exit

/* long hostcall_last(nr, a0, a1, a2, a3): C calling convention. */
	.balign 16
	.globl hostcall_last
	.hidden hostcall_last
	.type hostcall_last, @function
hostcall_last:
	mov	%rdi, %r11
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%r8, %r9
	mov	%rcx, %r8
	jmp	*%gs:VCPU_GATE

/*
 * long hostcall_blocking6(nr, a0, a1, a2, a3, a4, a5): C calling convention. -EINTR at once if thread->work is set. An
 * upcall in [blocking_begin, blocking_end), or at the gate with blocking_end as return address, continues at
 * blocking_begin: registers there are the hostcall's, rax is free. Meanwhile others see the thread asleep (process/report.c).
 */
	.balign 16
	.globl hostcall_blocking6, blocking_begin, blocking_end
	.hidden hostcall_blocking6, blocking_begin, blocking_end
	.type hostcall_blocking6, @function
hostcall_blocking6:
	push	%r12
	mov	16(%rsp), %r12
	mov	%rdi, %r11
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%r9, %r10
	mov	%r8, %r9
	mov	%rcx, %r8
	mov	%gs:VCPU_LIBOS_THREAD, %rax
	movb	$'S', THREAD_ASLEEP(%rax)
blocking_begin:
	mov	%gs:VCPU_LIBOS_THREAD, %rax
	cmpl	$0, THREAD_WORK(%rax)
	jne	1f
	call	*%gs:VCPU_GATE
blocking_end:
	mov	%gs:VCPU_LIBOS_THREAD, %rcx
	movb	$0, THREAD_ASLEEP(%rcx)
	pop	%r12
	ret
1:	mov	$-EINTR, %rax
	jmp	blocking_end

/*
 * long gate_words_blocking(nr_and_cap, uint64_t word[6]): gate_words of abi/gate.h, as hostcall_blocking6 with the
 * window [words_begin, words_end). C calling convention. The thread may come back long after, on another host thread.
 */
	.balign 16
	.globl gate_words_blocking, words_begin, words_end
	.hidden gate_words_blocking, words_begin, words_end
	.type gate_words_blocking, @function
gate_words_blocking:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rsi
	mov	%rdi, %r11
	mov	40(%rsi), %r12
	mov	32(%rsi), %r10
	mov	24(%rsi), %r9
	mov	16(%rsi), %r8
	mov	(%rsi), %rdi
	mov	8(%rsi), %rsi
words_begin:
	mov	%gs:VCPU_LIBOS_THREAD, %rax
	cmpl	$0, THREAD_WORK(%rax)
	mov	$-EINTR, %rbx
	jne	words_end
	call	*%gs:VCPU_GATE
words_end:
	pop	%rsi
	mov	%rbx, %rax
	test	%rax, %rax
	js	1f
	mov	%r12, (%rsi)
	mov	%r13, 8(%rsi)
	mov	%r8, 16(%rsi)
	mov	%r9, 24(%rsi)
	mov	%r10, 32(%rsi)
	mov	%r11, 40(%rsi)
1:	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

/*
 * int vector_save(void *area, uint64_t mask): XSAVE in the standard format to program memory, 64-aligned, header zeroed
 * before. 0, or -EFAULT: a fault at vector_save_insn continues at vector_save_fixup. Clobbers rdx.
 */
	.globl vector_save, vector_save_insn, vector_save_fixup
	.hidden vector_save, vector_save_insn, vector_save_fixup
	.type vector_save, @function
vector_save:
	mov	%esi, %eax
	mov	%rsi, %rdx
	shr	$32, %rdx
vector_save_insn:
	xsave64	(%rdi)
	xor	%eax, %eax
	ret
vector_save_fixup:
	mov	$-EFAULT, %rax
	ret

/* void vector_load(const void *area, uint64_t mask): through the monitor's gate; the area is checked. Clobbers rdx. */
	.globl vector_load
	.hidden vector_load
	.type vector_load, @function
vector_load:
	mov	%esi, %eax
	mov	%rsi, %rdx
	shr	$32, %rdx
	call	*%gs:VCPU_XRSTOR_GATE
	ret

/* void float_control_get(uint32_t *mxcsr, uint32_t *fpu), void float_control_set(const uint32_t *, const uint32_t *) */
	.globl float_control_get, float_control_set
	.hidden float_control_get, float_control_set
float_control_get:
	stmxcsr	(%rdi)
	fnstcw	(%rsi)
	ret
float_control_set:
	ldmxcsr	(%rdi)
	fldcw	(%rsi)
	ret

	.section .note.GNU-stack, "", @progbits
