/* Attacks on what calls between cVMs leave in registers: a call or an answer with every register full of a secret, and a
 * dump of every register at the first instruction behind the gate. */
#ifndef TESTS_ATTACK_CAP_REGISTERS_H
#define TESTS_ATTACK_CAP_REGISTERS_H

#include "cap.h"

#include <cpuid.h>

#define SECRET 0xdeadbeefcafef00dull

struct dump {
	uint64_t general[16]; /* rax rbx rcx rdx rsi rdi rbp r8-r15, flags */
	uint64_t fs_base;
	uint8_t xsave[4096] __attribute__((aligned(64)));
};

/* As gate_words, with a dump behind; with `fill` the secret is in every register before that carries no word. */
long gate_dump(uint64_t number, uint64_t *words, struct dump *dump, uint64_t fill);
extern uint8_t g_have_avx512;
extern const char gate_dump_return[];
__asm__(".data\n"
	"g_have_avx512: .byte 0\n"
	".balign 16\n"
	"secret_x87: .quad 0xdeadbeefcafef00d; .word 0x3fff\n"
	".text\n"
	".globl gate_dump\n"
	"gate_dump:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rsi; push %rdx\n"
	"mov %rdi, %r11\n"
	"test %rcx, %rcx; jz 2f\n"
	"movabs $0xdeadbeefcafef00d, %rax\n"
	"mov %rax, %rbx; mov %rax, %rbp; mov %rax, %rcx; mov %rax, %rdx; mov %rax, %r13; mov %rax, %r14; mov %rax, %r15\n"
	"vmovq %rax, %xmm0; vpbroadcastq %xmm0, %ymm0\n"
	".irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"vmovdqa %ymm0, %ymm\\n\n"
	".endr\n"
	".rept 8\n"
	"fldt secret_x87(%rip)\n"
	".endr\n"
	"cmpb $0, g_have_avx512(%rip); je 2f\n"
	".irp n, 0, 1, 15, 16, 17, 23, 31\n"
	"vpbroadcastq %rax, %zmm\\n\n"
	".endr\n"
	"kmovw %eax, %k1; kmovw %eax, %k7\n"
	"2: mov 0(%rsi), %rdi; mov 16(%rsi), %r8; mov 24(%rsi), %r9; mov 32(%rsi), %r10; mov 40(%rsi), %r12; mov 8(%rsi), %rsi\n"
	"call *%gs:16\n"
	"gate_dump_return:\n"
	"pushfq; push %rax\n"
	"mov 16(%rsp), %rax\n"
	"pop 0(%rax)\n"
	"pop 120(%rax)\n"
	"mov %rbx, 8(%rax); mov %rcx, 16(%rax); mov %rdx, 24(%rax); mov %rsi, 32(%rax); mov %rdi, 40(%rax); mov %rbp, 48(%rax)\n"
	"mov %r8, 56(%rax); mov %r9, 64(%rax); mov %r10, 72(%rax); mov %r11, 80(%rax); mov %r12, 88(%rax); mov %r13, 96(%rax)\n"
	"mov %r14, 104(%rax); mov %r15, 112(%rax)\n"
	"rdfsbase %rcx; mov %rcx, 128(%rax)\n"
	"lea 192(%rax), %rdi; mov $0xe7, %eax; xor %edx, %edx; xsave (%rdi)\n"
	"fninit; cld\n"
	"pop %rdx; pop %rsi\n"
	"mov %r12, 0(%rsi); mov %r13, 8(%rsi); mov %r8, 16(%rsi); mov %r9, 24(%rsi); mov %r10, 32(%rsi); mov %r11, 40(%rsi)\n"
	"mov %rbx, %rax\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"ret\n");
_Static_assert(offsetof(struct dump, xsave) == 192, "gate_dump");

static MAYBE void find_avx512(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && b & (1u << 16))
		g_have_avx512 = 1;
}

static MAYBE bool holds(const void *area, size_t size, uint64_t value)
{
	for (size_t i = 0; i + sizeof value <= size; i++)
		if (memcmp((const uint8_t *)area + i, &value, sizeof value) == 0)
			return true;
	return false;
}

/* Says what is in the dump that should not be: the secret anywhere, or an address of the monitor in a register that
 * carries nothing (all but rsp are words, status, or must be zero; rcx is where the gate returned to). */
static MAYBE const char *leak_in(const struct dump *d)
{
	static const int zero[] = { 0, 3, 4, 5, 6, 13, 14 }; /* rax rdx rsi rdi rbp r14 r15 */
	static char text[64];

	if (holds(d->xsave, sizeof d->xsave, SECRET))
		return "the secret is in a vector or x87 register";
	for (int i = 0; i < 15; i++)
		if (d->general[i] == SECRET)
			return "the secret is in a general register";
	for (size_t i = 0; i < sizeof zero / sizeof zero[0]; i++)
		if (d->general[zero[i]]) {
			snprintf(text, sizeof text, "register %d holds %#lx", zero[i], d->general[zero[i]]);
			return text;
		}
	return d->general[2] == (uint64_t)gate_dump_return ? NULL : "rcx is not where the gate returned to";
}

#endif
