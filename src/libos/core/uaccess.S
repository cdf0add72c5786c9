/*
 * Access to program memory that may fault, besides copies (core/uaccess.h).
 *
 * A fault with rip in [uaccess_start, uaccess_end) is resolved by the upcall code (signal/upcall.c): it continues at
 * uaccess_fixup, which makes the routine return -EFAULT. So between these labels the stack pointer is as at entry, no
 * callee-saved register is touched, and nothing is called. System V calling convention; clobbers rax, rcx, rdx, rsi, rdi.
 */
#include <linux/errno.h>

	.text
	.globl uaccess_start, uaccess_end, uaccess_fixup
	.hidden uaccess_start, uaccess_end, uaccess_fixup
	.globl user_zero, user_cmpxchg, user_string_copy
	.hidden user_zero, user_cmpxchg, user_string_copy
	.type user_zero, @function
	.type user_cmpxchg, @function
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
