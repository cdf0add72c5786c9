/*
 * Question: does a hostcall number out of range, or every hostcall with arguments of all ones, harm the monitor?
 * Expect: REFUSED: errors only
 * Control: none: the range check has no option
 * Native: checks of arguments
 */
#include "attack.h"

static void attack(void)
{
	static const uint64_t numbers[] = { HC_COUNT, HC_COUNT + 1, 1000, 1ull << 31, (1ull << 32) + HC_COUNT, 0xffffffff, ~0ull };
	static const uint64_t fills[] = { ~0ull, 1ull << 63, 0x7fffffffffffffffull, 0x8000000000001000ull };

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		register uint64_t r11 __asm__("r11") = numbers[i];
		long result;
		__asm__ volatile("sub $128, %%rsp\n\txor %%edi, %%edi\n\txor %%esi, %%esi\n\tcall *%%gs:16\n\tadd $128, %%rsp"
				 : "=a"(result), "+r"(r11)
				 :
				 : "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "memory", "cc");
		if (result != -ENOSYS)
			breach("number %#lx gave %ld", numbers[i], result);
	}
	for (int number = 1; number < HC_COUNT; number++) {
		if (number == HC_thread_exit || number == HC_cvm_exit || number == HC_thread_upcall_done || number == HC_poll ||
		    number == HC_thread_yield || number == HC_cvm_events)
			continue;
		for (size_t i = 0; i < sizeof fills / sizeof fills[0]; i++) {
			uint64_t f = fills[i];
			long result = hostcall((enum hostcall)number, f, f, f, f, f, f);
			if (result > 0 && number != HC_epoll_create && number != HC_eventfd_create && number != HC_timerfd_create &&
			    number != HC_cap_doorbell)
				breach("hostcall %d with %#lx gave %ld", number, f, result);
		}
	}
	refused("errors only");
}
