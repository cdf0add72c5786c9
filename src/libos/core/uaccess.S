/*
 * Copies to and from program memory that may fault (core/uaccess.h).
 *
 * A fault with rip in [uaccess_start, uaccess_end) is resolved by the upcall code (signal/upcall.c): it continues at
 * uaccess_fixup, which makes the routine return -EFAULT. So between these labels the stack pointer is as at entry, no
 * callee-saved register is touched, and nothing is called. System V calling convention; clobbers rax, rcx, rdx, rsi, rdi.
 */
#include <linux/errno.h>

	.text
	.globl uaccess_start, uaccess_end, uaccess_fixup
	.hidden uaccess_start, uaccess_end, uaccess_fixup
	.globl copy_from_user, copy_to_user, zero_user, cmpxchg_user, user_string_copy
	.hidden copy_from_user, copy_to_user, zero_user, cmpxchg_user, user_string_copy
	.type copy_from_user, @function
	.type copy_to_user, @function
	.type zero_user, @function
	.type cmpxchg_user, @function
	.type user_string_copy, @function

	.balign 64
uaccess_start:

/* rdi = destination, rsi = source, rdx = bytes. One routine for both directions. */
copy_from_user:
copy_to_user:
	cmp	$128, %rdx
	jae	3f
	mov	%edx, %ecx
	shr	$3, %ecx
	jz	2f
1:	mov	(%rsi), %rax
	mov	%rax, (%rdi)
	add	$8, %rsi
	add	$8, %rdi
	dec	%ecx
	jnz	1b
2:	and	$7, %edx
	mov	%edx, %ecx
	test	$4, %cl
	jz	4f
	mov	(%rsi), %eax
	mov	%eax, (%rdi)
	add	$4, %rsi
	add	$4, %rdi
4:	and	$3, %ecx
	jz	6f
5:	movzbl	(%rsi), %eax
	mov	%al, (%rdi)
	inc	%rsi
	inc	%rdi
	dec	%ecx
	jnz	5b
6:	xor	%eax, %eax
	ret
3:	mov	%rdx, %rcx
	rep movsb
	xor	%eax, %eax
	ret

/* rdi = destination, rsi = bytes */
zero_user:
	mov	%rsi, %rcx
	xor	%eax, %eax
	rep stosb
	xor	%eax, %eax
	ret

/* rdi = word, esi = expected, edx = desired, rcx = where the old value goes (libOS memory) */
cmpxchg_user:
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
