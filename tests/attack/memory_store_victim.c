/*
 * Question: can a cVM store to another cVM's data or stack?
 * Expect: REFUSED: SIGSEGV SIGSEGV
 * Control: --insecure-no-pkeys
 */
#include "attack.h"

static void attack(void)
{
	struct outcome data = guarded(store_byte, (void *)(g_victim.pattern + 4096));
	struct outcome stack = guarded(store_byte, (void *)(g_victim.stack - 65536));

	if (!data.signal || !stack.signal)
		breach("wrote to the victim's memory");
	refused("%s %s", data.signal == SIGSEGV ? "SIGSEGV" : "?", stack.signal == SIGSEGV ? "SIGSEGV" : "?");
}
