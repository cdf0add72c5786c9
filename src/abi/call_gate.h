/*
 * The gate as who calls another cVM goes through it: six words there and six back (call_invoke, call_invoke_msg, call_serve;
 * see hostcall.h). For the libOS and the SDK, whose other hostcalls have one result each.
 */
#ifndef ABI_CALL_GATE_H
#define ABI_CALL_GATE_H

#include <stdint.h>

#include "abi/capability.h"
#include "abi/vcpu.h"

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
