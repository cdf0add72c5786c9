/*
 * Question: do AC, DF or TF, as the program left them, confuse the monitor behind the gate?
 * Expect: REFUSED: every hostcall gave what it should
 * Control: none: clearing flags has no option
 */
#include "attack.h"

static long call_with_flags(uint64_t flags, enum hostcall number, void *buffer, uint64_t size)
{
	register uint64_t r11 __asm__("r11") = (uint64_t)number;
	long result;

	__asm__ volatile("sub $128, %%rsp\n\tpushfq\n\tor %[flags], (%%rsp)\n\tpopfq\n\tcall *%%gs:16\n\t"
			 "pushfq\n\tandq $~0x40500, (%%rsp)\n\tpopfq\n\tcld\n\tadd $128, %%rsp"
			 : "=a"(result), "+D"(buffer), "+S"(size), "+r"(r11)
			 : [flags] "b"(flags)
			 : "rcx", "rdx", "r8", "r9", "r10", "memory", "cc");
	return result;
}


static void attack(void)
{
	static const uint64_t flags[] = { 0x40000, 0x400, 0x40400 };
	static uint8_t buffer[128];

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		memset(buffer, 0xaa, sizeof buffer);
		struct hc_info *info = (struct hc_info *)(buffer + 33); /* unaligned, in the middle */
		long result = call_with_flags(flags[i], HC_cvm_info, info, 0);
		if (result || info->host_cpus == 0 || info->host_cpus > 4096 || buffer[32] != 0xaa || buffer[33 + sizeof *info] != 0xaa)
			breach("flags %#lx: wrong result %ld", flags[i], result);
		result = call_with_flags(flags[i], HC_null, NULL, 0);
		if (result)
			breach("flags %#lx: null gave %ld", flags[i], result);
	}
	refused("every hostcall gave what it should");
}
