/*
 * Question: does the 32-bit entry (int 0x80) reach the host?
 * Expect: REFUSED: |killed
 * Control: --insecure-no-cookie
 * Native: the filter
 */
#include "attack.h"

static long g_result;

static void enter(void *code)
{
	__asm__ volatile("sub $128, %%rsp\n\tcall *%2\n\tadd $128, %%rsp" : "=a"(g_result) : "0"(20L /* getpid */), "b"(code) : "r8", "r9", "r10", "r11", "memory");
}

static void attack(void)
{
	static const uint8_t int80[] = { 0xcd, 0x80, 0xc3 };
	void *code = make_code(int80, sizeof int80);

	if (!code)
		refused("such code cannot be made executable");
	struct outcome o = guarded(enter, code);
	if (!o.signal && g_result > 0)
		breach("int 0x80 returned process %ld", g_result);
	refused("%s", o.signal ? signal_text(o) : "an error number");
}
