/* Cycles of one getpid system call, through the C library's syscall(): the least of many rounds. */
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

int main(void)
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < 200; round++) {
		uint64_t start = __rdtsc();
		for (int i = 0; i < 1000; i++)
			syscall(SYS_getpid);
		uint64_t cycles = (__rdtsc() - start) / 1000;
		best = cycles < best ? cycles : best;
	}
	printf("%lu\n", best);
	return 0;
}
