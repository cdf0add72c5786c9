/*
 * The SDK's way through the monitor's gate (abi/hostcall.h) as a C function. It gives -ENOSYS where there is no monitor:
 * g_sdk_present is 0 there. It runs with the caller's rights and protects nothing.
 */
#include "abi/vcpu.h"

#define ENOSYS 38

	.text

/* long sdk_gate(nr, a0, a1, a2, a3, a4, a5) */
	.balign 16
	.globl sdk_gate
	.hidden sdk_gate, g_sdk_present
	.type sdk_gate, @function
sdk_gate:
	cmpl	$0, g_sdk_present(%rip)
	je	1f
	push	%r12
	mov	16(%rsp), %r12
	mov	%rdi, %r11
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%r9, %r10
	mov	%r8, %r9
	mov	%rcx, %r8
	call	*%gs:VCPU_GATE
	pop	%r12
	ret
1:	mov	$-ENOSYS, %rax
	ret
	.size sdk_gate, . - sdk_gate

	.section .note.GNU-stack, "", @progbits
