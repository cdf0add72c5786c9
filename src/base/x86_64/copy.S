/*
 * Copies of the monitor, the libOS, bare programs and libcvm. A fault between copy_fault_begin and copy_fault_end goes on at
 * copy_fault_exit: each of the first three resolves its own, the libOS those of libcvm.
 *
 *	user_copy(dst, src, size): 0 or -EFAULT (-14). Not for areas that overlap.
 *	copy_init(): once, before any other thread; without, and on processors without AVX-512VL, copies are slower.
 *
 * Not just `rep movsb`: it takes a while before the first byte, and where dst lies 1 to 800 bytes behind src, modulo 4096 and
 * not by a multiple of 32, Zen 3 and 4 take up to 200 times as long (`cp_file_read_64k_behind`).
 * zmm16 is kept, as a program's vector registers are across system calls; not zmm0, for to write the upper part of that slows
 * down the program's SSE code from then on. 32 bytes at a time, as processors store them; 64 would slow down some.
 */
	REP_MIN_WIDE = 32768

	.text
	.globl user_copy, copy_init, copy_fault_begin, copy_fault_end, copy_fault_exit
	.hidden user_copy, copy_init, copy_fault_begin, copy_fault_end, copy_fault_exit

/* r8 is the stack pointer at entry; while the vector's old contents are on the stack rsp is less. Clobbers rax, rcx, rdx, rsi, rdi. */
	.balign 64
copy_fault_begin:
user_copy:
	mov %rsp, %r8
	mov %rdx, %rcx
	cmp $32, %rdx
	jb 4f
	cmp copy_rep_min(%rip), %rdx
	jb 2f
	mov %edi, %eax
	sub %esi, %eax
	test $31, %al
	jz 3f
	and $4095, %eax
	cmp $1024, %eax
	jb 2f
3:	rep movsb
	jmp 8f
2:	cmpl $REP_MIN_WIDE, copy_rep_min(%rip)
	jne 4f
	sub $64, %rsp
	vmovdqu64 %zmm16, (%rsp)
	vmovdqu64 (%rsi), %ymm16
	vmovdqu64 %ymm16, (%rdi)
	add %rdx, %rsi		/* ends, and rdx less 32: where between them, with dst aligned */
	add %rdx, %rdi
	neg %rdx
	lea (%rdi, %rdx), %rax
	and $31, %eax
	sub %rax, %rdx
	add $160, %rdx
	jge 1f
	.balign 32
0:	.irp at, -128, -96, -64, -32
	vmovdqu64 \at(%rsi, %rdx), %ymm16
	vmovdqa64 %ymm16, \at(%rdi, %rdx)
	.endr
	add $128, %rdx
	jl 0b
1:	sub $96, %rdx
	jge 1f
0:	vmovdqu64 -32(%rsi, %rdx), %ymm16
	vmovdqa64 %ymm16, -32(%rdi, %rdx)
	add $32, %rdx
	jl 0b
1:	vmovdqu64 -32(%rsi), %ymm16
	vmovdqu64 %ymm16, -32(%rdi)
	vmovdqu64 (%rsp), %zmm16
	mov %r8, %rsp
	jmp 8f
4:	sub $8, %rcx
	jb 6f
5:	mov (%rsi), %rax
	mov %rax, (%rdi)
	add $8, %rsi
	add $8, %rdi
	sub $8, %rcx
	jae 5b
	mov (%rsi, %rcx), %rax	/* the last 8, of which some may be there already */
	mov %rax, (%rdi, %rcx)
	jmp 8f
6:	add $4, %rcx
	js 7f
	mov (%rsi), %eax	/* a futex's word: at once */
	mov %eax, (%rdi)
	mov (%rsi, %rcx), %eax
	mov %eax, (%rdi, %rcx)
	jmp 8f
7:	add $4, %ecx
	jz 8f
9:	movzbl -1(%rsi, %rcx), %eax
	mov %al, -1(%rdi, %rcx)
	dec %ecx
	jnz 9b
8:	xor %eax, %eax
copy_fault_end:
	ret
copy_fault_exit:
	cmp %r8, %rsp
	je 1f
	vmovdqu64 (%rsp), %zmm16
	mov %r8, %rsp
1:	mov $-14, %rax
	ret

copy_init:
	movl $128, copy_rep_min(%rip)
	xor %ecx, %ecx
	xgetbv
	and $0xe6, %al		/* the host keeps the registers of AVX-512, so there are its ... */
	cmp $0xe6, %al		/* ... shorter forms, too: processors without them have no protection keys */
	jne 1f
	movl $REP_MIN_WIDE, copy_rep_min(%rip)
1:	ret

	.lcomm copy_rep_min, 8	/* bytes, from which on rep movsb is the best that there is */
	.section .note.GNU-stack, "", @progbits
