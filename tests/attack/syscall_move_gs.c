/*
 * Question: can arch_prctl(ARCH_SET_GS), set_thread_area or modify_ldt move GS base?
 * Expect: REFUSED: GS base stays
 * Control: --insecure-no-cookie
 */
#include <asm/ldt.h>
#include <sys/syscall.h>

#include "attack.h"

static uint8_t g_forged[4096] __attribute__((aligned(4096)));

static void attack(void)
{
	struct vcpu_page *before = vcpu();
	struct user_desc descriptor = { .entry_number = 0, .base_addr = 0x10000, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1,
					.useable = 1 };

	memcpy(g_forged, before, sizeof g_forged);
	*(uint64_t *)g_forged = (uint64_t)g_forged;
	long one = own_syscall(SYS_arch_prctl, 0x1001, (uint64_t)g_forged, 0, 0, 0, 0);
	struct vcpu_page *now = vcpu();
	if (now == (void *)g_forged)
		breach("arch_prctl moved GS base (%ld)", one);
	if (own_syscall(SYS_modify_ldt, 1, (uint64_t)&descriptor, sizeof descriptor, 0, 0, 0) == 0)
		breach("modify_ldt made a segment");
	descriptor.entry_number = (unsigned)-1;
	if (own_syscall(SYS_set_thread_area, (uint64_t)&descriptor, 0, 0, 0, 0, 0) == 0)
		breach("set_thread_area made a segment");
	if (now != before)
		breach("GS base moved");
	refused("GS base stays");
}
