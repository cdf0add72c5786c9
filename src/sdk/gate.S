/*
 * The SDK's way through the monitor's gate (abi/hostcall.h) as a C function. Where the program may not use the gate, or there is no
 * monitor, the platform does something else. It runs with the caller's rights and protects nothing.
 */
#include "abi/vcpu.h"

#define SDK_GATE 1 /* asserted in call.c */

	.text

/* long sdk_gate(nr, a0, a1, a2, a3, a4, a5) */
	.balign 16
	.globl sdk_gate
	.hidden sdk_gate, g_sdk_present, platform_without_gate
	.type sdk_gate, @function
sdk_gate:
	cmpl	$SDK_GATE, g_sdk_present(%rip)
	jne	platform_without_gate /* same arguments */
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
	.size sdk_gate, . - sdk_gate

	.section .note.GNU-stack, "", @progbits
