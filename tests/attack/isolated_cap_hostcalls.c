/*
 * Question: does the isolated libOS, which makes the hostcalls of capabilities for its program, make others for it?
 * Expect: REFUSED: every other hostcall gave EPERM
 * Control: isolate_libos=false
 * Options: isolate_libos=true
 * Native: the libOS's table of hostcalls
 */
#include "attack.h"
#include "isolated.h"

static void attack(void)
{
	static uint64_t memory[512];

	for (uint64_t number = 0; number < 8192; number++) {
		long result = is_for_programs(number) || number == BOOT_CAPABILITY_COPIES ? -EPERM : ask_hostcall(number, (uint64_t)memory, 8, 8, 8, 8);
		if (result != -EPERM)
			breach("hostcall %lu gave %ld", number, result);
	}
	/* a number's upper half is a capability to some, and to others it must not count */
	for (uint64_t number = 0; number < HC_COUNT; number++)
		for (unsigned bit = 13; bit < 64; bit++) {
			long result = ask_hostcall(number | 1ull << bit, (uint64_t)memory, 8, 8, 8, 8);
			if (result != -EPERM && result != -EFAULT) /* it may look like an address of the libOS */
				breach("hostcall %#lx gave %ld", number | 1ull << bit, result);
		}
	refused("every other hostcall gave EPERM");
}
