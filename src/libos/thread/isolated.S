/*
 * The ways into and out of the libOS when its program has no access to it (isolate_libos): each goes through the monitor,
 * which changes the thread's rights (hostcall thread_switch). Between the two, registers are carried
 * by the thread's program area, memory of the program's side with the layout of struct regs. Other threads of the
 * program may write there at any time: so it holds nothing but the program's own registers, and each is read once.
 */
#include "abi/vcpu.h"
#include "thread/asm_offsets.h"

#define HOSTCALL_THREAD_SWITCH 103 /* asserted in thread/isolated.c */

	.text

/*
 * A `syscall` instruction of the program, as syscall_entry gets it; with the program's rights. Interrupted here or at the
 * gate, the context is the program's and goes on where it was (isolated.c).
 */
	.balign 64
	.globl program_syscall
	.hidden program_syscall
	.type program_syscall, @function
program_syscall:
	mov	%gs:VCPU_PROGRAM_AREA, %r11
	mov	%rax, REGS_RAX(%r11)
	mov	%rcx, REGS_RCX(%r11)
	mov	%rdx, REGS_RDX(%r11)
	mov	%rdi, REGS_RDI(%r11)
	mov	%rsi, REGS_RSI(%r11)
	mov	%r8, REGS_R8(%r11)
	mov	%r9, REGS_R9(%r11)
	mov	%r10, REGS_R10(%r11)
	mov	$HOSTCALL_THREAD_SWITCH, %r11d
	jmp	*%gs:VCPU_GATE

/*
 * Where that goes on, with the libOS's rights. In: rax the program's rsp, rbx rbp r12-r15 the program's; AC, DF and TF
 * clear. From here on as syscall_entry, but for the check of the arguments, which syscall_dispatch makes.
 */
	.balign 64
	.globl libos_entered
	.hidden libos_entered
	.type libos_entered, @function
libos_entered:
	mov	%gs:VCPU_LIBOS_THREAD, %r11
	mov	%gs:VCPU_PROGRAM_AREA, %r10
	mov	THREAD_KERNEL_STACK(%r11), %rsp
	mov	REGS_RAX(%r10), %r9
	mov	REGS_RCX(%r10), %rcx
	push	$USER_SS
	push	%rax
	push	$(RFLAGS_IF | 2)
	push	$USER_CS
	push	%rcx
	push	%r9
	push	REGS_RDI(%r10)
	push	REGS_RSI(%r10)
	push	REGS_RDX(%r10)
	push	%rcx
	push	%r9
	push	REGS_R8(%r10)
	push	REGS_R9(%r10)
	push	REGS_R10(%r10)
	push	$(RFLAGS_IF | 2) /* r11, as the processor would set it */
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	incq	THREAD_FAST_SYSCALLS(%r11)
	mov	%rsp, %rdi
	call	syscall_dispatch
	mov	%rax, REGS_RAX(%rsp)

	.globl call_exit_begin, call_exit_end
	.hidden call_exit_begin, call_exit_end
call_exit_begin: /* from here to call_exit_end: an upcall continues at call_exit_begin */
	mov	%gs:VCPU_LIBOS_THREAD, %r11
	cmpl	$0, THREAD_WORK(%r11)
	jne	slow_exit
	mov	%gs:VCPU_PROGRAM_AREA, %rdi
	mov	REGS_RAX(%rsp), %rax
	mov	%rax, REGS_RAX(%rdi)
	mov	REGS_RSP(%rsp), %rax
	mov	%rax, REGS_RSP(%rdi)
	lea	program_call_returns(%rip), %rax
	mov	%rax, REGS_RBX(%rdi)
	add	$REGS_RBX, %rdi
	mov	$HOSTCALL_THREAD_SWITCH, %r11d
	call	*%gs:VCPU_GATE
call_exit_end:
	ud2

/* Back with every register of the struct regs at rsp; slow_exit has looked at thread->work. */
	.globl program_leave, program_leave_end
	.hidden program_leave, program_leave_end
program_leave: /* from here to program_leave_end: an upcall continues at slow_exit_begin */
	mov	%gs:VCPU_PROGRAM_AREA, %rdi
	.irp	at, REGS_R11, REGS_R10, REGS_R9, REGS_R8, REGS_RAX, REGS_RCX, REGS_RDX, REGS_RSI, REGS_RDI, REGS_RIP, REGS_CS, REGS_RFLAGS, REGS_RSP, REGS_SS
	mov	\at(%rsp), %rax
	mov	%rax, \at(%rdi)
	.endr
	lea	program_resumes(%rip), %rax
	mov	%rax, REGS_RBX(%rdi)
	add	$REGS_RBX, %rdi
	mov	REGS_R15(%rsp), %r15
	mov	REGS_R14(%rsp), %r14
	mov	REGS_R13(%rsp), %r13
	mov	REGS_R12(%rsp), %r12
	mov	REGS_RBP(%rsp), %rbp
	mov	REGS_RBX(%rsp), %rbx
	mov	$HOSTCALL_THREAD_SWITCH, %r11d
	call	*%gs:VCPU_GATE
program_leave_end:
	ud2

/* With the program's rights; rsp is the area's REGS_R11. An upcall from here to program_resumes_end finds the program's
 * context where it was left, at the top of the kernel stack. */
	.globl program_resumes_begin, program_resumes_end
	.hidden program_resumes_begin, program_resumes_end
program_resumes_begin:
program_call_returns:
	mov	(REGS_R10 - REGS_R11)(%rsp), %r10
	mov	(REGS_R9 - REGS_R11)(%rsp), %r9
	mov	(REGS_R8 - REGS_R11)(%rsp), %r8
	mov	(REGS_RAX - REGS_R11)(%rsp), %rax
	mov	(REGS_RCX - REGS_R11)(%rsp), %rcx
	mov	(REGS_RDX - REGS_R11)(%rsp), %rdx
	mov	(REGS_RSI - REGS_R11)(%rsp), %rsi
	mov	(REGS_RDI - REGS_R11)(%rsp), %rdi
	mov	(REGS_RSP - REGS_R11)(%rsp), %rsp
	jmp	*%rcx
program_resumes:
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
	lea	(REGS_RIP - REGS_ORIG_RAX)(%rsp), %rsp
	iretq
program_resumes_end:

	.section .note.GNU-stack, "", @progbits
