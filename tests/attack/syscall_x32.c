/*
 * Question: do x32 system call numbers (bit 30) slip past the filter?
 * Expect: REFUSED: |killed
 * Control: none: most kernels have x32 switched off, so even without the filter nothing happens
 * Native: the filter
 */
#include "attack.h"

static long g_result;

static void enter(void *unused)
{
	(void)unused;
	g_result = own_syscall(0x40000000 | 39 /* getpid */, 0, 0, 0, 0, 0, 0);
}

static void attack(void)
{
	struct outcome o = guarded(enter, NULL);

	if (!o.signal && g_result > 0)
		breach("x32 getpid returned %ld", g_result);
	refused("%s", o.signal ? signal_text(o) : "an error number");
}
