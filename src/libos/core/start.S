/*
 * The first instruction of a cVM: rdi = struct cvm_start * (abi/hostcall.h), a small stack of unknown alignment, no
 * relocation applied yet. Called once, by the monitor, on the cVM's first thread. Goes to libos_start (main.c).
 */
	.section .text.entry, "ax"
	.globl libos_entry
	.hidden libos_entry
	.type libos_entry, @function
libos_entry:
	cld
	xor	%ebp, %ebp
	and	$-16, %rsp
	call	libos_start
	ud2
	.size libos_entry, . - libos_entry

	.section .note.GNU-stack, "", @progbits
