/*
 * Question: does the isolated libOS, when its program faults inside the libOS's copy routines, take that for a fault of its
 * own, and go on behind it with its own rights, on the program's stack?
 * Expect: REFUSED: the fault was the program's
 * Control: isolate_libos=false
 * Options: isolate_libos=true
 * Native: the monitor says whose context it was
 */
#include "attack.h"
#include "isolated.h"

static void call(void *target)
{
	__asm__ volatile("sub $128, %%rsp\n\tcall *%0\n\tadd $128, %%rsp" ::"b"(target), "D"(16ul), "S"(16ul), "d"(256ul)
			 : "rax", "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
}

static void attack(void)
{
	/* user_copy(16, 16, 256): -EFAULT where it is the libOS's own fault */
	struct outcome o = guarded(call, (void *)libos_symbol("user_copy"));

	if (o.signal != SIGSEGV)
		breach("the libOS's copy routine came back: signal %d", o.signal);
	refused("the fault was the program's");
}
