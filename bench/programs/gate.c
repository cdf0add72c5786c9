/* Cycles of one empty hostcall (abi/hostcall.h: null), there and back; only in a cVM. The least of many rounds. */
#include <stdint.h>
#include <stdio.h>
#include <x86intrin.h>

#include "abi/hostcall.h"
#include "abi/vcpu.h"

static void null_hostcall(void)
{
	uint64_t number = HC_null;

	__asm__ volatile("mov %0, %%r11\n\tsub $128, %%rsp\n\tcall *%%gs:%c1\n\tadd $128, %%rsp" : "+r"(number) : "i"(VCPU_GATE)
			 : "rax", "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
}

int main(void)
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < 200; round++) {
		uint64_t start = __rdtsc();
		for (int i = 0; i < 1000; i++)
			null_hostcall();
		uint64_t cycles = (__rdtsc() - start) / 1000;
		best = cycles < best ? cycles : best;
	}
	printf("%lu\n", best);
	return 0;
}
