/*
 * Question: can the program of an isolated libOS make a hostcall itself, past its libOS?
 * Expect: REFUSED: every hostcall gave EPERM
 * Control: isolate_libos=false
 * Options: isolate_libos=true
 * Native: the monitor knows who of the two is executed
 */
#include "attack.h"

static void attack(void)
{
	static uint64_t memory[512];

	for (uint64_t number = 0; number < 4096; number++) {
		if (number == HC_thread_switch)
			continue;
		long result = hostcall((enum hostcall)number, (uint64_t)memory, 8, 8, 8, 8, 8);
		if (result != -EPERM)
			breach("hostcall %lu gave %ld", number, result);
	}
	for (unsigned bit = 8; bit < 64; bit++) { /* the number's other bits are arguments of some */
		register uint64_t r11 __asm__("r11") = HC_thread_switch | 1ull << bit;
		long result;
		__asm__ volatile("sub $128, %%rsp\n\tcall *%%gs:16\n\tadd $128, %%rsp"
				 : "=a"(result), "+r"(r11)
				 :
				 : "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "memory", "cc");
		if (result != -EPERM)
			breach("hostcall %#lx gave %ld", HC_thread_switch | 1ull << bit, result);
	}
	/* The one that there is enters the libOS at its one place, which makes a system call of what the program area says. */
	uint64_t *area = (uint64_t *)vcpu()->program_area;
	if (area) {
		long number = 39, back; /* getpid */
		register uint64_t r11 __asm__("r11") = HC_thread_switch;
		__asm__ volatile("lea 1f(%%rip), %%rcx\n\tmov %%rcx, 88(%[area])\n\tmov %[number], 80(%[area])\n\tjmp *%%gs:16\n1:"
				 : "=a"(back), "+r"(r11)
				 : [area] "b"(area), [number] "r"(number)
				 : "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "memory", "cc");
		if (back != getpid())
			breach("the way into the libOS gave %ld", back);
	}
	refused("every hostcall gave EPERM");
}
