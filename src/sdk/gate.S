/*
 * The SDK's two ways through the monitor's gate (abi/hostcall.h), as C functions. Both give -ENOSYS where there is no
 * monitor: g_sdk_present is 0 there. They run with the caller's rights and protect nothing.
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

/*
 * long sdk_gate_words(nr | cap << 32, uint64_t word[6]): call_invoke and call_serve. The words are replaced by the
 * answer's; the result is the status. Nothing but rsp survives the gate.
 */
	.balign 16
	.globl sdk_gate_words
	.hidden sdk_gate_words
	.type sdk_gate_words, @function
sdk_gate_words:
	cmpl	$0, g_sdk_present(%rip)
	je	1f
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rsi
	mov	%rdi, %r11
	mov	0(%rsi), %rdi
	mov	16(%rsi), %r8
	mov	24(%rsi), %r9
	mov	32(%rsi), %r10
	mov	40(%rsi), %r12
	mov	8(%rsi), %rsi
	call	*%gs:VCPU_GATE
	pop	%rsi
	mov	%r12, 0(%rsi)
	mov	%r13, 8(%rsi)
	mov	%r8, 16(%rsi)
	mov	%r9, 24(%rsi)
	mov	%r10, 32(%rsi)
	mov	%r11, 40(%rsi)
	mov	%rbx, %rax
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
1:	mov	$-ENOSYS, %rax
	ret
	.size sdk_gate_words, . - sdk_gate_words

	.section .note.GNU-stack, "", @progbits
