/*
 * scan_candidate(from, end): the first address q >= from with q[0] = 0F and q[1] one of 01 AE, or the first address
 * from which fewer than 17 bytes are left. The scanner's inner loop (monitor/scan.c, which checks every candidate and the
 * rest byte by byte): 64 bytes at a time without a branch on what they are, for 0F is everywhere in code, then sixteen.
 * In: rdi from, rsi end. Out: rax. Clobbers rcx, rdi, flags; the program's vector registers are kept.
 */
	.text

/* \out: FF in every byte of \at[0..15] that starts a candidate. xmm12-14 hold 0F 01 AE; clobbers xmm1-2. */
	.macro candidates at, out
	movdqu \at(%rdi), \out
	movdqu 1+\at(%rdi), %xmm1
	movdqa %xmm1, %xmm2
	pcmpeqb %xmm12, \out
	pcmpeqb %xmm13, %xmm1
	pcmpeqb %xmm14, %xmm2
	por %xmm2, %xmm1
	pand %xmm1, \out
	.endm

	.globl scan_candidate
	.type scan_candidate, @function
scan_candidate:
	sub $136, %rsp
	movups %xmm0, (%rsp)
	movups %xmm1, 16(%rsp)
	movups %xmm2, 32(%rsp)
	movups %xmm4, 48(%rsp)
	movups %xmm5, 64(%rsp)
	movups %xmm12, 80(%rsp)
	movups %xmm13, 96(%rsp)
	movups %xmm14, 112(%rsp)
	movdqu scan_0f(%rip), %xmm12
	movdqu scan_01(%rip), %xmm13
	movdqu scan_ae(%rip), %xmm14
	.balign 32
1:	lea 65(%rdi), %rax
	cmp %rsi, %rax
	ja 2f
	candidates 0, %xmm0
	candidates 16, %xmm4
	candidates 32, %xmm5
	por %xmm4, %xmm0
	candidates 48, %xmm4
	por %xmm5, %xmm0
	por %xmm4, %xmm0
	pmovmskb %xmm0, %ecx
	add $64, %rdi
	test %ecx, %ecx
	jz 1b
	sub $64, %rdi
2:	lea 17(%rdi), %rax
	cmp %rsi, %rax
	ja 4f
	candidates 0, %xmm0
	pmovmskb %xmm0, %ecx
	test %ecx, %ecx
	jnz 3f
	add $16, %rdi
	jmp 2b
3:	bsf %ecx, %ecx
	add %rcx, %rdi
4:	mov %rdi, %rax
	movups (%rsp), %xmm0
	movups 16(%rsp), %xmm1
	movups 32(%rsp), %xmm2
	movups 48(%rsp), %xmm4
	movups 64(%rsp), %xmm5
	movups 80(%rsp), %xmm12
	movups 96(%rsp), %xmm13
	movups 112(%rsp), %xmm14
	add $136, %rsp
	ret

	.section .rodata
	.balign 16
scan_0f: .fill 16, 1, 0x0f
scan_01: .fill 16, 1, 0x01
scan_ae: .fill 16, 1, 0xae

	.section .note.GNU-stack, "", @progbits
