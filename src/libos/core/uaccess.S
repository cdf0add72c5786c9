/*
 * Access to program memory that may fault, besides copies (core/uaccess.h).
 *
 * A fault with rip in [uaccess_start, uaccess_end) is resolved by the upcall code (signal/upcall.c): it continues at
 * uaccess_fixup, which makes the routine return -EFAULT. So between these labels the stack pointer is as at entry, no
 * callee-saved register is touched, and nothing is called. System V calling convention; clobbers rax, rcx, rdx, rsi, rdi, r8.
 */
#include <linux/errno.h>

	.text
	.globl uaccess_start, uaccess_end, uaccess_fixup
	.hidden uaccess_start, uaccess_end, uaccess_fixup
	.globl user_zero, user_cmpxchg, user_exchange, user_string_copy
	.hidden user_zero, user_cmpxchg, user_exchange, user_string_copy
	.type user_zero, @function
	.type user_cmpxchg, @function
	.type user_exchange, @function
	.type user_string_copy, @function

	.balign 64
uaccess_start:

/* rdi = destination, rsi = bytes */
user_zero:
	mov	%rsi, %rcx
	xor	%eax, %eax
	rep stosb
	xor	%eax, %eax
	ret

/* rdi = word, esi = expected, edx = desired, rcx = where the old value goes (libOS memory) */
user_cmpxchg:
	mov	%esi, %eax
	lock cmpxchg %edx, (%rdi)
	mov	%eax, (%rcx)
	xor	%eax, %eax
	ret

/* rdi, rsi = memory, rdx = bytes of both, 32 at a time: what differs changes places. Of related programs most is the same. */
user_exchange:
	xor	%ecx, %ecx
4:	cmp	%rdx, %rcx
	jae	6f
	mov	(%rdi,%rcx), %rax
	xor	(%rsi,%rcx), %rax
	.irp	word, 8, 16, 24
	mov	\word(%rdi,%rcx), %r8
	xor	\word(%rsi,%rcx), %r8
	or	%r8, %rax
	.endr
	test	%rax, %rax
	jz	5f
	.irp	word, 0, 8, 16, 24
	mov	\word(%rdi,%rcx), %rax
	mov	\word(%rsi,%rcx), %r8
	mov	%r8, \word(%rdi,%rcx)
	mov	%rax, \word(%rsi,%rcx)
	.endr
5:	add	$32, %rcx
	jmp	4b
6:	xor	%eax, %eax
	ret

/* rdi = destination, rsi = source, rdx = size: bytes copied without the NUL, or size if there was none */
user_string_copy:
	xor	%eax, %eax
7:	cmp	%rdx, %rax
	jae	8f
	movzbl	(%rsi,%rax), %ecx
	mov	%cl, (%rdi,%rax)
	test	%ecx, %ecx
	jz	8f
	inc	%rax
	jmp	7b
8:	ret

uaccess_end:

/* The stack is as at the routine's entry. */
uaccess_fixup:
	cld
	mov	$-EFAULT, %rax
	ret

	.section .note.GNU-stack, "", @progbits
