/* Cycles of one WRPKRU, natively, where the CPU has it. The least of many rounds. */
#include <stdint.h>
#include <stdio.h>
#include <x86intrin.h>

int main(void)
{
	uint64_t best = UINT64_MAX;
	uint32_t value, edx;

	__asm__ volatile("rdpkru" : "=a"(value), "=d"(edx) : "c"(0));
	for (int round = 0; round < 200; round++) {
		uint64_t start = __rdtsc();
		for (int i = 0; i < 1000; i++)
			__asm__ volatile("wrpkru" ::"a"(value), "c"(0), "d"(0) : "memory");
		uint64_t cycles = (__rdtsc() - start) / 1000;
		best = cycles < best ? cycles : best;
	}
	printf("%lu\n", best);
	return 0;
}
