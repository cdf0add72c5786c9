/*
 * scan_candidate(from, end): the first address q >= from, sixteen at a time, with q[0] = 0F and q[1] one of 01 AE C7, or
 * the first address from which fewer than 17 bytes are left. The scanner's inner loop (monitor/scan.c, which checks
 * every candidate and the rest byte by byte).
 * In: rdi from, rsi end. Out: rax. Clobbers rcx, rdx, rdi, flags; the program's vector registers are kept.
 */
	.text
	.globl scan_candidate
	.type scan_candidate, @function
scan_candidate:
	sub $104, %rsp
	movups %xmm0, (%rsp)
	movups %xmm1, 16(%rsp)
	movups %xmm2, 32(%rsp)
	movups %xmm3, 48(%rsp)
	movups %xmm4, 64(%rsp)
	movups %xmm5, 80(%rsp)
	movdqu scan_0f(%rip), %xmm5
	movdqu scan_01(%rip), %xmm4
	movdqu scan_ae(%rip), %xmm3
1:	lea 17(%rdi), %rax
	cmp %rsi, %rax
	ja 3f
	movdqu (%rdi), %xmm0
	pcmpeqb %xmm5, %xmm0
	pmovmskb %xmm0, %edx
	test %edx, %edx
	jz 2f
	movdqu 1(%rdi), %xmm1
	movdqa %xmm1, %xmm2
	pcmpeqb %xmm4, %xmm2
	movdqu scan_c7(%rip), %xmm0
	pcmpeqb %xmm1, %xmm0
	por %xmm0, %xmm2
	pcmpeqb %xmm3, %xmm1
	por %xmm1, %xmm2
	pmovmskb %xmm2, %ecx
	and %ecx, %edx
	jnz 4f
2:	add $16, %rdi
	jmp 1b
4:	bsf %edx, %edx
	add %rdx, %rdi
3:	mov %rdi, %rax
	movups (%rsp), %xmm0
	movups 16(%rsp), %xmm1
	movups 32(%rsp), %xmm2
	movups 48(%rsp), %xmm3
	movups 64(%rsp), %xmm4
	movups 80(%rsp), %xmm5
	add $104, %rsp
	ret

	.section .rodata
	.balign 16
scan_0f: .fill 16, 1, 0x0f
scan_01: .fill 16, 1, 0x01
scan_ae: .fill 16, 1, 0xae
scan_c7: .fill 16, 1, 0xc7

	.section .note.GNU-stack, "", @progbits
