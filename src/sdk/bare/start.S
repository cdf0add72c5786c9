/*
 * The ways into a bare cVM: its first instruction, new threads, and upcalls of the monitor (abi/hostcall.h).
 */
#include "abi/vcpu.h"

#define HOSTCALL_THREAD_UPCALL_DONE 13 /* asserted in start.c */

/* rdi = struct cvm_start *, a small stack of unknown alignment; nothing is relocated yet. */
	.section .text.entry, "ax"
	.globl bare_entry
	.hidden bare_entry
	.type bare_entry, @function
bare_entry:
	cld
	xor	%ebp, %ebp
	and	$-16, %rsp
	call	bare_start
	ud2
	.size bare_entry, . - bare_entry

	.text
/* bare_on_stack(function, stack): never returns. */
	.globl bare_on_stack
	.hidden bare_on_stack
	.type bare_on_stack, @function
bare_on_stack:
	mov	%rsi, %rsp
	xor	%ebp, %ebp
	call	*%rdi
	ud2

/* rdi = struct bare_thread *, rsp = its stack's top. */
	.globl bare_thread_entry
	.hidden bare_thread_entry
	.type bare_thread_entry, @function
bare_thread_entry:
	xor	%ebp, %ebp
	call	bare_thread_main
	ud2

/*
 * rdi = struct upcall_frame *, on the thread's upcall stack. bare_upcall copies the registers to below the interrupted
 * stack pointer and returns where: once the monitor may use the frame again, nothing of it is needed.
 */
	.globl bare_upcall_entry
	.hidden bare_upcall_entry
	.type bare_upcall_entry, @function
bare_upcall_entry:
	xor	%ebp, %ebp
	and	$-16, %rsp
	call	bare_upcall
	mov	%rax, %rsp
	mov	$HOSTCALL_THREAD_UPCALL_DONE, %r11d
	call	*%gs:VCPU_GATE
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
	iretq

	.section .note.GNU-stack, "", @progbits
