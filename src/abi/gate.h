/*
 * The monitor's gate as the libOS and the SDK go through it (hostcall.h). Inline: each store of a call there would stand behind
 * the stores of the last copy.
 */
#ifndef ABI_GATE_H
#define ABI_GATE_H

#include <stdint.h>

#include "abi/capability.h"
#include "abi/vcpu.h"

static inline long gate6(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
{
	long ret;
	register long r8 __asm__("r8") = a2;
	register long r9 __asm__("r9") = a3;
	register long r10 __asm__("r10") = a4;
	register long r11 __asm__("r11") = nr;
	register long r12 __asm__("r12") = a5;

	__asm__ volatile("call *%%gs:%c[gate]"
			 : "=a"(ret), "+D"(a0), "+S"(a1), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r11)
			 : [gate] "i"(VCPU_GATE), "r"(r12)
			 : "rcx", "rdx", "cc", "memory");
	return ret;
}

/* The same for up to four arguments; the monitor looks at no others. */
static inline long gate4(long nr, long a0, long a1, long a2, long a3)
{
	long ret;
	register long r8 __asm__("r8") = a2;
	register long r9 __asm__("r9") = a3;
	register long r11 __asm__("r11") = nr;

	__asm__ volatile("call *%%gs:%c[gate]"
			 : "=a"(ret), "+D"(a0), "+S"(a1), "+r"(r8), "+r"(r9), "+r"(r11)
			 : [gate] "i"(VCPU_GATE)
			 : "rcx", "rdx", "r10", "cc", "memory");
	return ret;
}

/* GATE_CALL(f, nr, a...): f4(nr, a...) or f6(nr, a...), by how many arguments there are; missing ones are 0. */
#define GATE_ARG_(x) ((long)(x))
#define GATE_CALL6(f, nr, a, b, c, d, e, g, ...) \
	f##6(nr, GATE_ARG_(a), GATE_ARG_(b), GATE_ARG_(c), GATE_ARG_(d), GATE_ARG_(e), GATE_ARG_(g))
#define GATE_CALL4(f, nr, a, b, c, d, ...) f##4(nr, GATE_ARG_(a), GATE_ARG_(b), GATE_ARG_(c), GATE_ARG_(d))
#define GATE_PICK_(nr, a, b, c, d, e, g, pick, ...) pick
#define GATE_CALL(f, ...)                                                                                              \
	GATE_PICK_(__VA_ARGS__, GATE_CALL6, GATE_CALL6, GATE_CALL4, GATE_CALL4, GATE_CALL4, GATE_CALL4, GATE_CALL4)    \
	(f, __VA_ARGS__, 0, 0, 0, 0, 0, 0)

/*
 * The way of calls to other cVMs: six words there and six back (call_invoke, call_invoke_msg, call_serve).
 */
#ifdef __SSE__
#define VECTORS_TOO \
	, "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#else
#define VECTORS_TOO
#endif

/*
 * The number is nr | cap << 32. The result is the status; if it is not negative the words are replaced by the answer's. Nothing
 * but rsp survives. Inline and without `call`, so that each cVM's returns match its own calls: a processor predicts a return by
 * the last call on the thread, and here the thread comes from, and goes to, another cVM.
 */
static inline long gate_words(uint64_t nr_and_cap, uint64_t word[CALL_WORDS])
{
	register uint64_t w2 __asm__("r8") = word[2], w3 __asm__("r9") = word[3], w4 __asm__("r10") = word[4];
	register uint64_t nr __asm__("r11") = nr_and_cap, w5 __asm__("r12") = word[5], second __asm__("r13");
	uint64_t w0 = word[0], w1 = word[1];
	long status;

	__asm__ volatile("push %%rbp\n\t"
			 "lea 1f(%%rip), %%rcx\n\t"
			 "push %%rcx\n\t"
			 "jmp *%%gs:%c[gate]\n"
			 "1:\tpop %%rbp"
			 : "+D"(w0), "+S"(w1), "+r"(w2), "+r"(w3), "+r"(w4), "+r"(w5), "+r"(nr), "=r"(second), "=b"(status)
			 : [gate] "i"(VCPU_GATE)
			 : "rax", "rcx", "rdx", "r14", "r15", "cc", "memory" VECTORS_TOO);
	if (status >= 0)
		word[0] = w5, word[1] = second, word[2] = w2, word[3] = w3, word[4] = w4, word[5] = nr;
	return status;
}

#endif
